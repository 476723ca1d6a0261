import { CodecError } from '../codec/index.ts'
import { FramingError } from '../framing/index.ts'
import type { SignedRefusal } from './refusal.ts'

export type DisputeErrorCode =
  /** The peer could not be dialled, or does not speak this protocol. */
  | 'unreachable'
  /** The connection ended before what was awaited came. */
  | 'disconnected'
  /** The stream ended before what was awaited came, though the connection holds. */
  | 'hung-up'
  /** The peer said nothing, or not all, until the time was over, on a stream that was open. */
  | 'silent'
  /** The time was over while bytes still came. */
  | 'slow'
  /** After its commitment the peer refused to say more; `refusal` is what it signed. */
  | 'refused'
  /** The peer's run is of another lane or another plan: nothing can be compared. It may be honest. */
  | 'not-comparable'
  /** The peer sent what the protocol does not allow. */
  | 'malformed'
  /** The peer announced more bytes than are allowed. */
  | 'too-large'
  /** A statement is badly signed, by another key, or about another job or receipt. */
  | 'wrong-statement'
  /** The outputs are not those that the commitment states. */
  | 'wrong-outputs'
  /** The leaves do not have the count and the root that the commitment states. */
  | 'wrong-leaves'
  /** The operands do not hash to their names, or are not those of the step. */
  | 'wrong-operands'
  /** The caller's signal was aborted, or session or client were closed. */
  | 'aborted'
  /** Too many disputes wait for this peer already. */
  | 'too-many-disputes'

/** Whose fault it is, see `faultOf`. */
export type DisputeFault = 'network' | 'silence' | 'violation' | 'none'

export class DisputeError extends Error {
  override readonly name = 'DisputeError'
  readonly code: DisputeErrorCode
  /** With `refused`. */
  readonly refusal: SignedRefusal | undefined

  constructor(
    code: DisputeErrorCode,
    message: string,
    options?: ErrorOptions & { readonly refusal?: SignedRefusal },
  ) {
    super(message, options)
    this.code = code
    this.refusal = options?.refusal
  }
}

/**
 * The one map from an error to whose fault it is: of the network, where nobody is punished; silence, which is `withheld` if
 * the peer still answers pings and the network's otherwise; a violation of the protocol; or nobody's.
 */
export function faultOf(code: DisputeErrorCode): DisputeFault {
  switch (code) {
    case 'unreachable':
    case 'disconnected':
    case 'slow':
      return 'network'
    case 'hung-up':
    case 'silent':
      return 'silence'
    case 'malformed':
    case 'too-large':
    case 'wrong-statement':
    case 'wrong-outputs':
    case 'wrong-leaves':
    case 'wrong-operands':
      return 'violation'
    case 'refused':
    case 'not-comparable':
    case 'aborted':
    case 'too-many-disputes':
      return 'none'
    default:
      return code satisfies never
  }
}

/** Tells failures of the layers below in this module's words; what is neither is a fault of ours and passes as it is. */
export function asDisputeError(error: unknown): unknown {
  if (error instanceof DisputeError) return error
  // A stream that was aborted on purpose fails with its reason as the cause.
  if (error instanceof Error && error.cause instanceof DisputeError) return error.cause
  if (error instanceof CodecError) return new DisputeError('malformed', error.message, { cause: error })
  if (error instanceof FramingError) {
    return new DisputeError(codeOf(error), error.message, { cause: error })
  }
  return error
}

function codeOf(error: FramingError): DisputeErrorCode {
  switch (error.code) {
    case 'malformed':
      return 'malformed'
    case 'frame-too-long':
      return 'too-large'
    case 'hung-up':
      return 'hung-up'
    case 'timeout':
      return 'silent'
    default:
      return error.code satisfies never
  }
}
