export type EnvelopeErrorCode =
  /** Not the one encoding of an envelope. */
  | 'malformed'
  | 'too-large'
  /** The envelope carries another kind of payload than was asked for. */
  | 'wrong-type'
  /** A key that is not Ed25519. */
  | 'unsupported-key'
  | 'bad-signature'

export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError'
  readonly code: EnvelopeErrorCode

  constructor(code: EnvelopeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
