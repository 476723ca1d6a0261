/** What the requester knows of one job, and questions about it that change nothing. */
import type { TrackRecord } from '../../peers/reputation/index.ts'
import type { Candidate } from '../routing/index.ts'
import {
  type Answer,
  type Cluster,
  type DiscardReason,
  findCluster,
  type VerdictLabel,
} from '../verification/index.ts'
import type { Dispute } from './dispute.ts'
import type { AttemptFailure, JobSpec, Party, ProviderId } from './events.ts'

export interface Job {
  readonly spec: JobSpec
  /** In [0, 1): what the rule of replication leaves to chance, drawn after the job was fixed. */
  readonly draw: number
  state: JobState
  readonly candidates: Map<ProviderId, Candidate>
  /** Its index is its number. */
  readonly attempts: Attempt[]
  readonly search: Search
  /** Verdicts of `compare` by `pairKey`; undefined while awaited. */
  readonly compared: Map<string, boolean | undefined>
  /** Providers whose answers count for nothing. Who contradicted only its own exact run is still a party of a dispute. */
  readonly out: Map<ProviderId, DiscardReason>
  /** From the first disagreement on, under the policy `referee`; or when the own run contradicts an answer. */
  dispute: Dispute | undefined
  own: OwnRun
  /** How many are asked at first: `replicas`, or as many as there are where the own run stands in for the rest. */
  target: number
  /** The largest cluster of what is known; recomputed when an answer or a comparison arrives. */
  cluster: Cluster | undefined
  /** When the job's one timer will ring; undefined when none is set. */
  wakeAtMs: number | undefined
}

export type JobState =
  /** Fewer candidates than replicas are known; nobody was asked yet. */
  | { readonly status: 'finding' }
  | { readonly status: 'asking' }
  /** Settled; the answers still under way are waited for, for the record. */
  | {
      readonly status: 'observing'
      readonly acceptance: Acceptance
      /** Whose answers stood with the accepted outputs when it was settled. */
      readonly agreed: ReadonlySet<ProviderId>
      readonly untilMs: number
    }

/** Whose outputs are the answer: what the party answered, or with `exact` what its exact run gave. */
export interface Acceptance {
  readonly party: Party
  readonly exact: boolean
  readonly label: VerdictLabel
}

/** The requester's own run of the job in the exact lane. */
export type OwnRun =
  | { readonly status: 'none' }
  /** `heard`: the attempts that had answered when it began, which it will have been compared with. */
  | { readonly status: 'running'; readonly heard: ReadonlySet<number> }
  | {
      readonly status: 'done'
      readonly root: string
      readonly outputDigest: string
      readonly agreeing: ReadonlySet<number>
      readonly contradicting: ReadonlySet<number>
    }
  | { readonly status: 'failed'; readonly message: string }

export interface Attempt {
  readonly number: number
  readonly provider: ProviderId
  /** What was announced, until an answer shows where it came from. */
  group: string
  state: AttemptState
  /** What was known of it when it was asked. */
  readonly record: TrackRecord
}

export type AttemptState =
  /** From `lateAtMs` on another is asked in its place, if there is one. */
  | { readonly status: 'open'; readonly lateAtMs: number; readonly overdueAtMs: number }
  /** Slower than was expected of it. It is waited for as before, but not counted on. */
  | { readonly status: 'late'; readonly overdueAtMs: number }
  /** Too slow: it is not waited for any more, but its answer is still welcome. */
  | { readonly status: 'overdue' }
  | { readonly status: 'answered'; readonly digest: string }
  | { readonly status: 'ended'; readonly failure: AttemptFailure; readonly againAtMs: number }

export interface Search {
  /** A `find` is under way. */
  running: boolean
  /** One has ended. */
  ended: boolean
  nextAtMs: number
  backoffMs: number
  /** Since when nobody is left to ask; undefined while there is hope. */
  exhaustedSinceMs: number | undefined
}

export function createJob(spec: JobSpec, draw: number, nowMs: number, findBackoffMs: number): Job {
  return {
    spec,
    draw,
    state: { status: 'finding' },
    candidates: new Map(),
    attempts: [],
    search: {
      running: false,
      ended: false,
      nextAtMs: nowMs,
      backoffMs: findBackoffMs,
      exhaustedSinceMs: nowMs,
    },
    compared: new Map(),
    out: new Map(),
    dispute: undefined,
    own: { status: 'none' },
    target: spec.replicas,
    cluster: undefined,
    wakeAtMs: undefined,
  }
}

/** The answers that count. */
export function answersOf(job: Job): Answer[] {
  return everyAnswerOf(job).filter(({ provider }) => !job.out.has(provider))
}

export function everyAnswerOf(job: Job): Answer[] {
  return job.attempts.flatMap(({ provider, group, state }) =>
    state.status === 'answered' ? { provider, group, digest: state.digest } : [],
  )
}

/** The attempt that stands for all with this digest: the first that counts, or the first of those that do not. */
export function attemptWith(job: Job, digest: string): Attempt {
  const same = job.attempts.filter(({ state }) => state.status === 'answered' && state.digest === digest)
  const found = same.find(({ provider }) => !job.out.has(provider)) ?? same[0]
  if (found === undefined) throw new Error(`no attempt answered ${digest}`)
  return found
}

