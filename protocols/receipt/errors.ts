import { CodecError } from '../codec/index.ts'
import { EnvelopeError } from '../envelope/index.ts'

export type ReceiptErrorCode =
  /** Not the one encoding of a job, receipt or bundle, or a value outside its limits. */
  | 'malformed'
  | 'too-large'
  | 'bad-signature'
  /** Signed, but not by the key that it must be signed by; or by one that is not Ed25519. */
  | 'wrong-key'
  /** The receipt is about another job. */
  | 'wrong-job'
  /** The receipt is from another lane than the job asked for. */
  | 'wrong-lane'
  /** The inputs are not those that the job states. */
  | 'wrong-input'
  /** The outputs are not those that the receipt or the bundle states. */
  | 'wrong-output'
  /** A trace commitment is not of a receipt beside it, or not of the run that decided. */
  | 'wrong-trace'
  /** The verdict claims more than its receipts show, or contradicts them. */
  | 'weak-verdict'

export class ReceiptError extends Error {
  override readonly name = 'ReceiptError'
  readonly code: ReceiptErrorCode

  constructor(code: ReceiptErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Runs `decode` and tells failures of the layers below in this module's words. */
export function asReceiptErrors<Value>(decode: () => Value): Value {
  try {
    return decode()
  } catch (cause) {
    if (cause instanceof CodecError) throw new ReceiptError('malformed', cause.message, { cause })
    if (cause instanceof EnvelopeError) throw new ReceiptError(codeOf(cause), cause.message, { cause })
    throw cause
  }
}

function codeOf(error: EnvelopeError): ReceiptErrorCode {
  switch (error.code) {
    case 'malformed':
    case 'wrong-type':
      return 'malformed'
    case 'too-large':
      return 'too-large'
    case 'bad-signature':
      return 'bad-signature'
    case 'unsupported-key':
      return 'wrong-key'
    default:
      return error.code satisfies never
  }
}
