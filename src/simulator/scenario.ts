/**
 * A scenario as a researcher writes it, in JSON, and as it is run: every field has its range and a default, and one that is
 * misspelt is refused. What may be swept is any field that holds a number, by its path.
 */
import { ScenarioError } from './errors.ts'
import { Fields, type Json } from './fields.ts'
import type { Hostility } from './hostility.ts'
import type { NetworkModel } from './network.ts'
import type { PolicySpec } from './policies.ts'
import { type Attackers, readAttackers } from './population.ts'
import type { ProviderModel } from './provider.ts'
import type { JobModel } from './requester.ts'
import type { Burst, Churn, Growth } from './world.ts'

export interface Scenario {
  readonly name: string
  /** What it should show, in a sentence. */
  readonly shows: string
  readonly policies: readonly PolicySpec[]
  readonly jobs: number
  readonly jobsPerSecond: number
  readonly bursts: readonly Burst[]
  readonly requesters: number
  readonly providers: number
  readonly models: number
  readonly modelsPerProvider: number
  /** Of how many models each requester asks; all, where that is more than there are. */
  readonly modelsPerRequester: number
  readonly processorClasses: number
  readonly poolSize: number
  readonly newcomerShare: number
  readonly shareMax: number
  readonly attackers: readonly Attackers[]
  readonly hostility: Hostility
  readonly network: NetworkModel
  readonly service: ProviderModel
  readonly job: JobModel
  readonly churn: Churn | undefined
  readonly growth: Growth | undefined
}

/** Values that take turns, by the path of a field. */
export type Sweep = Readonly<Record<string, readonly number[]>>

/** The short names of the literature, for the first group of attackers, and of what is swept most. */
const ALIASES: Readonly<Record<string, string>> = {
  f: 'attackers.0.share',
  s: 'attackers.0.rate',
  c: 'attackers.0.collusion',
}

const POLICY_NAMES = ['doubt', 'quorum', 'referee', 'm-first', 'majority', 'boinc', 'credibility'] as const
const POLICIES_MAX = 16
const ATTACKERS_MAX = 16
const SPANS_MAX = 64
/** What fits into the memory that is aimed at, 4 GB, with room. */
const NODES_MAX = 100_000
const JOBS_MAX = 10_000_000

/** Reads a scenario. Throws ScenarioError. */
export function readScenario(value: Json): Scenario {
  const fields = new Fields(value, '')
  const share = { min: 0, max: 1 }
  const nodes = { min: 1, max: NODES_MAX, whole: true }
  const service = readService(fields.object('service'))
  const scenario: Scenario = {
    name: fields.text('name'),
    shows: fields.text('shows'),
    policies: fields.list('policies', readPolicy, POLICIES_MAX),
    jobs: fields.number('jobs', 10_000, { min: 1, max: JOBS_MAX, whole: true }),
    jobsPerSecond: fields.number('jobsPerSecond', 20, { min: 0.001, max: 1_000_000 }),
    bursts: fields.list('bursts', readBurst, SPANS_MAX),
    requesters: fields.number('requesters', 1, nodes),
    providers: fields.number('providers', 100, nodes),
    models: fields.number('models', 1, nodes),
    modelsPerProvider: fields.number('modelsPerProvider', 1, { min: 1, max: 64, whole: true }),
    modelsPerRequester: fields.number('modelsPerRequester', NODES_MAX, nodes),
    processorClasses: fields.number('processorClasses', 4, { min: 1, max: 16, whole: true }),
    poolSize: fields.number('poolSize', 36, nodes),
    newcomerShare: fields.number('newcomerShare', 0.005, share),
    shareMax: fields.number('shareMax', 0.0295, share),
    attackers: fields.list('attackers', readAttackers, ATTACKERS_MAX),
    hostility: readHostility(fields.object('hostility')),
    network: readNetwork(fields.object('network')),
    service,
    job: readJob(fields.object('job'), service.serviceMs),
    churn: fields.has('churn') ? readChurn(fields.object('churn')) : undefined,
    growth: fields.has('growth') ? readGrowth(fields.object('growth')) : undefined,
  }
  // Read where runs are planned, from the text itself.
  readSweep(value)
  fields.raw('sweep')
  fields.end()
  if (scenario.policies.length === 0)
    throw new ScenarioError('out-of-range', 'policies', 'there must be one at least')
  return scenario
}

