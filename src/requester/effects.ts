import type { Verdict } from '../verification/index.ts'
import type { AttemptFailure, JobId, ProviderId } from './events.ts'

export type RequesterEffect =
  | { readonly type: 'find'; readonly jobId: JobId; readonly model: string; readonly atLeast: number }
  | {
      readonly type: 'dispatch'
      readonly jobId: JobId
      readonly attempt: number
      readonly provider: ProviderId
      /** Until when the provider may take, in `now`: the job's own deadline. Slower than `attemptTimeoutMs` is no failure. */
      readonly deadlineAtMs: number
    }
  | { readonly type: 'cancel'; readonly jobId: JobId; readonly attempt: number }
  /** A name in use moves that timer. The answer is `timerExpired`, at `atMs` or later. */
  | { readonly type: 'schedule'; readonly timer: string; readonly atMs: number }
  | { readonly type: 'unschedule'; readonly timer: string }
  /** Compare the outputs of two attempts (their digests differ) within the job's tolerance. */
  | { readonly type: 'compare'; readonly jobId: JobId; readonly left: number; readonly right: number }
  /** The answer is known: `accepted` is the attempt whose outputs are the answer. Exactly one settle or fail a job. */
  | { readonly type: 'settle'; readonly jobId: JobId; readonly accepted: number; readonly verdict: Verdict }
  | { readonly type: 'fail'; readonly jobId: JobId; readonly failure: JobFailure }
  /** After settle or fail, when nothing more will come: the complete record. The machine forgets the job. */
  | { readonly type: 'close'; readonly jobId: JobId; readonly verdict: Verdict | undefined }
  | {
      readonly type: 'recordEvidence'
      readonly jobId: JobId
      readonly provider: ProviderId
      readonly evidence: EvidenceKind
    }

export type EvidenceKind = 'agreed' | 'disagreed' | 'timed-out' | 'failed' | 'violated-protocol'

export type JobFailureCode =
  | 'not-enough-providers'
  | 'no-quorum'
  | 'deadline'
  | 'invalid-job'
  | 'cancelled'
  | 'overloaded'

export interface JobFailure {
  readonly code: JobFailureCode
  /** What happened, why, and what to do next. */
  readonly message: string
  readonly found: number
  readonly needed: number
  /** What went wrong at each provider that was asked. */
  readonly attempts: readonly { readonly provider: ProviderId; readonly failure: AttemptFailure }[]
}
