export type StoreErrorCode =
  /** What lies on the disk is not what the address says. The message names the file. */
  | 'corrupt-store'
  | 'unknown-model'
  /** The manifest and task files of a model weigh more than may travel. */
  | 'too-large'
  | 'disk-full'
  /** An imported model lies on another file system than the store, so that it cannot be taken by renaming. */
  | 'other-file-system'

export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Gives a failure of the file system its name; lets everything else pass as it is. */
export function asStoreError(cause: unknown, where: string): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new StoreError(
        'disk-full',
        `the disk is full: ${where} could not be written. Free some space, or choose another data directory with --data`,
        { cause },
      )
    case 'EXDEV':
      return new StoreError('other-file-system', `the model was not copied to the file system of ${where}`, {
        cause,
      })
    default:
      return cause
  }
}
