import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'

/** As many as a job may have, see `src/node`. */
const REPLICAS_MAX = 15

/** Options that every command takes. */
export interface CommonOptions {
  readonly data: string
  readonly json: boolean
}

/** Options of the commands that send jobs. */
export interface AskOptions extends CommonOptions {
  readonly bootstrap: readonly string[]
  readonly replicas: number
  readonly timeout: number
  readonly digestsOnly: boolean
  readonly mdns: boolean
  readonly verbose: boolean
}

export function askOptions(command: Command, dataDirectory: string): Command {
  return command
    .option(
      '--replicas <n>',
      'how many providers run it, 15 at most; more than half must agree',
      parseReplicas,
      3,
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

function parseReplicas(value: string): number {
  const count = parseCount(value)
  if (count > REPLICAS_MAX) throw new InvalidArgumentError(`it must be ${REPLICAS_MAX} at most.`)
  return count
}

export function parseSeconds(value: string): number {
  const seconds = Number(value)
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new InvalidArgumentError('it must be a number of seconds.')
  return seconds
}

/** What a command that is shown to a person has to say of the data directory: nothing where it is the usual one. */
export function dataOption(data: string): string {
  return data === defaultDataDirectory() ? '' : ` --data ${data}`
}
