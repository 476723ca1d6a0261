export type TensorErrorCode =
  | 'malformed-payload'
  | 'malformed-npy'
  | 'malformed-json'
  | 'payload-too-large'
  | 'unsupported-dtype'
  | 'size-mismatch'

export class TensorError extends Error {
  override readonly name = 'TensorError'
  readonly code: TensorErrorCode

  constructor(code: TensorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
