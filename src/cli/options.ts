import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Lane } from '../../models/runtime/index.ts'
import type { PolicyName, SubmitRequest } from '../node/index.ts'
import { CommandError } from './failure.ts'

/** As many as a job may have, see `src/node`. */
const REPLICAS_MAX = 15
/** The most that an answer may be worth, see `src/node`. */
const VALUE_MAX = 1_000_000

/** Options that every command takes. */
export interface CommonOptions {
  readonly data: string
  readonly json: boolean
}

/** Options of the commands that send jobs. */
export interface AskOptions extends CommonOptions {
  readonly bootstrap: readonly string[]
  readonly risk?: number
  readonly value?: number
  readonly policy?: PolicyName
  readonly lane?: Lane
  readonly recompute: number
  readonly publicDisputes: boolean
  readonly canary?: number
  readonly openCall: boolean
  readonly replicas?: number
  readonly timeout: number
  readonly digestsOnly: boolean
  readonly mdns: boolean
  readonly verbose: boolean
}

export function askOptions(command: Command, dataDirectory: string): Command {
  return command
    .addOption(
      new Option(
        '--risk <p>',
        'the probability of a wrong answer that you accept: as many providers are asked as their records make it take',
      )
        .argParser(parseRisk)
        .conflicts(['policy', 'replicas']),
    )
    .option(
      '--value <n>',
      'what the answer is worth, in jobs that are worth 1: the risk is divided by it',
      parseValue,
    )
    .option(
      '--replicas <n>',
      'how many providers run it, 15 at most (default: 2 with a referee, else 3)',
      parseReplicas,
    )
    .addOption(
      new Option(
        '--policy <name>',
        'what decides where they disagree: a referee that runs the disputed step again, or a quorum of more than half (default: referee, for a model that this machine holds)',
      ).choices(['referee', 'quorum']),
    )
    .addOption(
      new Option(
        '--lane <name>',
        'native is fast; exact gives the same bits on every machine (default: native)',
      ).choices(['native', 'exact']),
    )
    .option(
      '--recompute <rate>',
      'share of answers, 0 to 1, that this machine computes again itself; it needs the model',
      parseRate,
      0,
    )
    .option(
      '--public-disputes',
      'let proofs of fraud about these jobs be published, with what they show',
      false,
    )
    .option(
      '--canary <rate>',
      "chance, 0 to 1, that a canary follows each job: one with inputs that are nobody's, whose proofs may be published; it needs the model",
      parseRate,
    )
    .option(
      '--open-call',
      'ask whoever answers a call to the whole mesh, drawn at random; the call holds the terms, never the inputs',
      false,
    )
    .option('--timeout <seconds>', 'give up after this long', parseSeconds, 30)
    .option(
      '--bootstrap <multiaddr>',
      'begin with this node instead of the one running here; repeatable',
      collect,
      [],
    )
    .option('--no-mdns', 'do not look for nodes on the local network')
    .option('--data <dir>', 'where models, receipts and remembered peers lie', dataDirectory)
    .option('--digests-only', 'keep no inputs and outputs in the receipt, only their digests', false)
    .option('--json', 'print one JSON object', false)
    .option('--verbose', 'tell what happens on the network', false)
}

/** The part of a job's terms that the options decide. */
export function termsOf(options: AskOptions): Omit<SubmitRequest, 'model' | 'inputs'> {
  const { policy, lane, recompute, publicDisputes, canary, openCall, replicas, timeout, digestsOnly, data } =
    options
  const { risk, value } = options
  if (value !== undefined && risk === undefined)
    throw new CommandError('usage', '--value divides the risk that is accepted: give a --risk too')
  if (policy === 'referee' && replicas === 1)
    throw new CommandError(
      'usage',
      "--policy referee settles what providers disagree about, and one has nobody to disagree with: give --replicas 2 or more, or leave the policy out to take one provider's word",
    )
  return {
    ...(risk === undefined ? {} : { risk }),
    ...(value === undefined ? {} : { value }),
    ...(policy === undefined ? {} : { policy }),
    ...(lane === undefined ? {} : { lane }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(canary === undefined ? {} : { canaryRate: canary }),
    recomputeRate: recompute,
    publicDisputes,
    openCall,
    timeoutMs: timeout * 1000,
    bundleDirectory: join(data, 'receipts'),
    digestsOnly,
  }
}

/** `$VERIMESH_DATA`, else `verimesh` in the place for a user's data (XDG base directories), else `~/.verimesh`. */
export function defaultDataDirectory(): string {
  const { VERIMESH_DATA, XDG_DATA_HOME } = process.env
  if (VERIMESH_DATA) return resolve(VERIMESH_DATA)
  return XDG_DATA_HOME ? join(XDG_DATA_HOME, 'verimesh') : join(homedir(), '.verimesh')
}

/** For options that may be given several times. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value]
}

export function parseCount(value: string): number {
  const count = Number(value)
  if (!Number.isInteger(count) || count < 1)
    throw new InvalidArgumentError('it must be a whole number from 1 up.')
  return count
}

export function parseReplicas(value: string): number {
  const count = parseCount(value)
  if (count > REPLICAS_MAX) throw new InvalidArgumentError(`it must be ${REPLICAS_MAX} at most.`)
  return count
}

/** Of a canary: there has to be somebody to disagree. */
export function parseProbeReplicas(value: string): number {
  const replicas = parseReplicas(value)
  if (replicas < 2) throw new InvalidArgumentError(`it must be from 2 to ${REPLICAS_MAX}.`)
  return replicas
}

function parseRisk(value: string): number {
  const risk = Number(value)
  if (!(risk > 0 && risk < 1))
    throw new InvalidArgumentError('it must be a probability between 0 and 1, as 0.001.')
  return risk
}

function parseValue(value: string): number {
  const jobs = Number(value)
  if (value.trim() === '' || !(jobs >= 1 && jobs <= VALUE_MAX))
    throw new InvalidArgumentError(`it must be a number from 1 to ${VALUE_MAX}.`)
  return jobs
}

export function parseRate(value: string): number {
  const rate = Number(value)
  if (value.trim() === '' || !(rate >= 0 && rate <= 1))
    throw new InvalidArgumentError('it must be a number from 0 to 1.')
  return rate
}

export function parseSeconds(value: string): number {
  const seconds = Number(value)
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new InvalidArgumentError('it must be a number of seconds, and more than 0.')
  return seconds
}

/** What a command that is shown to a person has to say of the data directory: nothing where it is the usual one. */
export function dataOption(data: string): string {
  return data === defaultDataDirectory() ? '' : ` --data ${data}`
}
