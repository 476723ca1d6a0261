/** Where a rule of replication decides how many are asked, and which answer may be served. */
import type { Posterior, TrackRecord } from '../../peers/reputation/index.ts'
import { wrongAmong } from '../routing/index.ts'
import { isDisagreed, isQuiet } from './decision.ts'
import type { ProviderId } from './events.ts'
import { type Acceptance, agreement, answersOf, attemptWith, isComparing, type Job } from './job.ts'

/**
 * One more is needed, or none: whom that one turns out to be decides whether another is. Who was asked and has not
 * answered yet is reckoned as if it will agree.
 */
export function countDoubtMissing(job: Job): number {
  const { replication } = job.spec
  if (replication === undefined) return 0
  // Where answers differ, each further one is weighed before the next is asked for.
  if (isDisagreed(job)) return isQuiet(job) ? 1 : 0
  return replication.isEnough(partiesOf(job), job.draw) ? 0 : 1
}

/** What can be accepted now, where nothing is disputed. */
export function doubtAcceptance(job: Job): Acceptance | undefined {
  const { spec, cluster, draw } = job
  const { replication, referee } = spec
  if (replication === undefined || cluster === undefined || isComparing(job)) return
  const groups = groupsOf(job)
  const isServed =
    groups.length === 1
      ? replication.isEnough(groups[0]!, draw)
      : !referee && isQuiet(job) && replication.prevails(groups, draw)
  if (!isServed) return
  const party = attemptWith(job, cluster.digest).number
  return { party, exact: false, label: cluster.providers.length === 1 ? 'signed' : 'replicated' }
}

/** The probability that the leading answer is wrong, by the records of all who answered; undefined without a rule. */
export function doubtOf(job: Job): number | undefined {
  const wrong = job.spec.replication?.wrong
  if (wrong === undefined) return
  const groups = groupsOf(job)
  return groups.length > 1 ? wrongAmong(groups, wrong) : wrong(groups[0] ?? [])
}

/**
 * How surely a lie of this provider would have been noticed by those who gave the same answer: that at least one of them
 * is of no coalition with it.
 */
export function checkStrength(
  job: Job,
  provider: ProviderId,
  agreed: ReadonlySet<ProviderId>,
  posterior: Posterior,
): number {
  let all = 1
  for (const attempt of job.attempts) {
    if (attempt.state.status !== 'answered' || attempt.provider === provider) continue
    if (agreed.has(attempt.provider)) all *= posterior.saboteur(attempt.record)
  }
  return 1 - all
}

/** Records of those who give each answer that counts, the leading one's first; empty without an answer. */
function groupsOf(job: Job): readonly (readonly TrackRecord[])[] {
  const { cluster } = job
  if (cluster === undefined) return []
  const leading = new Set(cluster.providers)
  const groups = new Map<string, TrackRecord[]>([[cluster.digest, []]])
  for (const { provider, digest } of answersOf(job)) {
    const record = job.attempts.find((attempt) => attempt.provider === provider)!.record
    const isSame = (known: string) => known !== cluster.digest && agreement(job, known, digest) === true
    const key = leading.has(provider) ? cluster.digest : ([...groups.keys()].find(isSame) ?? digest)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [record])
    else group.push(record)
  }
  return [...groups.values()]
}

/** Of all who have answered, and count, or may still. */
function partiesOf(job: Job): TrackRecord[] {
  return job.attempts.flatMap(({ provider, state, record }) => {
    const isParty = state.status === 'open' || (state.status === 'answered' && !job.out.has(provider))
    return isParty ? record : []
  })
}