export function digestOf({ state }: Attempt): string | undefined {
  return state.status === 'answered' ? state.digest : undefined
}

/** Whether its answer may still come. */
export function isPending({ state }: Attempt): boolean {
  return state.status === 'overdue' || isAwaited({ state })
}

/** Whether nothing is decided before it has had its time. */
export function isAwaited({ state }: Pick<Attempt, 'state'>): boolean {
  return state.status === 'open' || state.status === 'late'
}

/** Notes whose time has come. Where `mayHedge` denies it that another is asked in its place, it is looked at again later. */
export function expireAttempts(job: Job, nowMs: number, mayHedge: () => boolean): void {
  const pausedUntilMs = nowMs + job.spec.attemptTimeoutMs * HEDGE_PAUSE
  for (const attempt of job.attempts) {
    const { state } = attempt
    if (state.status === 'late') {
      if (state.overdueAtMs <= nowMs) attempt.state = { status: 'overdue' }
    } else if (state.status === 'open' && state.overdueAtMs <= nowMs) {
      attempt.state = mayHedge()
        ? { status: 'overdue' }
        : { status: 'open', lateAtMs: Number.POSITIVE_INFINITY, overdueAtMs: pausedUntilMs }
    } else if (state.status === 'open' && state.lateAtMs <= nowMs) {
      const { overdueAtMs } = state
      attempt.state = mayHedge()
        ? { status: 'late', overdueAtMs }
        : { status: 'open', lateAtMs: pausedUntilMs, overdueAtMs }
    }
  }
}

/** Part of the time-out of an attempt after which one that may not be given up yet is looked at again. */
const HEDGE_PAUSE = 0.25

export function pairKey(left: string, right: string): string {
  return left < right ? `${left} ${right}` : `${right} ${left}`
}

/** What is known of two digests: undefined while the comparison is awaited. */
export function agreement(job: Job, left: string, right: string): boolean | undefined {
  return left === right || job.compared.get(pairKey(left, right))
}

export function isComparing(job: Job): boolean {
  for (const verdict of job.compared.values()) if (verdict === undefined) return true
  return false
}

export function updateCluster(job: Job): void {
  job.cluster = clusterOf(job, answersOf(job))
}

export function clusterOf(job: Job, answers: readonly Answer[]): Cluster | undefined {
  return findCluster(answers, (left, right) => agreement(job, left, right) === true)
}

export function countAttempts(job: Job, status: AttemptState['status']): number {
  return job.attempts.reduce((count, { state }) => (state.status === status ? count + 1 : count), 0)
}

export function askedProviders(job: Job): Set<ProviderId> {
  return new Set(job.attempts.map(({ provider }) => provider))
}

/** Busy providers that may be asked again, with the time from which they may. */
export function againAt(job: Job): Map<ProviderId, number> {
  const last = new Map(job.attempts.map((attempt) => [attempt.provider, attempt]))
  const again = new Map<ProviderId, number>()
  for (const [provider, { state }] of last) {
    if (state.status === 'ended' && state.againAtMs < job.spec.deadlineAtMs) {
      again.set(provider, state.againAtMs)
    }
  }
  return again
}

/** How many distinct providers say that the job itself is wrong. */
export function countInvalidClaims(job: Job): number {
  return job.attempts.filter(({ state }) => state.status === 'ended' && state.failure.code === 'invalid-job')
    .length
}

/** Candidates that have not failed this job for good. */
export function countUsable(job: Job): number {
  const usable = new Set(job.candidates.keys())
  const again = againAt(job)
  for (const { provider, state } of job.attempts) {
    if (job.out.has(provider)) usable.delete(provider)
    else if (state.status === 'ended' && !again.has(provider)) usable.delete(provider)
    else usable.add(provider)
  }
  return usable.size
}

/** When something happens by itself: the deadline, the end of observing, an attempt that becomes late or overdue. */
export function wakeTimes(job: Job, nowMs: number): number[] {
  const times = [job.spec.deadlineAtMs]
  // A dispute that is not over yet is observed beyond that time.
  if (job.state.status === 'observing' && job.state.untilMs > nowMs) times.push(job.state.untilMs)
  for (const { state } of job.attempts) {
    if (state.status === 'open') times.push(Math.min(state.lateAtMs, state.overdueAtMs))
    else if (state.status === 'late') times.push(state.overdueAtMs)
  }
  return times
}

/** When candidates that cannot be asked now can be, before the deadline. */
export function laterTimes(job: Job, nowMs: number, askedEnough: boolean): number[] {
  const times = [...againAt(job).values()]
  if (!askedEnough) {
    const asked = askedProviders(job)
    for (const { provider, notBeforeMs } of job.candidates.values()) {
      if (!asked.has(provider)) times.push(notBeforeMs)
    }
  }
  return times.filter((atMs) => atMs > nowMs && atMs < job.spec.deadlineAtMs)
}
