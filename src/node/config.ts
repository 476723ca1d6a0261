import type { ExactRuntime, ModelRuntime } from '../../models/runtime/index.ts'
import type { ModelStore, StoredModel } from '../../models/store/index.ts'
import type { Host } from '../../peers/host/index.ts'
import type { ReputationParams } from '../../peers/reputation/index.ts'
import type { IncomingInference, InferenceAnswer } from '../../protocols/inference/index.ts'
import type { EvidenceKind, JobId, ProviderId, RequesterLimits } from '../requester/index.ts'
import type { Log } from './log.ts'
import type { CanaryReport } from './node.ts'
import type { Recheck } from './rechecking.ts'

export interface NodeConfig {
  /** Where identity, models, remembered peers and receipts lie. Made when missing. */
  readonly dataDirectory: string
  /** A fresh key for this run instead of the one in the data directory: for commands that only ask. */
  readonly ephemeral?: boolean
  /** The data directory whose models are used, if not this one: several nodes of one machine can share them. */
  readonly storeDirectory?: string
  /** Multiaddresses to listen on; an empty list only dials. */
  readonly listen: readonly string[]
  /** Multiaddresses of nodes to begin with. */
  readonly bootstrap: readonly string[]
  /** Whether to look for neighbours on the local network by multicast DNS. */
  readonly mdns: boolean
  /** Threads of each model's process; by default half of what the machine offers, at least one. */
  readonly threads?: number
  /** Memory above which a model's process is ended, in bytes; by default half of what this process may have. */
  readonly modelMemoryBytesMax?: number
  /**
   * Whether the exact lane of the models is provided too, and with it traces for disputes; true by default. Without it the
   * node saves a process a model, and its answers cannot survive a dispute by its own trace.
   */
  readonly exactLane?: boolean
  /**
   * Whether addresses of loopback and private ranges count as separate owners. True on one machine or a LAN, where all
   * share a range; false in a public mesh, where one owner could hide there.
   */
  readonly exemptPrivateAddresses?: boolean
  /**
   * The chance, from 0 to 1, that a canary follows a job of this node's own: a job with inputs that are nobody's, whose proofs
   * of fraud may be published. Default 0: a canary costs its providers as much as a job.
   */
  readonly canaryRate?: number
  readonly log: Log
  /** Told of every canary that came back. */
  readonly onCanary?: (report: CanaryReport) => void
  /** Told of every answer that rested on a key that was exposed later, and what became of it. */
  readonly onRecheck?: (recheck: Recheck) => void
  /** Parts replaced by others, for tests and the demo's liar; no command reaches them. */
  readonly parts?: NodeParts
}

export interface NodeParts {
  /** Models of its own, in place of those of the data directory. */
  readonly store?: ModelStore
  /** Sees the libp2p node before any protocol is registered and anybody dialled: for those who break it on purpose. */
  readonly onHost?: (host: Host) => void
  /** Runs a model, in place of a process of its own. */
  readonly createRuntime?: (model: StoredModel) => ModelRuntime
  /** Puts something around each model's runtime. */
  readonly wrapRuntime?: (runtime: ModelRuntime, model: StoredModel) => ModelRuntime
  /** Runs the exact lane of a model, in place of a process of its own. */
  readonly createExact?: (model: StoredModel, role: 'provider' | 'referee') => ExactRuntime
  /** Puts something around each exact runtime. */
  readonly wrapExact?: (
    runtime: ExactRuntime,
    model: StoredModel,
    role: 'provider' | 'referee',
  ) => ExactRuntime
  /** Puts something around what answers requests. */
  readonly wrapHandler?: (handler: InferenceHandler) => InferenceHandler
  readonly requesterLimits?: Partial<RequesterLimits>
  /** What is assumed of providers, in place of `REPUTATION_PARAMS`. */
  readonly reputation?: ReputationParams
  /** How long one provider is waited for, and the rest after the answer is known; in place of the defaults. */
  readonly attemptTimeoutMs?: number
  readonly observeMs?: number
  /** How long offers for an open call are taken; in place of the default. */
  readonly offerWindowMs?: number
  /** Told what is held for or against a provider; of a failed job, before the failure. */
  readonly onEvidence?: (jobId: JobId, provider: ProviderId, evidence: EvidenceKind) => void
}

export type InferenceHandler = (request: IncomingInference, signal: AbortSignal) => Promise<InferenceAnswer>
