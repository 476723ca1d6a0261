export type CodecErrorCode = 'malformed'

/** Bytes that are not the one encoding of a message, or a value that cannot be written as one. */
export class CodecError extends Error {
  override readonly name = 'CodecError'
  readonly code: CodecErrorCode = 'malformed'
}
