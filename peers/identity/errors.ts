export type IdentityErrorCode =
  /** The file is there but is no valid key. Never overwritten: the key may be rescued from a backup. */
  | 'corrupt-identity'
  /** The file system refused to read it, or to write it. */
  | 'unreadable'
  | 'unwritable'
  | 'disk-full'

export class IdentityError extends Error {
  override readonly name = 'IdentityError'
  readonly code: IdentityErrorCode
  /** The identity file. */
  readonly path: string

  constructor(code: IdentityErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.path = path
  }
}
