import type { Manifest } from '../../models/manifest/index.ts'
import type { Lane } from '../../models/runtime/index.ts'
import type { Tensor } from '../../models/tensor/index.ts'
import type { Evidence, Standing } from '../../peers/reputation/index.ts'
import type { JobFailure, JobId } from '../requester/index.ts'
import type { Verdict } from '../verification/index.ts'

/** A running node as the command line, the demo, the bench and the library see it. */
export interface VerimeshNode {
  readonly peerId: string
  /** Addresses at which others reach it, each ending in /p2p/PEERID. */
  multiaddrs(): string[]
  /** Starts to serve a model of the node's store: announces it by gossip and DHT. Throws when it does not load. */
  provide(cid: string): Promise<void>
  /** Begins to listen for providers of a model, so that the first job about it finds them at once. Idempotent. */
  seek(cid: string): void
  /** Ends when the job has ended. Throws JobError. */
  submit(request: SubmitRequest): Promise<JobResult>
  /**
   * Sends a canary: a job with inputs that are nobody's, under a referee, whose proofs may be published. It is for whoever
   * holds the model, and can judge. Throws JobError; `invalid-job` also where no inputs are found that do no harm.
   */
  probe(request: ProbeRequest): Promise<JobResult>
  /** Manifest and task files of a model: from the own store, else from providers, verified against the CID. */
  describe(cid: string, signal?: AbortSignal, options?: DescribeOptions): Promise<DescribedModel>
  status(): NodeStatus
  /** Whom it knows, and whom it remembers. */
  peers(): PeerStatus[]
  /** What this node makes of what it has seen of a provider, and why; undefined where it has seen nothing. */
  standing(peerId: string): ExplainedStanding | undefined
  /**
   * Does what goes on behind the person's jobs, and resolves with what of it is left when it is done or `signal` fires:
   * canaries come back, and answers are checked again that rest on a key which was exposed since, also while no node ran on
   * this data directory. A node that is not `ephemeral` begins with the latter by itself. Checks that are left are taken up by
   * the next node.
   */
  idle(options?: {
    readonly signal?: AbortSignal
    /** Told what there is to do, if anything. */
    readonly onWaiting?: (waiting: BackgroundWork) => void
  }): Promise<BackgroundWork>
  /**
   * Refuses new work, finishes (up to `drainMs`) what runs, leaves the mesh. Idempotent; with a `drainMs` of 0 it also
   * ends the draining that an earlier call began.
   */
  stop(options?: { drainMs?: number }): Promise<void>
}

export interface SubmitRequest {
  readonly model: string
  readonly inputs: readonly Tensor[]
  /**
   * What is done about a disagreement. `referee` has it decided by re-execution, which one honest provider survives;
   * `quorum` counts. Default: `referee` for a model with a plan that this node holds, unless a `quorum` is given or one
   * replica is enough.
   */
  readonly policy?: PolicyName
  /**
   * The probability that a wrong answer is accepted, in (0, 1), in place of a policy: as many providers are asked as their
   * records make it take. A known one is enough by itself, but for a floor of `floorRate`; newcomers never are.
   */
  readonly risk?: number
  /** What the answer is worth, in jobs that are worth 1, from 1 up: the risk is divided by it. Only with `risk`. */
  readonly value?: number
  /** Share of jobs, from 0 to 1, in which a second provider is asked although one would do. Default 0.03; only with `risk`. */
  readonly floorRate?: number
  /** Only providers of that class of instructions, as `x64-avx512`: alike to the last bit, where they do not batch. */
  readonly instructionSet?: string
  /** Default: the native lane, where the model has one. In the exact lane answers agree only when they are equal. */
  readonly lane?: Lane
  /** Share of jobs, from 0 to 1, whose answer this node computes again itself before it is accepted. Default 0. */
  readonly recomputeRate?: number
  /** Whether proofs of fraud about this job may be published: they show what some operator of the model was given. */
  readonly publicDisputes?: boolean
  /**
   * The chance, from 0 to 1, that a canary is sent after this job has closed: see `probe`. Default: the node's. Nothing is
   * sent where this node does not hold the model, or a canary of the model is under way.
   */
  readonly canaryRate?: number
  /** Default 3; 2 with the policy `referee`. */
  readonly replicas?: number
  /** Default: more than half of `replicas`. */
  readonly quorum?: number
  /** Default 30,000. */
  readonly timeoutMs?: number
  /** A lower tau than the manifest's; a higher one is refused. */
  readonly tau?: number
  /** Where the result bundle is written when the job closes, as `<jobId>.bundle`; nothing is written without it. */
  readonly bundleDirectory?: string
  /**
   * Ask those who answer a call that is broadcast to the mesh, drawn at random, instead of providers that this node knows
   * or finds: for a node that knows nobody. The call holds the terms and nothing of the inputs; who is drawn must commit to
   * its answer before any answer is asked for. Takes about 1.5 s more for the first job about a model. Default false.
   */
  readonly openCall?: boolean
  /** Keep only digests, not inputs and outputs, in the bundle. */
  readonly digestsOnly?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: JobProgress) => void
}

/** The terms of a canary, as of any job; see `SubmitRequest`. Two replicas at least: there has to be somebody to disagree. */
export type ProbeRequest = Pick<
  SubmitRequest,
  'model' | 'lane' | 'replicas' | 'recomputeRate' | 'timeoutMs' | 'tau' | 'openCall' | 'signal' | 'onProgress'
>

