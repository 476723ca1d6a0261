import type { ProviderRefusalCode } from './events.ts'

export type ProviderEffect =
  /** `deadlineAtMs` is the latest of the batch's deadlines and some grace; the machine itself ends what is late by `abort`. */
  | {
      readonly type: 'execute'
      readonly batchId: number
      readonly model: string
      readonly requestIds: readonly string[]
      readonly deadlineAtMs: number
    }
  /** End a running execution: nobody waits for it any more. Its slot is free at once; what it still reports is ignored. */
  | { readonly type: 'abort'; readonly batchId: number }
  /**
   * Sign a receipt for what `batchId` produced at `index`, remember the answer under the job id, and send it. Once a
   * job: a `repeat` of it can follow at once, so what is remembered is the answer under way, until `forget`.
   * `requestId` waits for this job, but need not be the one that stood for it in `execute`.
   */
  | { readonly type: 'respond'; readonly requestId: string; readonly batchId: number; readonly index: number }
  /** This job was answered before: send the remembered answer, byte for byte. */
  | { readonly type: 'repeat'; readonly requestId: string; readonly jobId: string }
  | {
      readonly type: 'refuse'
      readonly requestId: string
      readonly code: ProviderRefusalCode
      readonly message: string
      readonly retryAfterMs: number
    }
  /** The remembered answer of this job may go. */
  | { readonly type: 'forget'; readonly jobId: string }
  /** A name in use moves that timer. The answer is `timerExpired`, at `atMs` or later. */
  | { readonly type: 'schedule'; readonly timer: string; readonly atMs: number }
  | { readonly type: 'unschedule'; readonly timer: string }
  /** The load of a model changed enough to tell. */
  | { readonly type: 'announce'; readonly model: string; readonly load: ModelLoad }
  /** After `draining`: nothing is left to do. */
  | { readonly type: 'drained' }

export interface ModelLoad {
  readonly running: number
  readonly queued: number
  /** How many requests are taken before new ones are refused as busy. */
  readonly capacity: number
  /** Median time of one execution, in milliseconds; the guess until one was measured. */
  readonly serviceMs: number
}
