export type TraceErrorCode =
  /** Bytes that are no leaf, or text that is no position. */
  | 'malformed'
  /** More leaves, iterations or bytes than a trace may have. */
  | 'too-large'

export class TraceError extends Error {
  override readonly name = 'TraceError'
  readonly code: TraceErrorCode

  constructor(code: TraceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
