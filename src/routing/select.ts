/**
 * Which providers get a job: two are drawn at random and the one that should be done sooner is taken. That spreads
 * load almost as well as looking at all of them, does not stampede whoever announced an empty queue last, and cannot
 * be predicted. What a provider says of itself is a claim: only our own measurements make anyone faster than the
 * median.
 *
 * Nothing here asks who has the model warm: who has, and was asked before, is measured and fast, and who must load it
 * first is slow, so that what is warm is preferred as long as it is not busy.
 */
import type { Candidate } from './candidate.ts'
import { RELIABILITY_MIN, RTT_MS_GUESS, SERVICE_MS_GUESS } from './constants.ts'
import type { Random } from './random.ts'

export type RoutingPolicy = 'two-choices' | 'random'

export interface SelectOptions {
  /** Providers that must not be taken. */
  readonly exclude: ReadonlySet<string>
  readonly nowMs: number
  readonly random: Random
  /** Default `two-choices`. */
  readonly policy?: RoutingPolicy
  /** See `createEstimate`; default, judged among the candidates. */
  readonly expectedMs?: (candidate: Candidate) => number
  /** Address groups that already work on this job; others come first. */
  readonly usedGroups?: ReadonlySet<string>
}

/**
 * Up to `count` distinct providers, in the order drawn; fewer where fewer are eligible. Nobody is taken before its
 * `notBeforeMs`. A group gets a second provider only when no other group has one left.
 */
export function selectProviders(
  candidates: readonly Candidate[],
  count: number,
  options: SelectOptions,
): Candidate[] {
  const { exclude, nowMs, random, policy = 'two-choices' } = options
  const { expectedMs = createEstimate(candidates) } = options
  const remaining = new Map<string, Candidate>()
  for (const candidate of candidates) {
    if (!exclude.has(candidate.provider) && candidate.notBeforeMs <= nowMs) {
      remaining.set(candidate.provider, candidate)
    }
  }
  // Who answers one in two has to be asked twice.
  const costMs = (candidate: Candidate): number =>
    expectedMs(candidate) / Math.max(RELIABILITY_MIN, candidate.reliability ?? 1)
  const used = new Set(options.usedGroups)
  const chosen: Candidate[] = []
  while (chosen.length < count && remaining.size > 0) {
    const all = [...remaining.values()]
    const fresh = all.filter(({ group }) => !used.has(group))
    const pool = fresh.length > 0 ? fresh : all
    const first = drawIndex(pool.length, random)
    let taken = pool[first]!
    if (policy === 'two-choices' && pool.length > 1) {
      const other = drawIndex(pool.length - 1, random)
      const second = pool[other < first ? other : other + 1]!
      if (costMs(second) < costMs(taken)) taken = second
    }
    chosen.push(taken)
    used.add(taken.group)
    remaining.delete(taken.provider)
  }
  return chosen
}

/** How long a request sent now should take if it is answered, in milliseconds, judged among `candidates`. */
export function createEstimate(candidates: readonly Candidate[]): (candidate: Candidate) => number {
  // Typed, which sorts without calling back, and one for all: this is reckoned for every draw.
  const values = new Float64Array(candidates.length)
  /** Of what is told of those of whom something is; undefined where nothing is. */
  const median = (tell: (candidate: Candidate) => number | undefined): number | undefined => {
    let count = 0
    for (const candidate of candidates) {
      const value = tell(candidate)
      if (value !== undefined) values[count++] = value
    }
    return values.subarray(0, count).sort()[(count - 1) >> 1]
  }
  const serviceMs =
    median((candidate) => candidate.serviceMs) ?? median(({ load }) => load?.serviceMs) ?? SERVICE_MS_GUESS
  const rttMs = median((candidate) => candidate.rttMs) ?? RTT_MS_GUESS
  const ahead = median(({ load }) => load && load.queued + load.running) ?? 0

  return (candidate) => {
    const { load, outstanding } = candidate
    const measured = candidate.serviceMs !== undefined
    const claimedAhead = load === undefined ? ahead : load.queued + load.running
    // A claim against one's own interest is believed, one in it only where we have measured.
    const waiting = Math.max(measured ? claimedAhead : Math.max(claimedAhead, ahead), outstanding)
    const service = candidate.serviceMs ?? Math.max(load?.serviceMs ?? 0, serviceMs)
    return (waiting + 1) * service + (candidate.rttMs ?? rttMs)
  }
}

function drawIndex(length: number, random: Random): number {
  return Math.floor(random.next() * length)
}
