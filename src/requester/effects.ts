import type { EvidenceKind } from '../../peers/reputation/index.ts'
import type { Verdict } from '../verification/index.ts'
import type { AttemptFailure, JobId, Party, ProviderId } from './events.ts'

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
  /**
   * Demand a signed trace commitment from the provider of this attempt, for the answer that it gave. Never while
   * another demand to the same attempt is open; after `traceFailed` with `busy` perhaps again. Ends with `close`.
   */
  | { readonly type: 'trace'; readonly jobId: JobId; readonly attempt: number }
  /** Both have traced (`self`: the own run) and their roots differ. One at a time for a job. Ends with `close`. */
  | { readonly type: 'judge'; readonly jobId: JobId; readonly left: number; readonly right: Party }
  /** What is under way for the dispute about this job is of no use any more. Another one may follow. */
  | { readonly type: 'endDispute'; readonly jobId: JobId }
  /** Run the job here, in the exact lane, with a trace. At most once a job; ends with `close`. */
  | { readonly type: 'recompute'; readonly jobId: JobId }
  /**
   * The answer is known. `accepted` is the attempt whose outputs are the answer; with `exact`, it is what that
   * party's exact run gave instead of what it answered (always so for `self`). Exactly one settle or fail a job.
   */
  | {
      readonly type: 'settle'
      readonly jobId: JobId
      readonly accepted: Party
      readonly exact: boolean
      readonly verdict: Verdict
      /**
       * The probability that the answer is wrong, as the job's rule of replication reckons it; 0 where the own run decided.
       * Left out without a rule, and where others decided a dispute by their traces.
       */
      readonly wrong?: number
    }
  | { readonly type: 'fail'; readonly jobId: JobId; readonly failure: JobFailure }
  /** After settle or fail, when nothing more will come: the complete record. The machine forgets the job. */
  | { readonly type: 'close'; readonly jobId: JobId; readonly verdict: Verdict | undefined }
  | {
      readonly type: 'recordEvidence'
      readonly jobId: JobId
      readonly provider: ProviderId
      readonly evidence: EvidenceKind
      /** From 0 to 1, see `Evidence`. */
      readonly strength: number
    }

export type JobFailureCode =
  | 'not-enough-providers'
  | 'no-quorum'
  /** Answers differ, and nobody is left by whom it could be told which is right. */
  | 'undecided-dispute'
  /** Those who can be asked are not known well enough for the risk that was accepted. */
  | 'too-doubtful'
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
