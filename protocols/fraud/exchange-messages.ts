import { MessageReader, MessageWriter } from '../codec/index.ts'
import { PROOF_BYTES_MAX, PROOF_ID_BYTES } from './exchange-constants.ts'
import { asProofExchangeErrors, ProofExchangeError } from './exchange-errors.ts'

/** What comes before a proof's bytes, or instead of them. */
export type ProofReply =
  | { readonly type: 'proof'; readonly bytes: number }
  | { readonly type: 'refused'; readonly reason: ProofRefusal }

export type ProofRefusal = 'unknown' | 'busy'

/** Throws ProofExchangeError `malformed` unless `id` is a proof's id: 64 lowercase hexadecimal digits. */
export function encodeProofRequest(id: string): Uint8Array {
  return new MessageWriter().bytes(1, bytesOfProofId(id)).finish()
}

/** The id that is asked for. Throws ProofExchangeError `malformed`. */
export function decodeProofRequest(bytes: Uint8Array): string {
  return asProofExchangeErrors(() => {
    const reader = new MessageReader(bytes, 'request for a proof')
    const id = reader.bytes(1, { min: PROOF_ID_BYTES, max: PROOF_ID_BYTES })
    reader.end()
    return Buffer.from(id).toString('hex')
  })
}

/** Throws ProofExchangeError `malformed` when the proof is empty or too long. */
export function encodeProofReply(reply: ProofReply): Uint8Array {
  return asProofExchangeErrors(() => {
    const bytes =
      reply.type === 'refused'
        ? new MessageWriter().uint(1, 1 + REFUSALS.indexOf(reply.reason)).finish()
        : new MessageWriter().uint(2, reply.bytes).finish()
    decodeProofReply(bytes)
    return bytes
  })
}

/** Throws ProofExchangeError `malformed`. */
export function decodeProofReply(bytes: Uint8Array): ProofReply {
  return asProofExchangeErrors((): ProofReply => {
    const reader = new MessageReader(bytes, 'reply about a proof')
    const refusal = reader.uint(1, { max: REFUSALS.length })
    const length = refusal === 0 ? reader.uint(2, { min: 1, max: PROOF_BYTES_MAX }) : 0
    reader.end()
    return refusal === 0
      ? { type: 'proof', bytes: length }
      : { type: 'refused', reason: REFUSALS[refusal - 1]! }
  })
}

/** Throws ProofExchangeError `malformed` unless `id` is 64 lowercase hexadecimal digits. */
export function bytesOfProofId(id: string): Uint8Array {
  if (!PROOF_ID_SHAPE.test(id))
    throw new ProofExchangeError('malformed', 'a proof is named by the 64 hexadecimal digits of its SHA-256')
  return Buffer.from(id, 'hex')
}

const REFUSALS: readonly ProofRefusal[] = ['unknown', 'busy']
const PROOF_ID_SHAPE = /^[0-9a-f]{64}$/
