/**
 * One run: nodes, their machines and the network between them in virtual time, from the first question to the last
 * re-check. Everything follows from the seed.
 */
import { createPosterior, NEWCOMER } from '../../peers/reputation/index.ts'
import type { RequesterLimits } from '../requester/index.ts'
import { createRandom, type Random } from '../routing/index.ts'
import { createChecker } from './checkers.ts'
import { createClock } from './clock.ts'
import { exponential } from './distribution.ts'
import { beginHostility, type Hostility } from './hostility.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createNetwork, type NetworkModel } from './network.ts'
import { createPolicy, type PolicySpec } from './policies.ts'
import type { Member } from './population.ts'
import { createSimProvider, type ProviderModel, type SimProvider } from './provider.ts'
import {
  type ClosedQuestion,
  createSimRequester,
  type JobModel,
  type SimRequester,
  type Surroundings,
} from './requester.ts'
import { QUANTILES, type ResultRow, type RunSeries, type SeriesPoint } from './results.ts'

/** A run, with nothing left open. */
export interface RunSpec {
  /** Repeats it, as words for a person. */
  readonly repeat: string
  readonly seed: number
  readonly policy: PolicySpec
  readonly limits: Partial<RequesterLimits>
  readonly jobs: number
  readonly jobsPerSecond: number
  /** When each question is asked, in milliseconds and ascending, as many as `jobs`; left out, by `jobsPerSecond` at random. */
  readonly arrivalsMs?: readonly number[]
  readonly bursts: readonly Burst[]
  readonly requesters: number
  readonly providers: number
  readonly models: number
  readonly modelsPerProvider: number
  readonly modelsPerRequester: number
  /** Processor classes among providers. */
  readonly processorClasses: number
  readonly network: NetworkModel
  readonly service: ProviderModel
  readonly job: JobModel
  readonly churn: Churn | undefined
  readonly growth: Growth | undefined
  readonly hostility: Hostility
  /** Who provides, by number. */
  readonly createMembers: (random: Random) => readonly Member[]
  readonly f: number
  readonly s: number
  readonly c: number
  readonly parameters: Readonly<Record<string, number | string>>
  readonly pointsMax: number
}

/** Load times `factor` from `fromMs` until `untilMs`. */
export interface Burst {
  readonly fromMs: number
  readonly untilMs: number
  readonly factor: number
}

/** Each minute this share of providers leaves, in the midst of what it does, and comes back after a time. */
export interface Churn {
  readonly leavesPerMinute: number
  readonly awayMs: number
}

/** The mesh begins with `from` providers; the others join one by one, `everyMs` apart. */
export interface Growth {
  readonly from: number
  readonly everyMs: number
}

export interface Outcome {
  readonly row: ResultRow
  /** How many served answers had which label. */
  readonly labels: Readonly<Record<string, number>>
  readonly series: RunSeries
}

/**
 * Runs to the end. `onProgress` hears how many jobs were asked, now and then, `onClosed` of every question that was answered,
 * when all is known about it. Throws SimulationViolation.
 */
