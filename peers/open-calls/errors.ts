export type OpenCallsErrorCode =
  /** No neighbour listens to calls. */
  | 'unheard'
  /** More than others listen to of one author. */
  | 'too-many-calls'

export class OpenCallsError extends Error {
  override readonly name = 'OpenCallsError'
  readonly code: OpenCallsErrorCode

  constructor(code: OpenCallsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
