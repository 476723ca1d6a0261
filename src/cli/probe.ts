/** `models probe`: canaries now, and what came of them. */
import { setTimeout } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import type { Lane } from '../../models/runtime/index.ts'
import { openModelStore } from '../../models/store/index.ts'
import { type ClosedJob, JobError, type JobResult } from '../node/index.ts'
import { resolveModel } from './model-address.ts'
import {
  type CommonOptions,
  collect,
  parseCount,
  parseProbeReplicas,
  parseRate,
  parseSeconds,
} from './options.ts'
import { noteUnreachable, openSession, type Session } from './session.ts'
import type { Terminal } from './terminal.ts'
import { canaryLines, showProgress } from './verdict.ts'

interface ProbeOptions extends CommonOptions {
  readonly count: number
  readonly replicas: number
  readonly lane?: Lane
  readonly recompute: number
  readonly timeout: number
  readonly bootstrap: readonly string[]
  readonly mdns: boolean
  readonly verbose: boolean
}

const COUNT_DEFAULT = 5

export function addProbeCommand(models: Command, terminal: Terminal, dataDirectory: string): void {
  models
    .command('probe')
    .argument('<model>', 'a name or an address, of a model that this machine holds')
    .description(
      'ask its providers canaries: jobs with drawn inputs, so that proofs against those who lie may be published',
    )
    .option('--count <n>', 'how many, one after the other', parseCount, COUNT_DEFAULT)
    .option('--replicas <n>', 'how many providers run each, from 2 to 15', parseProbeReplicas, 2)
    .addOption(
      new Option(
        '--lane <name>',
        'native is fast; exact gives the same bits on every machine (default: native)',
      ).choices(['native', 'exact']),
    )
    .option(
      '--recompute <rate>',
      'share of answers, 0 to 1, that this machine computes again itself: it finds out those who lie alike',
      parseRate,
      0,
    )
    .option('--timeout <seconds>', 'give up each after this long', parseSeconds, 30)
    .option(
      '--bootstrap <multiaddr>',
      'begin with this node instead of the one running here; repeatable',
      collect,
      [],
    )
    .option('--no-mdns', 'do not look for nodes on the local network')
    .option('--data <dir>', 'where models, proofs and remembered peers lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .option('--verbose', 'tell what happens on the network', false)
    .addHelpText('after', HELP)
    .action((model: string, options: ProbeOptions) => probe(model, options, terminal))
}

const HELP = `
Examples:
  verimesh models probe ocr
  verimesh models probe ocr --count 20 --replicas 3 --recompute 1 --bootstrap /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo...

A canary has the shape of this machine's recent jobs about the model, where the running node has seen some, and noise for content.
Who lies to it is exposed by a proof, which is kept and told to others: verimesh fraud list.
`

type Answered = Pick<JobResult, 'jobId' | 'elapsedMs'> & Pick<ClosedJob, 'verdict' | 'disputes'>
type Outcome = Answered | { readonly failure: JobError['failure'] }

/** How long a short-lived node stays for those who fetch a proof that it told of. Whoever does not is told by its next one. */
const PROOFS_FETCHED_MS = 3_000

async function probe(text: string, options: ProbeOptions, terminal: Terminal): Promise<void> {
  const model = resolveModel(text, await openModelStore(options.data))
  const session = await openSession({ ...options, terminal })
  const outcomes: Outcome[] = []
  let told: string[] = []
  try {
    for (let number = 1; number <= options.count; number++) {
      const outcome = await sendCanary(session, model, options, terminal)
      terminal.progress('')
      outcomes.push(outcome)
      const lines = linesOf(outcome)
      // What keeps one from being answered keeps the next: it is told once.
      if (!options.json && lines.join() !== told.join()) for (const line of lines) terminal.note(line)
      told = 'failure' in outcome ? lines : []
      if (isHopeless(outcome)) break
    }
    if (session.via === 'short-lived-node' && proofsOf(outcomes).length > 0) {
      terminal.progress('telling others of what was found ...')
      await setTimeout(PROOFS_FETCHED_MS)
    }
  } finally {
    terminal.progress('')
    noteUnreachable(session, terminal)
    await session.close()
  }
  show(model, outcomes, options, terminal)
  if (answersOf(outcomes).length === 0) process.exitCode = 1
}

/** Whether there are too few to ask: nobody was, and whoever is missing will be missing for the next canary. */
function isHopeless(outcome: Outcome): boolean {
  return (
    'failure' in outcome &&
    outcome.failure.code === 'not-enough-providers' &&
    outcome.failure.attempts.length === 0
  )
}

/** What the mesh makes impossible is an outcome; a canary that cannot be sent at all is a failure of the command. */
async function sendCanary(
  session: Session,
  model: string,
  { replicas, lane, recompute, timeout }: ProbeOptions,
  terminal: Terminal,
): Promise<Outcome> {
  let result: JobResult
  try {
    result = await session.probe({
      model,
      replicas,
      ...(lane === undefined ? {} : { lane }),
      recomputeRate: recompute,
      timeoutMs: timeout * 1000,
      onProgress: showProgress(terminal),
    })
  } catch (error) {
    if (error instanceof JobError && error.failure.code !== 'invalid-job') return { failure: error.failure }
    throw error
  }
  const { verdict, disputes } = await result.closed
  return { jobId: result.jobId, elapsedMs: result.elapsedMs, verdict, disputes }
}

function answersOf(outcomes: readonly Outcome[]): Answered[] {
  return outcomes.flatMap((outcome) => ('failure' in outcome ? [] : [outcome]))
}

function proofsOf(outcomes: readonly Outcome[]): string[] {
  return [
    ...new Set(answersOf(outcomes).flatMap(({ disputes }) => disputes.flatMap(({ proof }) => proof ?? []))),
  ]
}

function linesOf(outcome: Outcome): string[] {
  return 'failure' in outcome ? [`canary: no answer: ${outcome.failure.message}`] : canaryLines(outcome)
}

function show(model: string, outcomes: readonly Outcome[], { json }: ProbeOptions, terminal: Terminal): void {
  const answered = answersOf(outcomes)
  const proofs = proofsOf(outcomes)
  const disputed = answered.filter(({ disputes }) => disputes.length > 0).length
  if (json) {
    terminal.printJson({
      model,
      sent: outcomes.length,
      answered: answered.length,
      agreed: answered.length - disputed,
      disputed,
      proofs,
      canaries: outcomes,
    })
    return
  }
  // Why was told.
  if (answered.length === 0) return
  const counts = [
    `${answered.length - disputed} agreed`,
    `${disputed} disputed`,
    `${outcomes.length - answered.length} without an answer`,
  ]
  terminal.print(`${outcomes.length} canaries: ${counts.join(', ')}`)
  for (const proof of proofs) terminal.print(`proof, told to others: ${proof}`)
}
