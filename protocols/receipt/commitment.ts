/**
 * The trace commitment: what a provider signs when it is asked how it came to its answer.
 *
 * It stands beside receipts, since bundles hold both; the protocol that asks for it is `protocols/dispute`.
 */
import { createHash } from 'node:crypto'
import { DIGEST_BYTES, PAYLOAD_BYTES_MAX } from '../../models/tensor/index.ts'
import { LEAVES_MAX } from '../../models/trace/index.ts'
import { MessageReader, MessageWriter } from '../codec/index.ts'
import { openEnvelope, readEnvelope, type Signer, sealEnvelope } from '../envelope/index.ts'
import { COMMITMENT_BYTES_MAX, RUNTIME_TEXT_BYTES_MAX } from './constants.ts'
import { asReceiptErrors, ReceiptError } from './errors.ts'
import { VERSION } from './fields.ts'
import { decodeReceipt, RECEIPT_DOMAIN, RECEIPT_TYPE } from './receipt.ts'

/** What is said of one exact run of a job. Runs of different lane ids are never compared. */
export interface ExactRun {
  /** Root of the model's plan, as whoever ran it derived it from the model's bytes. */
  readonly planRoot: Uint8Array
  /** The version of the exact runtime's info: engine, wasm and the version of what is traced. */
  readonly laneId: string
  readonly leafCount: number
  /** Merkle root over all leaves of the trace. */
  readonly traceRoot: Uint8Array
  /** Digest of the canonical payload of the exact run's outputs under the job's salt. */
  readonly outputDigest: Uint8Array
  /** Length of that payload. */
  readonly outputBytes: number
}

/** What a provider states about its own exact run of a job. */
export interface TraceCommitment extends ExactRun {
  /** `receiptDigest` of the provider's own receipt for that job. */
  readonly receiptDigest: Uint8Array
  readonly jobCommitment: Uint8Array
}

export interface OpenedTraceCommitment {
  readonly commitment: TraceCommitment
  /** Peer id of the signer. */
  readonly provider: string
}

/** Signs a trace commitment as `signer`. Throws ReceiptError `malformed` when a value is outside its limits. */
export function sealTraceCommitment(signer: Signer, commitment: TraceCommitment): Uint8Array {
  return asReceiptErrors(() => {
    const payload = encodeTraceCommitment(commitment)
    decodeTraceCommitment(payload)
    return sealEnvelope(signer, TRACE_DOMAIN, TRACE_TYPE, payload)
  })
}

/** Opens a sealed trace commitment, whoever signed it and whatever job it is about. Throws ReceiptError. */
export function openTraceCommitment(bytes: Uint8Array): OpenedTraceCommitment {
  return asReceiptErrors(() => {
    const { peerId, payload } = openEnvelope(bytes, TRACE_DOMAIN, TRACE_TYPE)
    return { commitment: decodeTraceCommitment(payload), provider: peerId }
  })
}

/**
 * SHA-256 over the signed payload of a sealed receipt: two envelopes of one statement have one digest. The signature is
 * not verified here. Throws ReceiptError where the bytes are no receipt.
 */
export function receiptDigest(sealedReceipt: Uint8Array): Uint8Array {
  return asReceiptErrors(() => {
    const { payload } = readEnvelope(sealedReceipt, RECEIPT_DOMAIN, RECEIPT_TYPE)
    decodeReceipt(payload)
    return createHash('sha256').update(payload).digest()
  })
}

/** Whether two runs are alike in all that is said of them: then every leaf of the two traces is alike. */
export function isSameRun(left: ExactRun, right: ExactRun): boolean {
  return (
    left.laneId === right.laneId &&
    left.leafCount === right.leafCount &&
    left.outputBytes === right.outputBytes &&
    Buffer.compare(left.planRoot, right.planRoot) === 0 &&
    Buffer.compare(left.traceRoot, right.traceRoot) === 0 &&
    Buffer.compare(left.outputDigest, right.outputDigest) === 0
  )
}

/** The payload of a trace commitment's envelope. Throws CodecError for what the wire cannot hold. */
export function encodeTraceCommitment(commitment: TraceCommitment): Uint8Array {
  return new MessageWriter()
    .uint(1, VERSION)
    .bytes(2, commitment.receiptDigest)
    .bytes(3, commitment.jobCommitment)
    .bytes(4, encodeRun(commitment))
    .finish()
}

/** Strict inverse of `encodeTraceCommitment`. Throws CodecError or ReceiptError. */
export function decodeTraceCommitment(payload: Uint8Array): TraceCommitment {
  if (payload.byteLength > COMMITMENT_BYTES_MAX) {
    throw new ReceiptError('too-large', 'the trace commitment is too long')
  }
  const reader = new MessageReader(payload, 'trace commitment')
  reader.uint(1, { min: VERSION, max: VERSION })
  const commitment = {
    receiptDigest: reader.bytes(2, DIGEST),
    jobCommitment: reader.bytes(3, DIGEST),
    ...decodeRun(reader.bytes(4, { min: 1, max: COMMITMENT_BYTES_MAX })),
  }
  reader.end()
  return commitment
}

/** A run as a message inside of another. Throws CodecError for what the wire cannot hold. */
export function encodeRun(run: ExactRun): Uint8Array {
  return new MessageWriter()
    .bytes(1, run.planRoot)
    .text(2, run.laneId)
    .uint(3, run.leafCount)
    .bytes(4, run.traceRoot)
    .bytes(5, run.outputDigest)
    .uint(6, run.outputBytes)
    .finish()
}

/** Strict inverse of `encodeRun`. Throws CodecError. */
export function decodeRun(bytes: Uint8Array): ExactRun {
  const reader = new MessageReader(bytes, 'exact run')
  const run = {
    planRoot: reader.bytes(1, DIGEST),
    laneId: reader.text(2, { min: 1, max: RUNTIME_TEXT_BYTES_MAX }),
    leafCount: reader.uint(3, { max: LEAVES_MAX }),
    traceRoot: reader.bytes(4, DIGEST),
    outputDigest: reader.bytes(5, DIGEST),
    outputBytes: reader.uint(6, { min: 1, max: PAYLOAD_BYTES_MAX }),
  }
  reader.end()
  return run
}

const TRACE_DOMAIN = 'verimesh/trace/1'
const TRACE_TYPE = new TextEncoder().encode('/verimesh/trace/1')
const DIGEST = { min: DIGEST_BYTES, max: DIGEST_BYTES }
