import { CodecError } from '../codec/index.ts'

export type ModelFilesErrorCode =
  /** The peer does not have the model. */
  | 'unknown-model'
  /** The peer could not be dialled, or does not speak this protocol. */
  | 'unreachable'
  | 'timeout'
  | 'hung-up'
  /** The peer sent what the protocol does not allow. */
  | 'malformed'
  | 'aborted'

export class ModelFilesError extends Error {
  override readonly name = 'ModelFilesError'
  readonly code: ModelFilesErrorCode

  constructor(code: ModelFilesErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Runs `decode` and tells a failure of the codec in this module's words. */
export function asModelFilesErrors<Value>(decode: () => Value): Value {
  try {
    return decode()
  } catch (cause) {
    if (!(cause instanceof CodecError)) throw cause
    throw new ModelFilesError('malformed', cause.message, { cause })
  }
}
