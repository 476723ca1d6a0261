/**
 * The result bundle: everything that a requester keeps of one job, so that anyone can check it later, offline.
 *
 * The requester signs a record of a few KiB. Inputs and outputs stand beside the record, not inside the signature:
 * the record holds their digests and says whether they are there, so that they can be neither changed nor dropped,
 * and nobody signs megabytes.
 */
import { DIGEST_BYTES, PAYLOAD_BYTES_MAX, SALT_BYTES } from '../../models/tensor/index.ts'
import { MessageReader, MessageWriter } from '../codec/index.ts'
import { openEnvelope, type Signer, sealEnvelope } from '../envelope/index.ts'
import {
  decodeRun,
  type ExactRun,
  encodeRun,
  openTraceCommitment,
  receiptDigest,
  type TraceCommitment,
} from './commitment.ts'
import {
  COMMITMENT_BYTES_MAX,
  DESCRIPTION_BYTES_MAX,
  RECORD_BYTES_MAX,
  REPLICAS_MAX,
  SEAL_BYTES_MAX,
  SEALED_COMMITMENT_BYTES_MAX,
  SEALED_JOB_BYTES_MAX,
  SEALED_RECEIPT_BYTES_MAX,
  TIME_MS_MAX,
  TRACES_MAX,
} from './constants.ts'
import { asReceiptErrors, ReceiptError } from './errors.ts'
import { VERSION } from './fields.ts'
import { openJob, type SealedJob } from './job.ts'
import { openReceipt, type Receipt } from './receipt.ts'

/** What a bundle's requester claims its verdict to rest on, weakest first (DESIGN section 1). */
export type BundleLabel = (typeof LABELS)[number]

export interface BundleContents {
  /** The sealed job. */
  readonly job: Uint8Array
  readonly salt: Uint8Array
  /** Canonical payloads; left out where the person keeps only digests. */
  readonly inputs?: Uint8Array
  readonly outputs?: Uint8Array
  /** Salted digest of the accepted outputs. */
  readonly acceptedDigest: Uint8Array
  /** Sealed receipts of distinct providers, in any order; `agreed` is the requester's judgement. */
  readonly receipts: readonly { readonly envelope: Uint8Array; readonly agreed: boolean }[]
  readonly verdict: {
    readonly label: BundleLabel
    /** How many providers were asked in all. */
    readonly asked: number
    /** Distinct address groups among those that agreed; 0 where nobody did. */
    readonly groups: number
  }
  /**
   * Sealed trace commitments of distinct providers whose receipts are here, in any order: of the one run that decided. Those
   * of another belong into fraud proofs.
   */
  readonly traces?: readonly Uint8Array[]
  /** What the requester states of its own exact run of the job. */
  readonly ownRun?: ExactRun
  /** Wall time of the requester, whole milliseconds since 1970. */
  readonly closedAtMs: number
  /** The requester's words about the job. */
  readonly description?: string
}

/** A bundle taken apart: every signature in it is good; what it claims is not checked yet, see `verifyBundle`. */
export interface Bundle extends Omit<BundleContents, 'job' | 'receipts' | 'traces'> {
  readonly job: SealedJob
  /** Ascending by peer id, each once. */
  readonly receipts: readonly BundleReceipt[]
  /** Ascending by peer id, each once; perhaps none. */
  readonly traces: readonly BundleTrace[]
}

export interface BundleTrace {
  readonly envelope: Uint8Array
  readonly commitment: TraceCommitment
  readonly provider: string
}

export interface BundleReceipt {
  readonly envelope: Uint8Array
  readonly receipt: Receipt
  /** `receiptDigest` of it: what trace commitments name it by. */
  readonly digest: Uint8Array
  readonly provider: string
  readonly agreed: boolean
}

/** Two payloads and a record. */
export const BUNDLE_BYTES_MAX = 2 * PAYLOAD_BYTES_MAX + RECORD_BYTES_MAX + 2 * SEAL_BYTES_MAX

/**
 * The bytes of a bundle, signed by `signer`, who must be the job's requester. Throws ReceiptError when something in it
 * is malformed. It does not judge the verdict: `verifyBundle` does, and whoever writes a bundle should have it verified.
 */
export function createBundle(signer: Signer, contents: BundleContents): Uint8Array {
  return asReceiptErrors(() => {
    const record = encodeRecord(contents)
    const sealed = sealEnvelope(signer, BUNDLE_DOMAIN, BUNDLE_TYPE, record)
    const inputs = contents.inputs ?? EMPTY
    const outputs = contents.outputs ?? EMPTY
    openRecord(sealed, inputs, outputs)
    return new MessageWriter().bytes(1, sealed).bytes(2, inputs).bytes(3, outputs).finish()
  })
}

/**
 * Takes a bundle apart and checks every signature in it. Payloads look into `bytes`; their digests are not computed
 * here, since that takes long: `verifyBundle` does it. Throws ReceiptError.
 */
export function decodeBundle(bytes: Uint8Array): Bundle {
  if (bytes.byteLength > BUNDLE_BYTES_MAX) {
    throw new ReceiptError('too-large', `a bundle may have ${BUNDLE_BYTES_MAX} bytes at most`)
  }
  return asReceiptErrors(() => {
    const reader = new MessageReader(bytes, 'bundle')
    const sealed = reader.bytes(1, { min: 1, max: RECORD_BYTES_MAX + SEAL_BYTES_MAX })
    const inputs = reader.bytes(2, { max: PAYLOAD_BYTES_MAX })
    const outputs = reader.bytes(3, { max: PAYLOAD_BYTES_MAX })
    reader.end()
    return openRecord(sealed, inputs, outputs)
  })
}

