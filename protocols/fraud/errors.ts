import { CodecError } from '../codec/index.ts'
import { ReceiptError } from '../receipt/index.ts'

/** Why a proof proves nothing. */
export type FraudInvalidCode =
  /** Not the one encoding of a proof, or of what it holds. */
  | 'malformed'
  | 'too-large'
  | 'bad-signature'
  /** Its statements are not all signed by one key. */
  | 'wrong-key'
  /** A statement is about another job. */
  | 'wrong-job'
  /** The trace commitment is about another receipt. */
  | 'wrong-receipt'
  /** A leaf is not in the trace that the accused signed. */
  | 'wrong-leaf'
  /** The inputs are not the job's. */
  | 'wrong-input'
  /** The outputs are not those that the accused signed. */
  | 'wrong-output'
  /** The operands are not those that the leaf names. */
  | 'wrong-operands'
  /** Everything in it is genuine, and nothing contradicts anything. */
  | 'no-contradiction'

/** Why nothing can be said about a proof here and now. */
export type FraudUndecidedCode =
  /** The model is not at hand. */
  | 'unknown-model'
  /** The accused ran another version of the exact lane than this verifier has. */
  | 'other-lane'
  /** The accused derived another plan from the model. */
  | 'other-plan'
  /** The step could not be run: no room, no time, a crash, an engine that contradicts itself. */
  | 'cannot-run'
  | 'aborted'

/** `unproven` is a builder's: what it was given does not amount to a valid proof. */
export type FraudErrorCode = FraudInvalidCode | FraudUndecidedCode | 'unproven'

export class FraudError extends Error {
  override readonly name = 'FraudError'
  readonly code: FraudErrorCode

  constructor(code: FraudErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Runs `decode` and tells failures of the layers below in this module's words. */
export function asFraudErrors<Value>(decode: () => Value): Value {
  try {
    return decode()
  } catch (cause) {
    if (cause instanceof CodecError) throw new FraudError('malformed', cause.message, { cause })
    if (!(cause instanceof ReceiptError)) throw cause
    throw new FraudError(codeOf(cause), cause.message, { cause })
  }
}

function codeOf({ code }: ReceiptError): FraudInvalidCode {
  switch (code) {
    case 'bad-signature':
    case 'wrong-key':
    case 'too-large':
      return code
    default:
      return 'malformed'
  }
}
