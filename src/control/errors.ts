export type ControlErrorCode =
  /** No node runs on this data directory. */
  | 'not-running'
  /** Another node already runs on this data directory. */
  | 'already-running'
  /** The node answered with an error of its own. */
  | 'failed'
  | 'malformed'
  /** The socket belongs to another user. */
  | 'foreign-socket'

export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly code: ControlErrorCode

  constructor(code: ControlErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
