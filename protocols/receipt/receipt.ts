import { createHash } from 'node:crypto'
import type { Lane, RuntimeInfo } from '../../models/runtime/index.ts'
import { DIGEST_BYTES, PAYLOAD_BYTES_MAX } from '../../models/tensor/index.ts'
import { MessageReader, MessageWriter } from '../codec/index.ts'
import { openEnvelope, type Signer, sealEnvelope } from '../envelope/index.ts'
import { RECEIPT_BYTES_MAX, RUNTIME_TEXT_BYTES_MAX, TIME_MS_MAX } from './constants.ts'
import { asReceiptErrors, ReceiptError } from './errors.ts'
import { decodeLane, encodeLane, VERSION } from './fields.ts'

/** What a provider states about one answer. */
export interface Receipt {
  readonly jobCommitment: Uint8Array
  /** Digest of the canonical output payload under the job's salt. */
  readonly outputDigest: Uint8Array
  /** Length of that payload. */
  readonly outputBytes: number
  /** Digest of what was done to inputs or outputs beside the model; `NO_STEPS_DIGEST` for raw tensors. */
  readonly stepsDigest: Uint8Array
  readonly runtime: ReceiptRuntime
  /** Wall time of the provider, whole milliseconds since 1970. A claim. */
  readonly startedAtMs: number
  readonly finishedAtMs: number
}

export interface ReceiptRuntime extends RuntimeInfo {
  /** Whether the run was shared with other jobs, which changes the last bits. */
  readonly batched: boolean
}

export interface OpenedReceipt {
  readonly receipt: Receipt
  /** Peer id of the signer. */
  readonly provider: string
}

export interface ExpectedReceipt {
  readonly jobCommitment: Uint8Array
  /** Peer id that must have signed. */
  readonly provider: string
  /** Digest and length of the outputs that came with it. */
  readonly outputDigest: Uint8Array
  readonly outputBytes: number
  /** The job's lane; left out, any lane will do. */
  readonly lane?: Lane
}

/** Signs a receipt as `signer`. Throws ReceiptError `malformed` when a value is outside its limits. */
export function sealReceipt(signer: Signer, receipt: Receipt): Uint8Array {
  return asReceiptErrors(() => {
    const payload = encodeReceipt(receipt)
    decodeReceipt(payload)
    return sealEnvelope(signer, RECEIPT_DOMAIN, RECEIPT_TYPE, payload)
  })
}

/** Opens a sealed receipt, whoever signed it and whatever job it is about. Throws ReceiptError. */
export function openReceipt(bytes: Uint8Array): OpenedReceipt {
  return asReceiptErrors(() => {
    const { peerId, payload } = openEnvelope(bytes, RECEIPT_DOMAIN, RECEIPT_TYPE)
    return { receipt: decodeReceipt(payload), provider: peerId }
  })
}

/** Opens a sealed receipt and checks that it is the expected provider's, about this job and these outputs. Throws ReceiptError. */
export function verifyReceipt(bytes: Uint8Array, expected: ExpectedReceipt): Receipt {
  const { receipt, provider } = openReceipt(bytes)
  if (provider !== expected.provider) {
    throw new ReceiptError('wrong-key', `the receipt is signed by ${provider}, not by ${expected.provider}`)
  }
  if (Buffer.compare(receipt.jobCommitment, expected.jobCommitment) !== 0) {
    throw new ReceiptError('wrong-job', `the receipt of ${provider} is about another job`)
  }
  if (expected.lane !== undefined && receipt.runtime.lane !== expected.lane) {
    throw new ReceiptError(
      'wrong-lane',
      `${provider} ran the ${receipt.runtime.lane} lane, not ${expected.lane}`,
    )
  }
  if (
    receipt.outputBytes !== expected.outputBytes ||
    Buffer.compare(receipt.outputDigest, expected.outputDigest) !== 0
  ) {
    throw new ReceiptError('wrong-output', `the receipt of ${provider} is about other outputs`)
  }
  return receipt
}

/** The payload of a receipt's envelope. Throws CodecError for what the wire cannot hold. */
export function encodeReceipt(receipt: Receipt): Uint8Array {
  const { runtime } = receipt
  return new MessageWriter()
    .uint(1, VERSION)
    .bytes(2, receipt.jobCommitment)
    .bytes(3, receipt.outputDigest)
    .uint(4, receipt.outputBytes)
    .bytes(5, receipt.stepsDigest)
    .text(6, runtime.engine)
    .text(7, runtime.version)
    .uint(8, encodeLane(runtime.lane))
    .text(9, runtime.instructionSet)
    .bool(10, runtime.batched)
    .uint(11, receipt.startedAtMs)
    .uint(12, receipt.finishedAtMs)
    .finish()
}

/** Strict inverse of `encodeReceipt`. Throws CodecError or ReceiptError. */
export function decodeReceipt(payload: Uint8Array): Receipt {
  if (payload.byteLength > RECEIPT_BYTES_MAX) throw new ReceiptError('too-large', 'the receipt is too long')
  const reader = new MessageReader(payload, 'receipt')
  reader.uint(1, { min: VERSION, max: VERSION })
  const receipt = {
    jobCommitment: reader.bytes(2, DIGEST),
    outputDigest: reader.bytes(3, DIGEST),
    outputBytes: reader.uint(4, { min: 1, max: PAYLOAD_BYTES_MAX }),
    stepsDigest: reader.bytes(5, DIGEST),
    runtime: {
      engine: reader.text(6, RUNTIME_TEXT),
      version: reader.text(7, RUNTIME_TEXT),
      lane: decodeLane(reader, 8),
      instructionSet: reader.text(9, RUNTIME_TEXT),
      batched: reader.bool(10),
    },
    startedAtMs: reader.uint(11, { max: TIME_MS_MAX }),
    finishedAtMs: reader.uint(12, { max: TIME_MS_MAX }),
  }
  reader.end()
  if (receipt.finishedAtMs < receipt.startedAtMs) {
    throw new ReceiptError('malformed', 'the receipt finishes before it starts')
  }
  return receipt
}

/** Of an empty list of processing steps: the model's tensors are the job's and the receipt's tensors. */
export const NO_STEPS_DIGEST: Uint8Array = createHash('sha256').update('verimesh/steps/1\0').digest()

/** What a receipt's envelope is signed for, and says it holds. */
export const RECEIPT_DOMAIN = 'verimesh/receipt/1'
export const RECEIPT_TYPE: Uint8Array = new TextEncoder().encode('/verimesh/receipt/1')
const DIGEST = { min: DIGEST_BYTES, max: DIGEST_BYTES }
const RUNTIME_TEXT = { min: 1, max: RUNTIME_TEXT_BYTES_MAX }