/** What a scenario sweeps by itself. Throws ScenarioError. */
export function readSweep(value: Json): Sweep {
  const sweep = new Fields(value, '').raw('sweep') ?? {}
  if (typeof sweep !== 'object' || sweep === null || Array.isArray(sweep)) {
    throw new ScenarioError('malformed', 'sweep', 'it must be an object of lists, { "f": [0.1, 0.2] }')
  }
  for (const [key, values] of Object.entries(sweep)) {
    if (!Array.isArray(values) || values.length === 0 || !values.every((one) => typeof one === 'number')) {
      throw new ScenarioError('malformed', `sweep.${key}`, 'it must be a list of numbers')
    }
  }
  return sweep as Sweep
}

/** The scenario with one field replaced, by its path or a short name. Throws ScenarioError `unknown-sweep`. */
export function withField(value: Json, key: string, replacement: number): Json {
  const path = (ALIASES[key] ?? key).split('.')
  const copy = structuredClone(value)
  let at: unknown = copy
  for (const part of path.slice(0, -1)) {
    const next: unknown = (at as Record<string, unknown> | undefined)?.[part]
    if (typeof next !== 'object' || next === null) {
      throw new ScenarioError('unknown-sweep', key, `the scenario has no ${path.join('.')} to sweep`)
    }
    at = next
  }
  const last = path.at(-1)!
  const target = at as Record<string, unknown>
  if (target[last] !== undefined && typeof target[last] !== 'number') {
    throw new ScenarioError('unknown-sweep', key, `${path.join('.')} holds no number`)
  }
  target[last] = replacement
  return copy
}

function readPolicy(fields: Fields): PolicySpec {
  const name = fields.choice('name', POLICY_NAMES)
  const share = { min: 0, max: 1 }
  switch (name) {
    case 'doubt':
      return {
        name,
        risk: fields.number('risk', 1e-3, { min: 1e-9, max: 0.5 }),
        floorRate: fields.number('floorRate', 0.03, share),
        referee: fields.flag('referee', true),
      }
    case 'quorum': {
      const replicas = fields.number('replicas', 3, { min: 1, max: 15, whole: true })
      const quorum = { min: (replicas >> 1) + 1, max: replicas, whole: true }
      return { name, replicas, quorum: fields.number('quorum', quorum.min, quorum) }
    }
    case 'referee':
      return {
        name,
        replicas: fields.number('replicas', 2, { min: 2, max: 15, whole: true }),
        ownRuns: fields.flag('ownRuns', true),
      }
    case 'm-first':
      return { name, votes: fields.number('votes', undefined, { min: 1, max: 8, whole: true }) }
    case 'majority':
      return { name, replicas: fields.number('replicas', undefined, { min: 1, max: 15, whole: true }) }
    case 'boinc':
      return { name, trustedAfter: fields.number('trustedAfter', 10, { min: 1, whole: true }) }
    case 'credibility':
      return {
        name,
        risk: fields.number('risk', 1e-3, { min: 1e-9, max: 0.5 }),
        spotCheckRate: fields.number('spotCheckRate', 0.1, share),
        saboteurShare: fields.number('saboteurShare', 0.35, { min: 0.001, max: 0.9 }),
      }
    default:
      return name satisfies never
  }
}

function readBurst(fields: Fields): Burst {
  return {
    fromMs: fields.number('fromMs', undefined, { min: 0 }),
    untilMs: fields.number('untilMs', undefined, { min: 0 }),
    factor: fields.number('factor', undefined, { min: 0.001, max: 10_000 }),
  }
}

function readHostility(fields: Fields): Hostility {
  const rate = { min: 0, max: 10_000 }
  const hostility = {
    accusationsPerSecond: fields.number('accusationsPerSecond', 0, rate),
    framingPerSecond: fields.number('framingPerSecond', 0, rate),
    floodPerSecond: fields.number('floodPerSecond', 0, rate),
    floodKeys: fields.number('floodKeys', 1, { min: 1, max: 10_000, whole: true }),
  }
  fields.end()
  return hostility
}

