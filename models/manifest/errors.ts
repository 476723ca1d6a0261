export type ManifestErrorCode =
  /** Not a manifest: wrong form, a field missing, unknown, of the wrong type or outside its limits. */
  | 'malformed-manifest'
  /** A manifest, but not in its one canonical byte form. */
  | 'not-canonical'
  | 'manifest-too-large'
  /** Tensors that do not fit a signature. The message shows expected and given. */
  | 'input-mismatch'
  /** Outputs with other names or element types than the model has: nobody who ran it can have got them. */
  | 'output-mismatch'
  /** Outputs of another shape than the signature says. */
  | 'output-shape'

export class ManifestError extends Error {
  override readonly name = 'ManifestError'
  readonly code: ManifestErrorCode

  constructor(code: ManifestErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
