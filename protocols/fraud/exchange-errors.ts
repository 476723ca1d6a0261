import { CodecError } from '../codec/index.ts'

export type ProofExchangeErrorCode =
  /** The peer does not have the proof, or does not show it. */
  | 'unknown-proof'
  /** The peer gives no proof away at the moment. */
  | 'busy'
  /** The peer could not be dialled, or does not speak this protocol. */
  | 'unreachable'
  | 'timeout'
  | 'hung-up'
  /** The peer sent what the protocol does not allow: also a proof of another length than the notice says. */
  | 'malformed'
  /** The bytes are not those that the id names. */
  | 'wrong-bytes'
  | 'aborted'

export class ProofExchangeError extends Error {
  override readonly name = 'ProofExchangeError'
  readonly code: ProofExchangeErrorCode

  constructor(code: ProofExchangeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /** Whether no honest peer does this. The rest happens to anybody: networks break, stores forget. */
  get peerIsToBlame(): boolean {
    return this.code === 'malformed' || this.code === 'wrong-bytes'
  }
}

/** Runs `decode` and tells a failure of the codec in this module's words. */
export function asProofExchangeErrors<Value>(decode: () => Value): Value {
  try {
    return decode()
  } catch (cause) {
    if (!(cause instanceof CodecError)) throw cause
    throw new ProofExchangeError('malformed', cause.message, { cause })
  }
}