export function runWorld(
  spec: RunSpec,
  onProgress: (jobs: number) => void = () => {},
  onClosed: (question: ClosedQuestion) => void = () => {},
): Outcome {
  const random = createRandom(spec.seed)
  const clock = createClock()
  const network = createNetwork(spec.network, random.fork())
  const metrics = createMetrics(spec.jobs, spec.requesters + spec.providers)
  const policy = createPolicy(spec.policy, spec.limits)
  const population = spec.createMembers(random.fork())
  const byKey = new Map<string, SimProvider>()
  const honest = new Map<string, boolean>()
  const proved = new Set<string>()
  const checker = createChecker({
    repeat: spec.repeat,
    eventNumber: () => clock.events,
    isHonest: (key) => honest.get(key) ?? false,
  })
  function step(): boolean {
    const isMore = clock.step()
    checker.moved(clock.nowMs)
    return isMore
  }

  const providerRandom = random.fork()
  const providers = population.map(({ createConduct, group }, index): SimProvider => {
    const key = `p${index}`
    const conduct = createConduct()
    const models = Array.from({ length: spec.modelsPerProvider }, (_, offset) =>
      modelName((index + offset * STRIDE) % spec.models),
    )
    const provider = createSimProvider({
      key,
      node: spec.requesters + index,
      conduct,
      group: group ?? key,
      processorClass: index % spec.processorClasses,
      models: [...new Set(models)],
      clock,
      random: providerRandom.fork(),
      model: spec.service,
      alive: spec.growth === undefined || index < spec.growth.from,
      onAnnounced: metrics.announced,
    })
    byKey.set(key, provider)
    honest.set(key, conduct.honest)
    return provider
  })
  const byModel = new Map<string, SimProvider[]>()
  for (const provider of providers) {
    for (const model of provider.models) {
      const list = byModel.get(model)
      if (list === undefined) byModel.set(model, [provider])
      else list.push(provider)
    }
  }

  const world: Surroundings = {
    clock,
    network,
    metrics,
    checker,
    provider: (key) => byKey.get(key),
    isHonest: (key) => honest.get(key) ?? false,
    draw(model, own) {
      const list = byModel.get(model)
      if (list === undefined) return
      const drawn = list[Math.floor(own.next() * list.length)]
      return drawn?.alive && !proved.has(drawn.key) ? drawn : undefined
    },
    publish(key, from) {
      if (proved.has(key)) return
      proved.add(key)
      for (const other of requesters) {
        if (other === from || !other.knows(key)) continue
        metrics.message(from.node, other.node)
        const delay = network.delayMs(from.node, other.node, PROOF_BYTES, clock.nowMs)
        clock.after((delay ?? 0) + spec.job.refereeMs, () => other.expose(key))
      }
    },
    closed: onClosed,
    shunned(key) {
      const liar = byKey.get(key)
      if (liar?.key === key && liar.conduct.whitewashes === true) comeBack(liar)
    },
  }

  /** Under a new key, on the same machine. */
  function comeBack(provider: SimProvider): void {
    const formerKey = provider.key
    const key = `${formerKey.split('#')[0]}#${byKey.size}`
    provider.key = key
    provider.conduct = population[provider.node - spec.requesters]!.createConduct()
    byKey.set(key, provider)
    honest.set(key, provider.conduct.honest)
    for (const requester of requesters) requester.renamed(provider, formerKey)
  }

  const requesterRandom = random.fork()
  const requesters: SimRequester[] = Array.from({ length: spec.requesters }, (_, node) =>
    createSimRequester({ node, world, policy, model: spec.job, random: requesterRandom.fork() }),
  )

  const life = random.fork()
  const series: SeriesPoint[] = []
  const every = Math.max(1, Math.floor(spec.jobs / spec.pointsMax))
  let asked = 0
  let latenciesSeen = 0
  function note(): void {
    const { wrong, failed, latencies, latenciesMs } = metrics.totals
    const since = latenciesMs.slice(latenciesSeen, latencies).sort()
    latenciesSeen = latencies
    series.push({
      atMs: Math.round(clock.nowMs),
      jobs: asked,
      wrong,
      executions: executions(),
      failed,
      ...doubts(),
      found: countFound(),
      latencyP50Ms: since[since.length >> 1] ?? 0,
      nodes: providers.filter(({ alive }) => alive).length,
    })
  }

  function executions(): number {
    return providers.reduce((sum, provider) => sum + provider.executions, metrics.totals.extraExecutions)
  }

  function countFound(): number {
    let count = 0
    for (const key of metrics.totals.found) if (honest.get(key) === false) count += 1
    return count
  }

  const posterior = createPosterior(policy.reputation)
  /** Of the first requester that anybody has met: it stands for all. */
  function doubts(): Pick<SeriesPoint, 'doubtHonest' | 'doubtSaboteur'> {
    const sums = { true: [0, 0], false: [0, 0] }
    const [requester] = requesters
    for (const provider of providers) {
      const record = requester?.ledger.trackRecord(provider.key, provider.models[0]!, clock.nowMs) ?? NEWCOMER
      const sum = sums[`${provider.conduct.honest}`]
      sum[0]! += posterior.saboteur(record)
      sum[1]! += 1
    }
    const mean = ([sum, count]: number[]) => (count === 0 ? 0 : sum! / count!)
    return { doubtHonest: mean(sums.true), doubtSaboteur: mean(sums.false) }
  }

  function ask(): void {
    if (asked % every === 0) {
      note()
      onProgress(asked)
    }
    asked += 1
    const requester = requesters[Math.floor(life.next() * requesters.length)]!
    const model = modelName(modelOf(requester))
    requester.ask({ model, content: Math.floor(life.next() * 2 ** 31) })
    if (asked < spec.jobs) clock.at(nextAtMs(), ask)
  }

  function nextAtMs(): number {
    return spec.arrivalsMs?.[asked] ?? clock.nowMs + exponential(rateAt(clock.nowMs), life)
  }

  /** A requester asks of the same few models all the time, from its own number on. */
  function modelOf({ node }: SimRequester): number {
    const drawn = Math.floor(life.next() * Math.min(spec.models, spec.modelsPerRequester))
    return spec.modelsPerRequester < spec.models ? (node + drawn) % spec.models : drawn
  }

  function rateAt(nowMs: number): number {
    const burst = spec.bursts.find(({ fromMs, untilMs }) => nowMs >= fromMs && nowMs < untilMs)
    return (spec.jobsPerSecond / 1000) * (burst?.factor ?? 1)
  }

  function churn({ leavesPerMinute, awayMs }: Churn): void {
    if (asked >= spec.jobs) return
    const up = providers.filter(({ alive }) => alive)
    const leaving = up[Math.floor(life.next() * up.length)]
    if (leaving !== undefined) {
      leaving.crash()
      clock.after(awayMs * (0.5 + life.next()), () => leaving.revive())
    }
    const perMs = (leavesPerMinute * Math.max(1, up.length)) / 60_000
    clock.after(exponential(perMs, life), () => churn({ leavesPerMinute, awayMs }))
  }

  if (spec.growth !== undefined) {
    const { from, everyMs } = spec.growth
    for (const [index, provider] of providers.entries()) {
      if (index >= from) clock.at((index - from + 1) * everyMs, () => provider.revive())
    }
  }
  if (spec.churn !== undefined) churn(spec.churn)
  beginHostility({
    hostility: spec.hostility,
    clock,
    random: random.fork(),
    metrics,
    job: spec.job,
    requesters,
    providers,
    isOver: () => metrics.totals.served + metrics.totals.failed === spec.jobs,
  })
  if (spec.arrivalsMs === undefined) ask()
  else clock.at(nextAtMs(), ask)
  while (step()) {
    // With the last question answered nothing waits for more to become known.
    if (asked === spec.jobs && metrics.totals.served + metrics.totals.failed === spec.jobs) break
  }
  for (const requester of requesters) requester.hurry()
  while (requesters.some(({ pending }) => pending > 0) && step());
  note()
  checker.end()
  return {
    labels: Object.fromEntries(metrics.totals.labels),
    row: rowOf(spec, metrics, clock.events, executions(), providers, honest),
    series: seriesOf(spec, metrics, series, providers, executions()),
  }
}