/** What came of a canary that was sent in the wake of a job. */
export interface CanaryReport {
  readonly model: string
  readonly jobId: JobId
  readonly verdict: Verdict
  readonly disputes: readonly DisputeReport[]
}

/** How much goes on behind the person's jobs. */
export interface BackgroundWork {
  readonly canaries: number
  /** Answers that are to be checked again. */
  readonly rechecks: number
}

export interface DescribeOptions {
  /** Ask those who answer an open call, as in `SubmitRequest`. */
  readonly openCall?: boolean
}

export type PolicyName = 'referee' | 'quorum'

export interface JobProgress {
  readonly jobId: JobId
  readonly stage: 'finding' | 'asking' | 'answered' | 'disputing' | 'settled' | 'closed'
  readonly found: number
  readonly asked: number
  readonly answered: number
}

export interface JobResult {
  readonly jobId: JobId
  readonly model: string
  /** The accepted outputs. */
  readonly outputs: readonly Tensor[]
  readonly verdict: Verdict
  /**
   * Of a job with a `risk`: the probability that the answer is wrong, by the records of those who gave it; 0 where this
   * machine ran it too. Left out where others decided a dispute.
   */
  readonly wrong?: number
  readonly elapsedMs: number
  /**
   * Resolves when the remaining replicas have answered or were given up: the complete verdict, what each provider
   * said, and where the bundle lies. Never rejects: a bundle that could not be written is told in `bundleError`.
   */
  readonly closed: Promise<ClosedJob>
}

export interface ClosedJob {
  readonly verdict: Verdict
  readonly answers: readonly {
    readonly provider: string
    readonly agreed: boolean
    readonly outputs: readonly Tensor[]
  }[]
  /** What came of each disagreement, one entry for each side that lost one. */
  readonly disputes: readonly DisputeReport[]
  readonly bundle: string | undefined
  readonly bundleError: Error | undefined
}

/** One side of a dispute that lost it. */
export interface DisputeReport {
  readonly jobId: JobId
  readonly model: string
  /** The step at which it was caught, counted from 1; 0 where no step decided. */
  readonly step: number
  /** How many its trace has; 0 where it gave none. */
  readonly steps: number
  /** ONNX operator of that step, or empty. */
  readonly operator: string
  readonly loser: string
  readonly kind: DisputeKind
  /** What the referee itself took: checking leaves and running the step again, in milliseconds. */
  readonly refereeMs: number
  /** Moved for this dispute, both ways, in bytes. */
  readonly bytes: number
  /** Where the proof lies; undefined where there is none, as of a kind that nobody else need believe. */
  readonly proof: string | undefined
}

/** The first four leave a proof; the others are this node's own findings. */
export type DisputeKind =
  | 'wiring'
  | 'execution'
  | 'shape'
  | 'equivocation'
  /** A native answer that is not that of its own exact run. */
  | 'contradicted-exact'
  /** The same, and running it again here, on hardware of the class that its receipt declares, gave other bits. */
  | 'contradicted-replay'
  /** It showed no trace, not the leaves that it committed to, or not what a step of them was given. */
  | 'withheld'

export class JobError extends Error {
  override readonly name = 'JobError'
  readonly failure: JobFailure

  constructor(failure: JobFailure) {
    super(failure.message)
    this.failure = failure
  }
}

export type NodeErrorCode = 'unknown-model'

export class NodeError extends Error {
  override readonly name = 'NodeError'
  readonly code: NodeErrorCode

  constructor(code: NodeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export interface DescribedModel {
  readonly cid: string
  readonly manifest: Manifest
  /** Task files by path. */
  readonly files: ReadonlyMap<string, Uint8Array>
}

export interface NodeStatus {
  readonly peerId: string
  readonly multiaddrs: readonly string[]
  readonly version: string
  readonly uptimeMs: number
  readonly connections: number
  readonly bootstrap: readonly {
    readonly multiaddr: string
    readonly connected: boolean
    readonly error?: string
  }[]
  readonly models: readonly {
    readonly cid: string
    readonly name: string
    readonly lane: Lane
    readonly state: 'loading' | 'ready' | 'backing-off' | 'failed'
    readonly running: number
    readonly queued: number
    readonly served: number
    readonly refused: number
    readonly serviceMs: number
  }[]
  readonly jobs: { readonly running: number; readonly settled: number; readonly failed: number }
  /** This node as a provider. What others make of it is theirs to know. */
  readonly standing: {
    /** Whether a proof of fraud against its own key is known here. */
    readonly condemned: boolean
    /** Answers of its own that were disputed: traced, and those of which it could not give a trace. */
    readonly traced: number
    readonly untraced: number
    /** Models that it provides and whose answers it cannot trace, now or at all, and why: they do not survive a dispute. */
    readonly untraceable: readonly { readonly cid: string; readonly name: string; readonly reason: string }[]
  }
}

export interface PeerStatus {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly connected: boolean
  readonly rttMs: number | undefined
  readonly models: readonly { readonly cid: string; readonly queued: number; readonly serviceMs: number }[]
  readonly results: number
  readonly disagreed: number
  /** Whether a proof against its key was verified here: it is asked no more. */
  readonly exposed: boolean
  /** What this node makes of what it has seen of its answers; undefined where it has seen nothing. */
  readonly standing: Pick<Standing, 'name' | 'saboteur' | 'reasons'> | undefined
}

/** A standing with the newest observations on which it rests. */
export interface ExplainedStanding extends Standing {
  /** Oldest first. */
  readonly recent: readonly Evidence[]
}
