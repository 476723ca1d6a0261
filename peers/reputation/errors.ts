export type ReputationErrorCode =
  /** Written by a version of this program that is newer than this one. */
  | 'newer-version'
  /** Not, or not any more, what was written. */
  | 'damaged'
  /** Signed by another key than the one of this node. */
  | 'wrong-key'
  | 'too-large'
  /** The database cannot be opened, read or written just now. */
  | 'unavailable'

/** Says what happened, why, and what to do. */
export class ReputationError extends Error {
  override readonly name = 'ReputationError'
  readonly code: ReputationErrorCode

  constructor(code: ReputationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