function rowOf(
  spec: RunSpec,
  { totals }: Metrics,
  events: number,
  executions: number,
  providers: readonly SimProvider[],
  honest: ReadonlyMap<string, boolean>,
): ResultRow {
  const { policy, f, s, c, parameters, jobs } = spec
  const latencies = totals.latenciesMs.slice(0, totals.latencies).sort()
  const work = providers.map((provider) => provider.executions + provider.traced)
  const foundOf = (isHonest: boolean) =>
    [...totals.found].filter((key) => honest.get(key) === isHonest).length
  const messages = totals.messages
  const saboteurWork = providers.reduce((sum, one) => sum + (one.conduct.honest ? 0 : one.executions), 0)
  return {
    policy: policy.name,
    f,
    s,
    c,
    parameters,
    jobs,
    served: totals.served,
    failed: totals.failed,
    error: totals.wrong / jobs,
    executionsPerJob: round(executions / jobs),
    wrongLeftStanding: totals.standing.size,
    // A checker ends the run at the first one.
    honestCondemned: 0,
    wrongPerKeyMax: Math.max(0, ...totals.wrongBy.values()),
    wrongPerKeyMean: round(totals.wrongBy.size === 0 ? 0 : totals.wrong / totals.wrongBy.size),
    wrongPerHonestWork: round(totals.wrong / Math.max(1, saboteurWork - totals.lies)),
    saboteursFound: foundOf(false),
    disputes: totals.disputes,
    rechecks: totals.rechecks,
    loadShareMax: round(Math.max(...work) / Math.max(1, executions)),
    latencyP50Ms: round(quantile(latencies, 0.5)),
    latencyP99Ms: round(quantile(latencies, 0.99)),
    messagesPerNode: round(messages.reduce((sum, count) => sum + count, 0) / Math.max(1, messages.length)),
    messagesMax: messages.reduce((most, count) => Math.max(most, count), 0),
    events,
  }
}

function seriesOf(
  { policy, f, s, c, parameters }: RunSpec,
  { totals }: Metrics,
  points: readonly SeriesPoint[],
  providers: readonly SimProvider[],
  executions: number,
): RunSeries {
  const latencies = totals.latenciesMs.slice(0, totals.latencies).sort()
  const work = providers.map(({ executions, traced, conduct }) => ({
    work: executions + traced,
    honest: conduct.honest,
  }))
  return {
    policy: policy.name,
    f,
    s,
    c,
    parameters,
    points,
    latencyMs: QUANTILES.map((share) => round(quantile(latencies, share))),
    shares: work
      .sort((a, b) => b.work - a.work)
      .map((one) => ({ share: round(one.work / Math.max(1, executions)), honest: one.honest })),
  }
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

/** Enough to tell runs apart, and the same text on every machine. */
function round(value: number): number {
  return Number(value.toPrecision(9))
}

function modelName(index: number): string {
  return `m${index}`
}

/** Which models share a provider: not always the same ones. */
const STRIDE = 7
const PROOF_BYTES = 100_000