function readNetwork(fields: Fields): NetworkModel {
  const network = {
    latencyMs: fields.number('latencyMs', 30, { min: 0, max: 60_000 }),
    latencySigma: fields.number('latencySigma', 0.5, { min: 0, max: 3 }),
    ...(fields.has('latencyMatrixMs') ? { latencyMatrixMs: readMatrix(fields) } : {}),
    loss: fields.number('loss', 0, { min: 0, max: 0.9 }),
    retransmitMs: fields.number('retransmitMs', 200, { min: 1, max: 10_000 }),
    bandwidthBytesPerMs: fields.number('bandwidthBytesPerMs', 12_500, { min: 0 }),
    partitions: fields.list(
      'partitions',
      (partition) => ({
        fromMs: partition.number('fromMs', undefined, { min: 0 }),
        untilMs: partition.number('untilMs', undefined, { min: 0 }),
        sides: partition.number('sides', 2, { min: 2, max: 16, whole: true }),
      }),
      SPANS_MAX,
    ),
  }
  fields.end()
  return network
}

function readMatrix(fields: Fields): readonly (readonly number[])[] {
  const matrix = fields.raw('latencyMatrixMs')
  const path = fields.path('latencyMatrixMs')
  const isRow = (row: unknown): row is readonly number[] =>
    Array.isArray(row) && row.every((one) => typeof one === 'number' && one >= 0)
  if (!Array.isArray(matrix) || !matrix.every((row) => isRow(row) && row.length === matrix.length)) {
    throw new ScenarioError('malformed', path, 'it must be a square of milliseconds, one row for each region')
  }
  return matrix as readonly (readonly number[])[]
}

function readService(fields: Fields): ProviderModel {
  const service = {
    serviceMs: fields.number('serviceMs', 100, { min: 0.1, max: 600_000 }),
    serviceSigma: fields.number('serviceSigma', 0.2, { min: 0, max: 3 }),
    speedSigma: fields.number('speedSigma', 0.2, { min: 0, max: 3 }),
  }
  fields.end()
  return service
}

function readJob(fields: Fields, serviceMs: number): JobModel {
  const bytes = { min: 0, max: 64 << 20 }
  const time = { min: 1, max: 3_600_000 }
  const job = {
    serviceMs,
    inputBytes: fields.number('inputBytes', 180_000, bytes),
    outputBytes: fields.number('outputBytes', 50_000, bytes),
    timeoutMs: fields.number('timeoutMs', 30_000, time),
    attemptTimeoutMs: fields.number('attemptTimeoutMs', 3_000, time),
    observeMs: fields.number('observeMs', 10_000, time),
    // Text recognition, in bench/README.md: the dearest of the models whose native run takes 5 ms or more.
    tracedCost: fields.number('tracedCost', 9.5, { min: 1, max: 100 }),
    refereeMs: fields.number('refereeMs', 2, { min: 0, max: 10_000 }),
    outlierRate: fields.number('outlierRate', 1e-4, { min: 0, max: 0.5 }),
    recheckDelayMs: fields.number('recheckDelayMs', 60_000, { min: 0, max: 86_400_000 }),
    knownMax: fields.number('knownMax', 100, { min: 1, max: 1024, whole: true }),
    publicDisputes: fields.flag('publicDisputes', true),
    dialTimeoutMs: fields.number('dialTimeoutMs', 1_000, time),
  }
  fields.end()
  return job
}

function readChurn(fields: Fields): Churn {
  const churn = {
    leavesPerMinute: fields.number('leavesPerMinute', undefined, { min: 0.001, max: 60 }),
    awayMs: fields.number('awayMs', 30_000, { min: 1, max: 86_400_000 }),
  }
  fields.end()
  return churn
}

function readGrowth(fields: Fields): Growth {
  const growth = {
    from: fields.number('from', 1, { min: 1, whole: true }),
    everyMs: fields.number('everyMs', undefined, { min: 1 }),
  }
  fields.end()
  return growth
}
