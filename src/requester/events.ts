import type { Candidate } from '../routing/index.ts'

/** Hex of the job commitment. */
export type JobId = string
/** Peer id as text. */
export type ProviderId = string

export interface JobSpec {
  readonly id: JobId
  /** CID of the model. */
  readonly model: string
  /** How many distinct providers are asked at first; up to `attemptsMax`. */
  readonly replicas: number
  /** How many of them must agree; above half of `replicas`. 1 with `replicas` 1 is the policy `signed`. */
  readonly quorum: number
  /** The most distinct providers that may be asked in all, replacements included; up to 16. */
  readonly attemptsMax: number
  /** Virtual or wall time, in the `now` of the machine. */
  readonly deadlineAtMs: number
  /**
   * How long the machine waits for one provider before it asks another. The slow one's answer is still welcome until
   * the job closes; if none came by then, that is the evidence `timed-out`.
   */
  readonly attemptTimeoutMs: number
  /** After the answer is settled, how long the remaining replicas are still waited for, for the record. */
  readonly observeMs: number
}

export type RequesterEvent =
  | { readonly type: 'submitted'; readonly job: JobSpec }
  /**
   * `complete` tells that the search has ended and no more will come without another `find`. Every `find` must be
   * answered so in the end, also in vain. A candidate that comes again replaces what was known of it.
   */
  | {
      readonly type: 'candidatesFound'
      readonly jobId: JobId
      readonly candidates: readonly Candidate[]
      readonly complete: boolean
    }
  /** Its receipt was verified (signature, key, commitment) before this event was made. */
  | {
      readonly type: 'resultReceived'
      readonly jobId: JobId
      readonly attempt: number
      /** Hex of the salted output digest. */
      readonly outputDigest: string
      /** Address group that the answer came from, which the verdict counts; left out, that of the candidate. */
      readonly group?: string
    }
  | {
      readonly type: 'requestFailed'
      readonly jobId: JobId
      readonly attempt: number
      readonly failure: AttemptFailure
    }
  /** Answer to the effect `compare`. */
  | {
      readonly type: 'compared'
      readonly jobId: JobId
      readonly left: number
      readonly right: number
      readonly agrees: boolean
    }
  | { readonly type: 'timerExpired'; readonly timer: string }
  | { readonly type: 'cancelled'; readonly jobId: JobId }

export interface AttemptFailure {
  readonly code: AttemptFailureCode
  readonly message: string
  readonly retryAfterMs: number
}

export type AttemptFailureCode =
  /** Refusals: no evidence against the provider. */
  | 'busy'
  | 'stopping'
  | 'unknown-model'
  | 'refused'
  /**
   * It says that the job itself is wrong. One provider's word does not end a job: it fails with `invalid-job` when a
   * quorum (at least two) says so, or everyone that could be asked.
   */
  | 'invalid-job'
  /** Network faults: nobody's fault. */
  | 'unreachable'
  | 'hung-up'
  /** The provider's own: it took the job and failed or did not answer. */
  | 'timeout'
  | 'failed'
  /** It broke the protocol: malformed frames, a bad signature, another job's receipt, outputs that do not hash. */
  | 'protocol-violation'
