/** Whom to ask next for a job, and how many. */
import { type Candidate, type Random, selectProviders } from '../routing/index.ts'
import { isQuiet } from './decision.ts'
import { countDisputeMissing } from './dispute.ts'
import type { ProviderId } from './events.ts'
import { againAt, answersOf, askedProviders, countAttempts, isComparing, type Job } from './job.ts'

/** How many more providers have to be asked: to replace the failed and slow, and to break a tie or lead a dispute. */
export function countMissing(job: Job): number {
  if (job.dispute !== undefined) return countDisputeMissing(job, isQuiet(job))
  const { referee, quorum } = job.spec
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
}

/** Up to `count` providers: first those not asked yet, within attemptsMax, then the busy whose time has come. */
export function chooseProviders(
  job: Job,
  count: number,
  { nowMs, random, outstanding }: Choice,
): readonly Candidate[] {
  if (count <= 0) return []
  const asked = askedProviders(job)
  const atWork = job.attempts.filter(({ state }) => state.status !== 'ended')
  const options = { nowMs, random, usedGroups: new Set(atWork.map(({ group }) => group)) }
  const candidates = [...job.candidates.values()].map((candidate) => ({
    ...candidate,
    outstanding: Math.max(candidate.outstanding, outstanding.get(candidate.provider) ?? 0),
  }))
  const room = Math.min(count, job.spec.attemptsMax - asked.size)
  const fresh = selectProviders(candidates, room, { ...options, exclude: asked })
  if (fresh.length === count) return fresh
  const again = againAt(job)
  const busy = candidates
    .filter(({ provider }) => again.has(provider))
    .map((candidate) => ({ ...candidate, notBeforeMs: again.get(candidate.provider)! }))
  return [...fresh, ...selectProviders(busy, count - fresh.length, { ...options, exclude: new Set() })]
}
