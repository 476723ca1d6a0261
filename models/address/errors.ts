export type AddressErrorCode =
  /** Not a CID of version 1 with SHA-256 that can be a directory's. */
  | 'malformed-address'
  /** A path that no model directory can hold, or one twice. */
  | 'bad-path'
  /** More files than one directory block can link. */
  | 'too-many-files'
  /** A block that the address does not lead to, or one twice. */
  | 'wrong-block'
  | 'missing-block'
  /** A block with the right hash that is no plain directory. */
  | 'malformed-block'
  | 'too-large'

export class AddressError extends Error {
  override readonly name = 'AddressError'
  readonly code: AddressErrorCode

  constructor(code: AddressErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