const LABELS = ['signed', 'replicated', 'refereed', 'recomputed'] as const
const BUNDLE_DOMAIN = 'verimesh/bundle/1'
const BUNDLE_TYPE = new TextEncoder().encode('/verimesh/bundle/1')
const EMPTY = new Uint8Array(0)

function encodeRecord(contents: BundleContents): Uint8Array {
  const receipts = contents.receipts
    .map(({ envelope, agreed }) => ({ envelope, agreed, provider: openReceipt(envelope).provider }))
    .sort(byProvider)
    .map(({ envelope, agreed }) => new MessageWriter().bytes(1, envelope).bool(2, agreed).finish())
  return new MessageWriter()
    .uint(1, VERSION)
    .bytes(2, contents.job)
    .bytes(3, contents.salt)
    .bytes(4, contents.acceptedDigest)
    .bool(5, contents.inputs !== undefined)
    .bool(6, contents.outputs !== undefined)
    .repeatedBytes(7, receipts)
    .uint(8, LABELS.indexOf(contents.verdict.label) + 1)
    .uint(9, contents.verdict.asked)
    .uint(10, contents.verdict.groups)
    .uint(11, contents.closedAtMs)
    .text(12, contents.description ?? '')
    .repeatedBytes(
      13,
      (contents.traces ?? [])
        .map(openBundleTrace)
        .sort(byProvider)
        .map(({ envelope }) => envelope),
    )
    .bytes(14, contents.ownRun === undefined ? EMPTY : encodeRun(contents.ownRun))
    .finish()
}

function byProvider(left: { readonly provider: string }, right: { readonly provider: string }): number {
  return left.provider < right.provider ? -1 : 1
}

function openRecord(sealed: Uint8Array, inputs: Uint8Array, outputs: Uint8Array): Bundle {
  const { peerId, payload } = openEnvelope(sealed, BUNDLE_DOMAIN, BUNDLE_TYPE)
  if (payload.byteLength > RECORD_BYTES_MAX) throw new ReceiptError('too-large', 'the record is too long')
  const reader = new MessageReader(payload, 'bundle record')
  reader.uint(1, { min: VERSION, max: VERSION })
  const job = openJob(reader.bytes(2, { min: 1, max: SEALED_JOB_BYTES_MAX }))
  if (job.job.requester !== peerId) {
    throw new ReceiptError('wrong-key', `the bundle is signed by ${peerId}, its job by ${job.job.requester}`)
  }
  const salt = reader.bytes(3, { min: SALT_BYTES, max: SALT_BYTES })
  const acceptedDigest = reader.bytes(4, { min: DIGEST_BYTES, max: DIGEST_BYTES })
  verifyPresence('inputs', reader.bool(5), inputs)
  verifyPresence('outputs', reader.bool(6), outputs)
  const receipts = reader
    .repeatedBytes(7, { max: SEALED_RECEIPT_BYTES_MAX + SEAL_BYTES_MAX, countMax: REPLICAS_MAX })
    .map(openBundleReceipt)
  verifyOrder('receipts', receipts)
  const verdict = {
    label: LABELS[reader.uint(8, { min: 1, max: LABELS.length }) - 1]!,
    asked: reader.uint(9, { min: 1, max: REPLICAS_MAX }),
    groups: reader.uint(10, { max: REPLICAS_MAX }),
  }
  const closedAtMs = reader.uint(11, { max: TIME_MS_MAX })
  const description = reader.text(12, { max: DESCRIPTION_BYTES_MAX })
  const traces = reader
    .repeatedBytes(13, { max: SEALED_COMMITMENT_BYTES_MAX, countMax: TRACES_MAX })
    .map(openBundleTrace)
  verifyOrder('trace commitments', traces)
  const ownRun = reader.bytes(14, { max: COMMITMENT_BYTES_MAX })
  reader.end()
  return {
    job,
    salt,
    acceptedDigest,
    receipts,
    traces,
    verdict,
    closedAtMs,
    ...(inputs.byteLength > 0 ? { inputs } : {}),
    ...(outputs.byteLength > 0 ? { outputs } : {}),
    ...(description === '' ? {} : { description }),
    ...(ownRun.byteLength > 0 ? { ownRun: decodeRun(ownRun) } : {}),
  }
}

function openBundleReceipt(entry: Uint8Array): BundleReceipt {
  const reader = new MessageReader(entry, 'receipt of a bundle')
  const envelope = reader.bytes(1, { min: 1, max: SEALED_RECEIPT_BYTES_MAX })
  const agreed = reader.bool(2)
  reader.end()
  return { envelope, agreed, ...openReceipt(envelope), digest: receiptDigest(envelope) }
}

function openBundleTrace(envelope: Uint8Array): BundleTrace {
  return { envelope, ...openTraceCommitment(envelope) }
}

function verifyPresence(what: string, included: boolean, payload: Uint8Array): void {
  if (included !== payload.byteLength > 0) {
    throw new ReceiptError(
      'malformed',
      included
        ? `the ${what} were taken out of the bundle`
        : `the bundle has ${what} that its record does not know`,
    )
  }
}

/** One order, and no key twice: a quorum counts keys. */
function verifyOrder(what: string, entries: readonly { readonly provider: string }[]): void {
  for (const [index, { provider }] of entries.entries()) {
    const previous = entries[index - 1]
    if (previous !== undefined && previous.provider >= provider) {
      throw new ReceiptError('malformed', `the ${what} are not of distinct providers in ascending order`)
    }
  }
}
