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
    const first = draw(pool, random)
    let taken = first
    if (policy === 'two-choices' && pool.length > 1) {
      const rest = pool.filter((candidate) => candidate !== first)
      const second = draw(rest, random)
      if (costMs(second) < costMs(first)) taken = second
    }
    chosen.push(taken)
    used.add(taken.group)
    remaining.delete(taken.provider)
  }
  return chosen
}

/** How long a request sent now should take if it is answered, in milliseconds, judged among `candidates`. */
export function createEstimate(candidates: readonly Candidate[]): (candidate: Candidate) => number {
  const claims = candidates.flatMap(({ load }) => load ?? [])
  const serviceMs =
    median(candidates.flatMap((candidate) => candidate.serviceMs ?? [])) ??
    median(claims.map((load) => load.serviceMs)) ??
    SERVICE_MS_GUESS
  const rttMs = median(candidates.flatMap((candidate) => candidate.rttMs ?? [])) ?? RTT_MS_GUESS
  const ahead = median(claims.map((load) => load.queued + load.running)) ?? 0

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

function draw(pool: readonly Candidate[], random: Random): Candidate {
  return pool[Math.floor(random.next() * pool.length)]!
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)]
}
