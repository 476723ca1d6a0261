/** Looking for providers: what is remembered of them, and when asking begins. */
import { type Candidate, canServe, drawSome, type Random } from '../routing/index.ts'
import { fallbackOf, isQuiet, mayStandIn } from './decision.ts'
import { disputeTimes, isDisputeOverdue } from './dispute.ts'
import type { ProviderId } from './events.ts'
import { countUsable, isPending, type Job } from './job.ts'

export interface Remembering {
  readonly candidatesMax: number
  readonly isExcluded: (provider: ProviderId) => boolean
  readonly random: Random
}

/**
 * Remembers candidates that can serve the job and were not found out. Where more are new than are remembered, a random part
 * of them: a list has some order, and whoever can choose its key can stand first in it.
 */
export function addCandidates(
  job: Job,
  candidates: readonly Candidate[],
  { candidatesMax, isExcluded, random }: Remembering,
): void {
  const news: Candidate[] = []
  for (const candidate of candidates) {
    if (isExcluded(candidate.provider)) continue
    if (!canServe(candidate, job.spec)) {
      // It may have been known by a provider record only, which does not tell.
      job.candidates.delete(candidate.provider)
      continue
    }
    if (job.candidates.has(candidate.provider)) job.candidates.set(candidate.provider, candidate)
    else news.push(candidate)
  }
  for (const candidate of some(news, candidatesMax - job.candidates.size, random)) {
    job.candidates.set(candidate.provider, candidate)
  }
}

/** All, where there is room; else those of whom most is known, who were earned, and a random part of the others. */
function some(news: readonly Candidate[], room: number, random: Random): readonly Candidate[] {
  if (news.length <= room) return news
  const known = news.filter(({ record }) => record !== undefined && record.checked > 0)
  if (known.length === 0) return drawSome(news, room, random)
  known.sort((a, b) => b.record!.checked - a.record!.checked)
  // A quarter of the room stays for those who are new.
  const kept = known.slice(0, Math.ceil((room * 3) / 4))
  const isKept = new Set(kept)
  const others = news.filter((candidate) => !isKept.has(candidate))
  return [...kept, ...drawSome(others, room - kept.length, random)]
}

export function endSearch({ search }: Job, nowMs: number, findBackoffMsMax: number): void {
  search.running = false
  search.ended = true
  search.nextAtMs = nowMs + search.backoffMs
  search.backoffMs = Math.min(search.backoffMs * 2, findBackoffMsMax)
}

/** Asking begins when enough are known; or with fewer, where some were found out, and the own run can stand in. */
export function beginAsking(job: Job, isAnyoneOut: boolean): void {
  const { spec, search } = job
  const { replication, attemptsMax, replicas } = spec
  // Where trust decides, the first who happen to be found are not to be the ones who are asked.
  const isEnough =
    replication === undefined ? job.candidates.size >= replicas : job.candidates.size >= attemptsMax
  const isAll = replication !== undefined && search.ended && job.candidates.size > 0
  if (isEnough || isAll) job.state = { status: 'asking' }
  else if (isAnyoneOut && search.ended && !search.running) lowerTarget(job)
}

/** Has as many asked as there are, where the own run can stand in for the rest; true where that changes something. */
export function lowerTarget(job: Job): boolean {
  const { referee, canRecompute, replicas } = job.spec
  const known = countUsable(job)
  if (!referee || !canRecompute || job.own.status !== 'none') return false
  if (job.state.status !== 'finding' || known === 0 || known >= replicas) return false
  job.target = known
  job.state = { status: 'asking' }
  return true
}

/** Whether what is under way may still decide the job. Where something else can, the slow are not waited for. */
export function isHopeful(job: Job, nowMs: number, tracesMax: number): boolean {
  if (!isQuiet(job) || disputeTimes(job, nowMs, tracesMax).length > 0) return true
  if (fallbackOf(job) !== undefined || mayStandIn(job)) return false
  return job.attempts.some(isPending) || isDisputeOverdue(job)
}
