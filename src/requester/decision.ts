/**
 * Which answer is accepted, and what that rests on; undefined while it can't be told. Nothing here changes a job, and
 * nothing depends on the order in which things became known.
 */
import { type Answer, SELF } from '../verification/index.ts'
import { firstDrawn, isBusyAwhile, isDisputing, isParty, type TracedParty, tracedParties } from './dispute.ts'
import {
  type Acceptance,
  type Attempt,
  agreement,
  answersOf,
  attemptWith,
  clusterOf,
  digestOf,
  isAwaited,
  isComparing,
  type Job,
} from './job.ts'

/** What can be accepted now without the requester's own run. */
export function acceptanceOf(job: Job): Acceptance | undefined {
  const { spec, cluster } = job
  if (job.dispute !== undefined) return refereed(job)
  const needed = spec.referee ? spec.replicas : spec.quorum
  if (cluster === undefined || cluster.providers.length < needed) return
  return spec.referee && !isUnanimous(job) ? undefined : counted(job)
}

/** What can be accepted where nobody is left to ask: a quorum that nobody contradicts whose answer still counts. */
export function fallbackOf(job: Job): Acceptance | undefined {
  const { spec, cluster } = job
  const enough = spec.referee && spec.replicas > 1 && (cluster?.providers.length ?? 0) >= spec.quorum
  return enough && isUnanimous(job) ? counted(job) : undefined
}

function counted(job: Job): Acceptance {
  const party = attemptWith(job, job.cluster!.digest).number
  return { party, exact: false, label: job.spec.replicas === 1 ? 'signed' : 'replicated' }
}

function isUnanimous(job: Job): boolean {
  return !isComparing(job) && job.cluster?.providers.length === answersOf(job).length
}

/** Whether answers that count differ, for certain. */
export function isDisagreed(job: Job): boolean {
  return !isComparing(job) && answersOf(job).length > 1 && !isUnanimous(job)
}

/**
 * All who could still speak were heard, all parties that traced have one root, and one of them was drawn after the
 * dispute began, from another address group than another: that two parties of a dispute agree shows nothing.
 */
function refereed(job: Job): Acceptance | undefined {
  if (!isQuiet(job)) return
  const traced = tracedParties(job)
  const roots = new Set(traced.map(({ root }) => root))
  if (roots.size !== 1 || !isConfirmed(job, traced)) return
  const standing = traced.filter(({ agrees }) => agrees).map(({ attempt }) => attempt)
  const party = chooseAnswer(job, standing)
  return party === undefined
    ? { party: traced[0]!.attempt.number, exact: true, label: 'refereed' }
    : { party, exact: false, label: 'refereed' }
}

function isConfirmed(job: Job, traced: readonly TracedParty[]): boolean {
  const drawnAt = firstDrawn(job)
  return traced.some(
    ({ attempt: { provider, group } }) =>
      drawnAt.get(provider)! >= job.dispute!.since &&
      traced.some(({ attempt: other }) => other.provider !== provider && other.group !== group),
  )
}

/** The requester's own run is right whatever others say: the accepted answer is one that stands with it, or its own. */
export function ownAcceptance(job: Job): Acceptance {
  const { own } = job
  if (own.status !== 'done') throw new Error('there is no own run to decide by')
  const contrary = new Set(
    tracedParties(job).flatMap(({ attempt, root }) => (root === own.root ? [] : attempt.number)),
  )
  const standing = job.attempts.filter(
    (attempt) => own.agreeing.has(attempt.number) && !contrary.has(attempt.number) && isLive(job, attempt),
  )
  const survivors = new Set(tracedParties(job).map(({ attempt }) => attempt))
  const survived = chooseAnswer(
    job,
    standing.filter((attempt) => survivors.has(attempt)),
  )
  // Drawn for a re-run, the job is labelled by that; else the own run has only confirmed who survived the dispute.
  if (survived !== undefined && !job.spec.recompute)
    return { party: survived, exact: false, label: 'refereed' }
  const party = chooseAnswer(job, standing)
  return party === undefined
    ? { party: SELF, exact: true, label: 'recomputed' }
    : { party, exact: false, label: 'recomputed' }
}

/** Of answers that all stand with one exact run, one that most agree with. */
function chooseAnswer(job: Job, standing: readonly Attempt[]): number | undefined {
  const answers = standing.flatMap((attempt): Answer[] => {
    const digest = digestOf(attempt)
    const { provider, group } = attempt
    return digest === undefined || !isLive(job, attempt) ? [] : [{ provider, group, digest }]
  })
  const cluster = clusterOf(job, answers)
  return standing.find((attempt) => cluster !== undefined && digestOf(attempt) === cluster.digest)?.number
}

function isLive(job: Job, attempt: Attempt): boolean {
  return digestOf(attempt) !== undefined && !job.out.has(attempt.provider)
}

/** Whether the own run is wanted before `acceptance` is taken. */
export function wantsOwnRun(job: Job, acceptance: Acceptance): boolean {
  if (job.own.status !== 'none') return false
  return job.spec.recompute || (job.spec.canRecompute && unheardDissent(job, acceptance).length > 0)
}

/** Whether somebody who answered otherwise has said busy, and is waited for. */
export function isDissentPending(job: Job, acceptance: Acceptance): boolean {
  return unheardDissent(job, acceptance).some((attempt) => isBusyAwhile(job, attempt))
}

/** Who answered otherwise and has not traced: perhaps the only honest one. */
function unheardDissent(job: Job, { party, exact }: Acceptance): Attempt[] {
  if (job.dispute === undefined || party === SELF) return []
  const traced = new Set(tracedParties(job).map(({ attempt }) => attempt))
  const accepted = exact ? undefined : digestOf(job.attempts[party]!)
  return job.attempts.filter((attempt) => {
    if (!isParty(job, attempt) || traced.has(attempt)) return false
    return accepted === undefined || agreement(job, digestOf(attempt)!, accepted) !== true
  })
}

/** Whether the own run may stand in for a provider that can't be found. */
export function mayStandIn(job: Job): boolean {
  const { spec, own } = job
  if (!spec.referee || !spec.canRecompute || own.status !== 'none' || !isQuiet(job)) return false
  return job.dispute !== undefined || answersOf(job).length > 0
}

/** Nothing is under way that is waited for. */
export function isQuiet(job: Job): boolean {
  return !job.attempts.some(isAwaited) && !isComparing(job) && !isDisputing(job)
}
