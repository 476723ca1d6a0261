/** Whom to ask next for a job, and how many. */
import type { Posterior } from '../../peers/reputation/index.ts'
import {
  type Candidate,
  createEstimate,
  poolOf,
  type Random,
  type Shares,
  selectProviders,
  timely,
} from '../routing/index.ts'
import { isQuiet } from './decision.ts'
import { countDisputeMissing } from './dispute.ts'
import { countDoubtMissing } from './doubt.ts'
import type { ProviderId } from './events.ts'
import { againAt, answersOf, askedProviders, countAttempts, isComparing, type Job } from './job.ts'

/** How many more providers have to be asked: to replace the failed and slow, and to break a tie or lead a dispute. */
export function countMissing(job: Job): number {
  if (job.dispute !== undefined) return countDisputeMissing(job, isQuiet(job))
  const { referee, quorum, replication } = job.spec
  if (replication !== undefined) return countDoubtMissing(job)
  const open = countAttempts(job, 'open')
  const forReplicas = job.target - answersOf(job).length - open
  // Where a disagreement is a dispute, nobody more is asked to outvote it.
  if (referee) return Math.max(0, forReplicas)
  const agreed = job.cluster?.providers.length ?? 0
  const forQuorum = isComparing(job) ? 0 : quorum - agreed - open
  return Math.max(0, forReplicas, forQuorum)
}

export interface Choice {
  readonly nowMs: number
  readonly random: Random
  /** Open attempts of all our jobs by provider: candidates are snapshots, and many jobs are decided between two. */
  readonly outstanding: ReadonlyMap<ProviderId, number>
  /** Not to be drawn for this job. */
  readonly isAvoided: (provider: ProviderId) => boolean
  readonly trust: Trusting
}

/** How those who are known are preferred, where a rule of replication decides. */
export interface Trusting {
  readonly posterior: Posterior
  readonly shunnedAt: number
  readonly shares: Shares
  readonly rank: (provider: ProviderId) => number
  /** How many are worked with, where not more are needed to carry the load. */
  readonly poolSize: number
  readonly newcomerShare: number
}

export interface Chosen {
  readonly candidate: Candidate
  /** Until its answer, from now; infinite where nobody's service was measured: what is only claimed makes nobody late. */
  readonly expectedMs: number
}

/** Up to `count` providers: first those not asked yet, within attemptsMax, then the busy whose time has come. */
export function chooseProviders(job: Job, count: number, choice: Choice): readonly Chosen[] {
  if (count <= 0) return []
  const { nowMs, random, outstanding } = choice
  const asked = askedProviders(job)
  const atWork = job.attempts.filter(({ state }) => state.status !== 'ended')
  const usedGroups = new Set(atWork.map(({ group }) => group))
  const candidates: Candidate[] = []
  for (const candidate of job.candidates.values()) {
    const ours = outstanding.get(candidate.provider) ?? 0
    candidates.push(ours > candidate.outstanding ? { ...candidate, outstanding: ours } : candidate)
  }
  const expectedMs = createEstimate(candidates)
  const isMeasured = candidates.some(({ serviceMs }) => serviceMs !== undefined)
  const chosen = (some: readonly Candidate[]): Chosen[] =>
    some.map((candidate) => ({ candidate, expectedMs: isMeasured ? expectedMs(candidate) : Infinity }))
  const options = { nowMs, random, usedGroups, expectedMs }
  const room = Math.min(count, job.spec.attemptsMax - asked.size)
  const open = candidates.filter(
    ({ provider, notBeforeMs }) =>
      notBeforeMs <= nowMs && !asked.has(provider) && !choice.isAvoided(provider),
  )
  const trusted = job.spec.replication === undefined ? open : trustedPool(open, choice)
  const withinMs = job.spec.deadlineAtMs - nowMs
  const pool = timely(trusted, { withinMs, atLeast: room, expectedMs })
  const fresh = selectProviders(pool, room, { ...options, exclude: asked })
  if (fresh.length === count) return chosen(fresh)
  const again = againAt(job)
  const busy = candidates
    .filter(({ provider }) => again.has(provider))
    .map((candidate) => ({ ...candidate, notBeforeMs: again.get(candidate.provider)! }))
  const repeated = selectProviders(busy, count - fresh.length, { ...options, exclude: new Set() })
  return chosen([...fresh, ...repeated])
}

/** Of those who may be asked now, those who have not had their share, and of them the pool. */
function trustedPool(
  ready: readonly Candidate[],
  { random, outstanding, trust }: Choice,
): readonly Candidate[] {
  const unsated = ready.filter(({ provider }) => !trust.shares.isFull(provider))
  let load = 0
  for (const count of outstanding.values()) load += count
  // Under load the circle widens: waiting for the trusted must not cost more than checking others does.
  const size = Math.max(trust.poolSize, Math.ceil(load / LOAD_EACH))
  return poolOf(unsated.length > 0 ? unsated : ready, { ...trust, size, random })
}

/** Requests that a provider of the pool should have at once, at most, on average. */
const LOAD_EACH = 2
