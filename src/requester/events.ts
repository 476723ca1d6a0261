import type { Candidate, Replication } from '../routing/index.ts'
import type { GuiltKind, SELF } from '../verification/index.ts'

/** Hex of the job commitment. */
export type JobId = string
/** Peer id as text. */
export type ProviderId = string
/** Whose run it is: the number of an attempt, or the requester's own. */
export type Party = number | typeof SELF

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
   * How long the machine waits for one provider. Another is asked then at the latest, and before that where this one takes
   * much longer than expected. The slow one's answer is still welcome until the job closes; if none came by then, though it
   * had this time, that is the evidence `timed-out`.
   */
  readonly attemptTimeoutMs: number
  /** After the answer is settled, how long the remaining replicas are still waited for, for the record. */
  readonly observeMs: number
  /** `exact`: answers agree by equal digest alone, and nothing is compared. */
  readonly lane: 'native' | 'exact'
  /** The class of instructions that a provider must have announced; left out, any. */
  readonly instructionSet?: string
  /** All who answer must agree; a disagreement becomes a dispute instead of being counted. */
  readonly referee: boolean
  /** The requester runs this job itself before it takes the answer. */
  readonly recompute: boolean
  /**
   * The requester can run the job itself: where nobody is left to ask, its own run stands in for an independent
   * provider. Only with `referee`.
   */
  readonly canRecompute: boolean
  /**
   * Decides how many are asked, by what is known of them, in place of `replicas` and `quorum`, which are then only what is
   * asked at least. With `referee` a disagreement is decided by the own run, where there can be one, else by a dispute;
   * without, by the credibility of those who give each answer.
   */
  readonly replication?: Replication
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
  /** Answer to the effect `trace`: its commitment was verified (signature, key, job, receipt, model, lane). */
  | {
      readonly type: 'traced'
      readonly jobId: JobId
      readonly attempt: number
      /** Hex of everything comparable in the commitment: equal exactly where whole traces are equal. */
      readonly root: string
      /** Hex of the salted digest of the exact outputs. */
      readonly outputDigest: string
      /** Its answer lies within the job's tolerance of its own exact run; in the exact lane the digests decide. */
      readonly agrees: boolean
      /**
       * Whether an answer that does not agree lies so far off that no honest machine gives it; default yes. Inputs exist on
       * which two engines part by more than the tolerance: such an answer is not taken, and held against nobody.
       */
      readonly contradicts?: boolean
      /**
       * What running a contradicting native answer again here gave, on the engine, version and instruction-set class of its
       * receipt: the very same bits, so that it is no lie but an input on which engines part; or others. Left out where
       * nothing was run.
       */
      readonly replay?: Replay
    }
  /**
   * A demand waits for its turn on this side, or has just got it: from then on the provider's time counts. A driver that
   * never makes a demand wait need not say so.
   */
  | {
      readonly type: 'traceTurn'
      readonly jobId: JobId
      readonly attempt: number
      readonly begun: boolean
    }
  | {
      readonly type: 'traceFailed'
      readonly jobId: JobId
      readonly attempt: number
      readonly code: TraceFailureCode
      readonly retryAfterMs: number
    }
  /** Answer to the effect `judge`. What is said of `self` is ignored. */
  | {
      readonly type: 'judged'
      readonly jobId: JobId
      readonly left: number
      readonly right: Party
      readonly verdicts: { readonly left: Judgement; readonly right: Judgement }
    }
  /** Answer to the effect `recompute`. */
  | {
      readonly type: 'recomputed'
      readonly jobId: JobId
      readonly root: string
      readonly outputDigest: string
      /** Attempts whose answers lie within the tolerance of the own exact run, of all that had answered by then. */
      readonly agreeing: readonly number[]
    }
  | { readonly type: 'recomputeFailed'; readonly jobId: JobId; readonly message: string }
  /** A fraud proof against that key was verified, wherever it came from. Not about one job: all drop that provider. */
  | { readonly type: 'exposed'; readonly provider: ProviderId }
  | { readonly type: 'timerExpired'; readonly timer: string }
  | { readonly type: 'cancelled'; readonly jobId: JobId }

/** Whether a run here gave the very bits of an answer, or others. */
export type Replay = 'same' | 'elsewhere'

export type TraceFailureCode =
  /** No loss, and no evidence: it may be asked again. */
  | 'busy'
  /** No loss, and no evidence: it has no exact lane for this model, the network failed, or its lane is another. */
  | 'cannot-trace'
  | 'unreachable'
  | 'not-comparable'
  /** It was silent although it could be reached. */
  | 'withheld'
  /** What it sent was malformed, badly signed, or not about this job. */
  | 'violated-protocol'

/** What the referee says of one side, by that side's own statement alone. */
export type Judgement =
  | { readonly status: 'cleared' | 'withheld' | 'undecided' }
  | { readonly status: 'guilty'; readonly kind: GuiltKind }

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
  /** A fraud proof against its key was verified meanwhile: given by the machine itself, not for a driver. */
  | 'exposed'
  /** The provider's own: it took the job and failed or did not answer. */
  | 'timeout'
  | 'failed'
  /** It broke the protocol: malformed frames, a bad signature, another job's receipt, outputs that do not hash. */
  | 'protocol-violation'
