export type FramingErrorCode =
  /** A frame is empty, or its length is not written in the one allowed way. */
  | 'malformed'
  | 'frame-too-long'
  /** The stream ended, was reset or lost its connection before what was awaited came. */
  | 'hung-up'
  /** Nothing came for too long. */
  | 'timeout'

export class FramingError extends Error {
  override readonly name = 'FramingError'
  readonly code: FramingErrorCode

  constructor(code: FramingErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
