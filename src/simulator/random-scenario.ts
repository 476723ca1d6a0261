/**
 * Scenarios at random (swarm testing): each draws which dangers it has and how large they are, so that what only two of
 * them together break is met sooner or later. Groce et al., "Swarm testing" (2012): leaving some features out of each
 * test finds more than having all in all.
 */
import { createRandom, type Random } from '../routing/index.ts'
import type { Json } from './fields.ts'
import { ATTACKER_KINDS } from './population.ts'

/** A scenario in JSON that `planRuns` takes, small enough to run in a second or so. It follows from `seed` alone. */
export function randomScenario(seed: number): { readonly [key: string]: Json } {
  const draw = new Draw(createRandom(seed).fork())
  const providers = draw.spread(2, 60, true)
  const jobs = draw.spread(20, 400, true)
  const serviceMs = draw.spread(0.5, 2000)
  const [latencyMs, transferMs] = [draw.spread(0.1, 300), draw.of([0, draw.spread(0.1, 300)])]
  // What a job takes where nothing goes wrong: everything else is drawn in proportion, or nothing would ever be answered.
  const onceMs = 2 * latencyMs + transferMs + serviceMs
  const jobsPerSecond = (draw.spread(0.002, 2) * providers * 1000) / (2 * serviceMs)
  const spanMs = Math.max(onceMs, (1000 * jobs) / jobsPerSecond)
  return {
    name: `random-${seed}`,
    shows: 'That no law is broken.',
    policies: [policy(draw)],
    jobs,
    jobsPerSecond,
    requesters: draw.spread(1, 6, true),
    providers,
    models: draw.spread(1, 3, true),
    modelsPerProvider: draw.spread(1, 3, true),
    modelsPerRequester: draw.spread(1, 3, true),
    processorClasses: draw.spread(1, 4, true),
    ...draw.some(0.5, () => ({ poolSize: draw.spread(1, 60, true) })),
    ...draw.some(0.5, () => ({ newcomerShare: draw.share() })),
    ...draw.some(0.5, () => ({ shareMax: draw.between(0.01, 1) })),
    attackers: draw.list(3, () => attackers(draw)),
    ...draw.some(0.3, () => ({ hostility: hostility(draw, jobsPerSecond) })),
    network: network(draw, { latencyMs, transferMs, spanMs }),
    service: {
      serviceMs,
      serviceSigma: draw.of([0, draw.between(0, 1.5)]),
      speedSigma: draw.of([0, draw.between(0, 1.5)]),
    },
    job: job(draw, onceMs),
    ...draw.some(0.3, () => ({
      bursts: draw.list(2, () => ({ ...span(draw, spanMs), factor: draw.spread(0.1, 200) })),
    })),
    // So often that some leave within the run, which may last milliseconds.
    ...draw.some(0.3, () => ({
      churn: {
        leavesPerMinute: within(0.001, 60, (60_000 / spanMs) * draw.spread(0.1, 10)),
        awayMs: within(1, DAY_MS, spanMs * draw.spread(0.01, 1)),
      },
    })),
    ...draw.some(0.2, () => ({
      growth: {
        from: draw.spread(1, providers, true),
        everyMs: 1 + (spanMs / providers) * draw.spread(0.1, 2),
      },
    })),
  }
}

function policy(draw: Draw): Json {
  // Ours half of the time; the rules of the literature run on the same machine and break other things.
  switch (
    draw.of([
      'doubt',
      'doubt',
      'doubt',
      'referee',
      'referee',
      'quorum',
      'm-first',
      'majority',
      'boinc',
      'credibility',
    ])
  ) {
    case 'doubt':
      return {
        name: 'doubt',
        risk: draw.spread(1e-6, 0.5),
        floorRate: draw.share(),
        referee: draw.chance(0.8),
      }
    case 'referee':
      return { name: 'referee', replicas: draw.spread(2, 5, true), ownRuns: draw.chance(0.5) }
    case 'quorum':
      return { name: 'quorum', replicas: draw.spread(1, 6, true) }
    case 'm-first':
      return { name: 'm-first', votes: draw.spread(1, 5, true) }
    case 'majority':
      return { name: 'majority', replicas: draw.spread(1, 6, true) }
    case 'boinc':
      return { name: 'boinc', trustedAfter: draw.spread(1, 20, true) }
    default:
      return {
        name: 'credibility',
        risk: draw.spread(1e-4, 0.5),
        spotCheckRate: draw.share(),
        saboteurShare: draw.between(0.001, 0.9),
      }
  }
}

