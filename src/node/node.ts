import type { Manifest } from '../../models/manifest/index.ts'
import type { Lane } from '../../models/runtime/index.ts'
import type { Tensor } from '../../models/tensor/index.ts'
import type { JobFailure, JobId } from '../requester/index.ts'
import type { Verdict } from '../verification/index.ts'

/** A running node as the command line, the demo, the bench and the library see it. */
export interface VerimeshNode {
  readonly peerId: string
  /** Addresses at which others reach it, each ending in /p2p/PEERID. */
  multiaddrs(): string[]
  /** Starts to serve a model of the node's store: announces it by gossip and DHT. Throws when it does not load. */
  provide(cid: string): Promise<void>
  /** Ends when the job has ended. Throws JobError. */
  submit(request: SubmitRequest): Promise<JobResult>
  /** Manifest and task files of a model: from the own store, else from providers, verified against the CID. */
  describe(cid: string, signal?: AbortSignal): Promise<DescribedModel>
  status(): NodeStatus
  peers(): PeerStatus[]
  /**
   * Refuses new work, finishes (up to `drainMs`) what runs, leaves the mesh. Idempotent; with a `drainMs` of 0 it also
   * ends the draining that an earlier call began.
   */
  stop(options?: { drainMs?: number }): Promise<void>
}

export interface SubmitRequest {
  readonly model: string
  readonly inputs: readonly Tensor[]
  /** Default 3. */
  readonly replicas?: number
  /** Default: more than half of `replicas`. */
  readonly quorum?: number
  /** Default 30,000. */
  readonly timeoutMs?: number
  /** A lower tau than the manifest's; a higher one is refused. */
  readonly tau?: number
  /** Where the result bundle is written when the job closes, as `<jobId>.bundle`; nothing is written without it. */
  readonly bundleDirectory?: string
  /** Keep only digests, not inputs and outputs, in the bundle. */
  readonly digestsOnly?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: JobProgress) => void
}

export interface JobProgress {
  readonly jobId: JobId
  readonly stage: 'finding' | 'asking' | 'answered' | 'settled' | 'closed'
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
  readonly bundle: string | undefined
  readonly bundleError: Error | undefined
}

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
}

export interface PeerStatus {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly connected: boolean
  readonly rttMs: number | undefined
  readonly models: readonly { readonly cid: string; readonly queued: number; readonly serviceMs: number }[]
  readonly results: number
  readonly disagreed: number
}
