import { GraphError } from '../graph/index.ts'

export type SourceErrorCode =
  /** What was given is neither a path that exists nor `npm:PACKAGE@VERSION#PATH`. */
  | 'bad-source'
  | 'not-found'
  /** A directory without a manifest must hold exactly one `.onnx` file. */
  | 'ambiguous-model'
  /** Files, sizes, digests or signature differ from what `verimesh.json` says. */
  | 'manifest-mismatch'
  /** `verimesh.json` cannot be read. */
  | 'malformed-manifest'
  /** A link, a device, a name that cannot travel. */
  | 'unsupported-file'
  | 'external-data-escapes'
  | 'external-data-missing'
  | 'corrupt-model'
  /** Inputs or outputs that Verimesh cannot carry. */
  | 'unsupported-model'
  /** A model that the exact lane does not execute, and that was not asked to be added without it. */
  | 'unsupported-operator'
  | 'too-large'
  /** npm could not be run, or did not find or fetch the package. */
  | 'npm-failed'
  /** A tarball that is not the one that npm's metadata promised. */
  | 'integrity-mismatch'
  | 'malformed-archive'
  /** The address is not the one that the catalogue pins. */
  | 'address-mismatch'
  | 'disk-full'

/** Why a model could not be imported. Nothing half-written is left behind. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: SourceErrorCode

  constructor(code: SourceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Gives a failure of the file system its name; lets everything else pass as it is. */
export function asSourceError(cause: unknown, where: string): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new SourceError(
        'disk-full',
        `the disk is full: the model could not be copied to ${where}. Free some space, or choose another data directory with --data; nothing was added`,
        { cause },
      )
    case 'ENOENT':
    case 'ENOTDIR':
      return new SourceError('not-found', `${(cause as Error).message}`, { cause })
    case 'ELOOP':
      return new SourceError(
        'unsupported-file',
        `a link where a file was expected: ${(cause as Error).message}`,
        {
          cause,
        },
      )
    default:
      return cause
  }
}

/** Runs `act`; what it says of a graph becomes a SourceError. */
export function graphFault<T>(act: () => T): T {
  try {
    return act()
  } catch (cause) {
    if (!(cause instanceof GraphError)) throw cause
    const { code } = cause
    throw new SourceError(
      code === 'corrupt-model' || code === 'unsupported-operator' ? code : 'unsupported-model',
      cause.message,
      { cause },
    )
  }
}
