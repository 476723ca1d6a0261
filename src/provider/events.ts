/** One request as it lies before the provider. Its signature is verified meanwhile; if it is bad, `cancelled` follows at once. */
export interface ProviderRequest {
  /** Names this request on this node; two requests may ask for the same job. */
  readonly requestId: string
  /** Hex of the job commitment. */
  readonly jobId: string
  /** Peer id that signed the job. */
  readonly requester: string
  readonly model: string
  readonly inputBytes: number
  /** What must be equal for requests to share a batch; empty when this one cannot be batched. */
  readonly batchKey: string
  /** Rows along the first dimension. */
  readonly rows: number
  readonly deadlineAtMs: number
}

export type ProviderEvent =
  | {
      readonly type: 'modelReady'
      readonly model: string
      readonly batching: boolean
      /** How many jobs an execution should have, where that was measured before; else it is learnt. */
      readonly batchJobsKnown?: number
      readonly serviceMsGuess: number
    }
  | { readonly type: 'modelGone'; readonly model: string }
  | { readonly type: 'requested'; readonly request: ProviderRequest }
  /** The requester hung up or cancelled. */
  | { readonly type: 'cancelled'; readonly requestId: string }
  | {
      readonly type: 'executed'
      readonly batchId: number
      readonly serviceMs: number
      /** One entry per request of the batch, in order. */
      readonly outcomes: readonly (
        | { readonly ok: true; readonly outputBytes: number }
        | { readonly ok: false; readonly code: ProviderRefusalCode; readonly message: string }
      )[]
    }
  | {
      readonly type: 'executionFailed'
      readonly batchId: number
      readonly code: ProviderRefusalCode
      readonly message: string
      readonly retryAfterMs: number
    }
  | { readonly type: 'timerExpired'; readonly timer: string }
  /** Take nothing new; finish what runs; hand back (refuse with `stopping`) what waits. */
  | { readonly type: 'draining' }

export type ProviderRefusalCode =
  | 'busy'
  | 'stopping'
  | 'unknown-model'
  /** Signature, salt, digest, input name, dtype or shape are wrong. */
  | 'invalid-job'
  | 'expired'
  | 'failed'
