import { CodecError, MessageReader, MessageWriter } from '../codec/index.ts'
import {
  NOTICE_BYTES_MAX,
  NOTICE_MODEL_BYTES_MAX,
  PROOF_BYTES_MAX,
  PROOF_ID_BYTES,
} from './exchange-constants.ts'
import { asProofExchangeErrors, ProofExchangeError } from './exchange-errors.ts'
import { bytesOfProofId } from './exchange-messages.ts'

/** How the accused contradicts itself, see the README. */
export type FraudKind = 'wiring' | 'execution' | 'shape' | 'equivocation'

/**
 * Says that a proof exists, to those who may want to fetch it. Its author is whoever signed the gossip message, and
 * has verified the proof; nobody need believe any of it.
 */
export interface FraudNotice {
  /** SHA-256 of the proof's bytes, as 64 lowercase hexadecimal digits. */
  readonly id: string
  /** Peer id of the key that the proof is about. */
  readonly accused: string
  readonly kind: FraudKind
  /** CID of the model. */
  readonly model: string
  /** Length of the proof. */
  readonly bytes: number
}

/** Throws ProofExchangeError `malformed` when a value is outside its limits. */
export function encodeFraudNotice(notice: FraudNotice): Uint8Array {
  return asProofExchangeErrors(() => {
    const bytes = new MessageWriter()
      .uint(1, VERSION)
      .bytes(2, bytesOfProofId(notice.id))
      .text(3, notice.accused)
      .uint(4, 1 + FRAUD_KINDS.indexOf(notice.kind))
      .text(5, notice.model)
      .uint(6, notice.bytes)
      .finish()
    decodeFraudNotice(bytes)
    return bytes
  })
}

/** Throws ProofExchangeError `malformed` unless `bytes` are the one encoding of a notice within its limits. */
export function decodeFraudNotice(bytes: Uint8Array): FraudNotice {
  if (bytes.byteLength > NOTICE_BYTES_MAX)
    throw new ProofExchangeError('malformed', `a notice may have ${NOTICE_BYTES_MAX} bytes at most`)
  return asProofExchangeErrors(() => {
    const reader = new MessageReader(bytes, 'notice of a fraud proof')
    reader.uint(1, { min: VERSION, max: VERSION })
    const notice = {
      id: Buffer.from(reader.bytes(2, { min: PROOF_ID_BYTES, max: PROOF_ID_BYTES })).toString('hex'),
      accused: reader.text(3, { min: PEER_ID_LENGTH, max: PEER_ID_LENGTH }),
      kind: FRAUD_KINDS[reader.uint(4, { min: 1, max: FRAUD_KINDS.length }) - 1]!,
      model: reader.text(5, { min: 1, max: NOTICE_MODEL_BYTES_MAX }),
      bytes: reader.uint(6, { min: 1, max: PROOF_BYTES_MAX }),
    }
    reader.end()
    if (!isAccusablePeerId(notice.accused))
      throw new CodecError('the accused is no peer id of an Ed25519 key')
    if (!CID_SHAPE.test(notice.model)) throw new CodecError('the model is no CIDv1 in lowercase base32')
    return notice
  })
}

/** Whether `text` has the shape of an Ed25519 key's peer id; such a text is also harmless as the name of a file. */
export function isAccusablePeerId(text: string): boolean {
  return text.length === PEER_ID_LENGTH && PEER_ID_SHAPE.test(text)
}

const VERSION = 1
const FRAUD_KINDS: readonly FraudKind[] = ['wiring', 'execution', 'shape', 'equivocation']
/** 38 bytes in base58btc, of which the first six are fixed. */
const PEER_ID_LENGTH = 52
const PEER_ID_SHAPE = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/
const CID_SHAPE = /^b[a-z2-7]+$/
