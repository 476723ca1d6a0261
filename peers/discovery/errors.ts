export type DiscoveryErrorCode = 'too-many-records' | 'invalid-cid'

export class DiscoveryError extends Error {
  override readonly name = 'DiscoveryError'
  readonly code: DiscoveryErrorCode

  constructor(code: DiscoveryErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
