export type OpenCallErrorCode =
  /** Not the one encoding of a call or an offer within its limits. */
  | 'malformed'
  | 'too-large'
  /** An offer that is not signed by the key that it names. */
  | 'bad-signature'

export class OpenCallError extends Error {
  override readonly name = 'OpenCallError'
  readonly code: OpenCallErrorCode

  constructor(code: OpenCallErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
