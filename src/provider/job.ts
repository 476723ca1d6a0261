import type { BatchSizes } from './batch-sizes.ts'
import type { ModelLoad } from './effects.ts'
import type { ProviderRequest } from './events.ts'
import type { JobQueue } from './queue.ts'
import type { ServiceTimes } from './service-times.ts'

/** A job that waits or runs. Several requests can wait for it. */
export interface Job {
  readonly id: string
  readonly requester: string
  readonly model: Model
  readonly inputBytes: number
  readonly batchKey: string
  readonly rows: number
  /** By request id, in the order of arrival. The first one that is left when it starts is executed. */
  readonly requests: Map<string, ProviderRequest>
  /** It was in a batch that failed as a whole: now it has to fail, or not, by itself. */
  alone: boolean
  batch: Batch | undefined
}

export interface Batch {
  readonly id: number
  readonly model: Model
  readonly jobs: readonly Job[]
  /** When the runtime began with it, or was handed it while it was at another. */
  startedAtMs: number
  /** Nobody waits for it any more: from then on it is ended. */
  abortAtMs: number | undefined
}

export interface Model {
  readonly cid: string
  batching: boolean
  readonly queue: JobQueue
  /** What the runtime has, in its order: it is at the first. */
  readonly running: Set<Batch>
  readonly sizes: BatchSizes
  readonly times: ServiceTimes
  /** The runtime asked for a pause until then. */
  blockedUntilMs: number
  /** A batch is held open until then. */
  windowUntilMs: number | undefined
  /** Jobs in the batch that ended last. */
  lastBatchJobs: number
  readonly told: { load: ModelLoad | undefined; atMs: number; scheduled: boolean }
}