function attackers(draw: Draw): Json {
  return {
    kind: draw.of(ATTACKER_KINDS),
    share: draw.of([1, ...new Array(9).fill(draw.spread(0.02, 0.7))]),
    rate: draw.of([1, draw.spread(0.01, 1)]),
    collusion: draw.of([0, 1, draw.share()]),
    honestTraces: draw.of([0, 1, draw.share()]),
    honestJobs: draw.spread(1, 60, true),
    factor: draw.spread(0.1, 100),
    oneGroup: draw.chance(0.5),
  }
}

/** In proportion to the load, or a slow scenario would consist of nothing else. */
function hostility(draw: Draw, jobsPerSecond: number): Json {
  const rate = () => draw.of([0, Math.min(10_000, jobsPerSecond * draw.spread(0.1, 10))])
  return {
    accusationsPerSecond: rate(),
    framingPerSecond: rate(),
    floodPerSecond: rate(),
    floodKeys: draw.spread(1, 20, true),
  }
}

interface Pace {
  readonly latencyMs: number
  readonly transferMs: number
  readonly spanMs: number
}

function network(draw: Draw, { latencyMs, transferMs, spanMs }: Pace): Json {
  const regions = draw.spread(1, 3, true)
  const row = () => Array.from({ length: regions }, () => latencyMs * draw.spread(0.1, 10))
  return {
    latencyMs,
    latencySigma: draw.of([0, draw.between(0, 1)]),
    ...draw.some(0.2, () => ({ latencyMatrixMs: Array.from({ length: regions }, row) })),
    loss: draw.of([0, draw.spread(0.001, 0.4)]),
    retransmitMs: within(1, 10_000, latencyMs * draw.spread(0.5, 10)),
    bandwidthBytesPerMs: transferMs === 0 ? 0 : (INPUT_BYTES + OUTPUT_BYTES) / transferMs,
    ...draw.some(0.3, () => ({
      partitions: draw.list(3, () => ({ ...span(draw, spanMs), sides: draw.spread(2, 5, true) })),
    })),
  }
}

/** Deadlines that are met easily, and now and then such as nobody can meet. */
function job(draw: Draw, onceMs: number): Json {
  const timeoutMs = Math.max(
    1,
    onceMs * draw.of([draw.spread(0.1, 2), draw.spread(2, 50), ...new Array(4).fill(draw.spread(20, 500))]),
  )
  return {
    inputBytes: INPUT_BYTES,
    outputBytes: OUTPUT_BYTES,
    timeoutMs,
    attemptTimeoutMs: Math.max(1, draw.of([timeoutMs * draw.between(0.02, 1), onceMs * draw.spread(0.5, 5)])),
    observeMs: Math.max(1, onceMs * draw.spread(0.1, 20)),
    tracedCost: draw.spread(1, 30),
    refereeMs: onceMs * draw.spread(0.001, 1),
    outlierRate: draw.of([0, 1e-4, draw.spread(1e-3, 0.3)]),
    recheckDelayMs: draw.of([0, onceMs * draw.spread(0.1, 100)]),
    knownMax: draw.of([100, draw.spread(1, 100, true)]),
    publicDisputes: draw.chance(0.7),
    dialTimeoutMs: Math.max(1, onceMs * draw.spread(0.1, 10)),
  }
}

/** Enough that the memory which providers set aside for inputs is full at times. */
const INPUT_BYTES = 1_000_000
const OUTPUT_BYTES = 200_000

function span(draw: Draw, spanMs: number): { fromMs: number; untilMs: number } {
  const fromMs = draw.between(0, spanMs)
  return { fromMs, untilMs: fromMs + draw.spread(1, spanMs + 1) }
}

/** What a scenario takes. */
function within(min: number, max: number, value: number): number {
  return Math.min(max, Math.max(min, value))
}

const DAY_MS = 24 * 60 * 60_000

/** Draws of several kinds from one source. */
class Draw {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  between(min: number, max: number): number {
    return min + this.#random.next() * (max - min)
  }

  /** Each decade as likely as another. A whole number where `whole`. */
  spread(min: number, max: number, whole = false): number {
    const value = min * (max / min) ** this.#random.next()
    return whole ? Math.min(max, Math.floor(value)) : value
  }

  /** From 0 to 1, and often either of them. */
  share(): number {
    return this.of([0, 1, this.between(0, 1), this.between(0, 1), this.between(0, 1), this.between(0, 1)])
  }

  chance(probability: number): boolean {
    return this.#random.next() < probability
  }

  of<Value>(values: readonly Value[]): Value {
    return values[Math.floor(this.#random.next() * values.length)]!
  }

  list<Value>(lengthMax: number, make: () => Value): Value[] {
    return Array.from({ length: Math.floor(this.#random.next() * (lengthMax + 1)) }, make)
  }

  some<Value extends object>(probability: number, make: () => Value): Value | Record<string, never> {
    return this.chance(probability) ? make() : {}
  }
}
