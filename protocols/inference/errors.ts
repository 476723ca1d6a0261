import { CodecError } from '../codec/index.ts'
import { FramingError } from '../framing/index.ts'

export type InferenceErrorCode =
  /** The peer could not be dialled, or does not speak this protocol. */
  | 'unreachable'
  /** The request's own time was over. */
  | 'timeout'
  /** The stream or the connection broke. Nobody's fault as far as one can tell. */
  | 'hung-up'
  /** The peer sent what the protocol does not allow. */
  | 'malformed'
  /** The peer announced more bytes than are allowed. */
  | 'frame-too-long'
  /** The peer answered another job. */
  | 'wrong-job'
  /** What the peer showed is not what it had committed to. */
  | 'broken-commitment'
  /** The peer committed to an answer and did not show it, while the connection held. */
  | 'withheld'
  /** The caller's signal was aborted, or the client was closed. */
  | 'aborted'
  /** Too many requests wait for this peer already. */
  | 'too-many-requests'

export class InferenceError extends Error {
  override readonly name = 'InferenceError'
  readonly code: InferenceErrorCode

  constructor(code: InferenceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Tells failures of the layers below in this module's words; what is neither is a fault of ours and passes as it is. */
export function asInferenceError(error: unknown): unknown {
  // A stream that was aborted on purpose fails with its reason as the cause.
  if (error instanceof Error && error.cause instanceof InferenceError) return error.cause
  if (error instanceof CodecError) return new InferenceError('malformed', error.message, { cause: error })
  if (error instanceof FramingError) return new InferenceError(error.code, error.message, { cause: error })
  return error
}
