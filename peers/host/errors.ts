export type HostErrorCode =
  | 'port-in-use'
  /** The operating system refused the address or port: not ours, or a privileged port. */
  | 'cannot-listen'
  /** A multiaddress does not parse, or has no transport that this node speaks (TCP). */
  | 'invalid-multiaddr'
  | 'too-many-bootstraps'

export class HostError extends Error {
  override readonly name = 'HostError'
  readonly code: HostErrorCode

  constructor(code: HostErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
