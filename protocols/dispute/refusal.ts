import { DIGEST_BYTES } from '../../models/tensor/index.ts'
import { CodecError, MessageReader, MessageWriter } from '../codec/index.ts'
import { EnvelopeError, openEnvelope, type Signer, sealEnvelope } from '../envelope/index.ts'
import { REFUSAL_BYTES_MAX, REFUSAL_MESSAGE_BYTES_MAX, RETRY_AFTER_MS_MAX } from './constants.ts'
import { DisputeError } from './errors.ts'

/** Why a provider does not give a trace, or no more of it. Signed, so that it cannot be taken for silence. */
export interface Refusal {
  readonly code: RefusalCode
  /** For a person: what happened, why, and what to do. At most half a KiB of UTF-8; longer ones are cut. */
  readonly message: string
  /** When it may be worth asking again; 0 where it is not. */
  readonly retryAfterMs: number
}

/** `busy` and `cannot-trace` are no loss and no evidence; of `invalid-demand` the requester is to blame. */
export type RefusalCode = (typeof REFUSAL_CODES)[number]

export interface SignedRefusal extends Refusal {
  readonly jobCommitment: Uint8Array
  /** Wall time of the provider, whole milliseconds since 1970. A claim. */
  readonly refusedAtMs: number
  /** Peer id of the signer. */
  readonly provider: string
  /** What travelled. */
  readonly sealed: Uint8Array
}

/** Signs a refusal as `signer`. */
export function sealRefusal(
  signer: Signer,
  refusal: Refusal & Pick<SignedRefusal, 'jobCommitment' | 'refusedAtMs'>,
): Uint8Array {
  const payload = new MessageWriter()
    .uint(1, VERSION)
    .bytes(2, refusal.jobCommitment)
    .uint(3, REFUSAL_CODES.indexOf(refusal.code) + 1)
    .text(4, cut(refusal.message))
    .uint(5, Math.min(RETRY_AFTER_MS_MAX, Math.max(0, Math.ceil(refusal.retryAfterMs))))
    .uint(6, refusal.refusedAtMs)
    .finish()
  return sealEnvelope(signer, REFUSAL_DOMAIN, REFUSAL_TYPE, payload)
}

/** Opens a sealed refusal, whoever signed it. Throws DisputeError `malformed` or `wrong-statement`. */
export function openRefusal(sealed: Uint8Array): SignedRefusal {
  try {
    const { peerId, payload } = openEnvelope(sealed, REFUSAL_DOMAIN, REFUSAL_TYPE)
    return { ...decodeRefusal(payload), provider: peerId, sealed }
  } catch (cause) {
    if (cause instanceof CodecError) throw new DisputeError('malformed', cause.message, { cause })
    if (!(cause instanceof EnvelopeError)) throw cause
    const isForged = cause.code === 'bad-signature' || cause.code === 'unsupported-key'
    throw new DisputeError(isForged ? 'wrong-statement' : 'malformed', cause.message, { cause })
  }
}

/** Opens a refusal and checks that it is the expected provider's and about that job. Throws DisputeError. */
export function verifyRefusal(
  sealed: Uint8Array,
  provider: string,
  jobCommitment: Uint8Array,
): SignedRefusal {
  const refusal = openRefusal(sealed)
  if (refusal.provider !== provider) {
    throw new DisputeError(
      'wrong-statement',
      `the refusal is signed by ${refusal.provider}, not by ${provider}`,
    )
  }
  if (Buffer.compare(refusal.jobCommitment, jobCommitment) !== 0) {
    throw new DisputeError('wrong-statement', `the refusal of ${provider} is about another job`)
  }
  return refusal
}

const VERSION = 1
const REFUSAL_DOMAIN = 'verimesh/dispute-refusal/1'
const REFUSAL_TYPE = new TextEncoder().encode('/verimesh/dispute-refusal/1')
/** In the order of their numbers on the wire, from 1. */
const REFUSAL_CODES = ['busy', 'cannot-trace', 'invalid-demand'] as const

function decodeRefusal(payload: Uint8Array): Omit<SignedRefusal, 'provider' | 'sealed'> {
  if (payload.byteLength > REFUSAL_BYTES_MAX) throw new CodecError('malformed refusal: it is too long')
  const reader = new MessageReader(payload, 'dispute refusal')
  reader.uint(1, { min: VERSION, max: VERSION })
  const refusal = {
    jobCommitment: reader.bytes(2, { min: DIGEST_BYTES, max: DIGEST_BYTES }),
    code: REFUSAL_CODES[reader.uint(3, { min: 1, max: REFUSAL_CODES.length }) - 1]!,
    message: reader.text(4, { max: REFUSAL_MESSAGE_BYTES_MAX }),
    retryAfterMs: reader.uint(5, { max: RETRY_AFTER_MS_MAX }),
    refusedAtMs: reader.uint(6, { max: Number.MAX_SAFE_INTEGER }),
  }
  reader.end()
  return refusal
}

/** The longest beginning of `text` that fits, without half a character. */
function cut(text: string): string {
  const whole = text.toWellFormed()
  const { read } = new TextEncoder().encodeInto(whole, new Uint8Array(REFUSAL_MESSAGE_BYTES_MAX))
  return whole.slice(0, read)
}
