/** Opens what the accused signed, and makes sure that it belongs together: one key, one job, one run. */
import { hashLeaf, merkleRootFromPath } from '../../models/trace/index.ts'
import {
  NO_STEPS_DIGEST,
  openJob,
  openReceipt,
  openTraceCommitment,
  type Receipt,
  receiptDigest,
  type SealedJob,
  type TraceCommitment,
} from '../receipt/index.ts'
import { asFraudErrors, FraudError } from './errors.ts'
import type { FraudProof, ProvenLeaf, TraceStatements } from './proof.ts'

/** Every signature is good, and all but the job's are the accused's. */
export interface Statements {
  readonly job: SealedJob
  /** Peer id. */
  readonly accused: string
  readonly receipt: Receipt
  readonly commitment: TraceCommitment
}

/** Throws FraudError. */
export function openStatements({ job, receipt, commitment }: TraceStatements): Statements {
  return asFraudErrors(() => {
    const sealedJob = openJob(job)
    const opened = openReceipt(receipt)
    const trace = openTraceCommitment(commitment)
    verifySameKey(opened.provider, trace.provider)
    verifyJob(sealedJob, opened.receipt.jobCommitment)
    verifyJob(sealedJob, trace.commitment.jobCommitment)
    if (Buffer.compare(trace.commitment.receiptDigest, receiptDigest(receipt)) !== 0) {
      throw new FraudError('wrong-receipt', 'the trace commitment is about another receipt')
    }
    return {
      job: sealedJob,
      accused: opened.provider,
      receipt: opened.receipt,
      commitment: trace.commitment,
    }
  })
}

/** Two statements of one kind about one job. Throws FraudError. */
export function openReceipts(
  job: Uint8Array,
  receipts: readonly [Uint8Array, Uint8Array],
): { readonly job: SealedJob; readonly accused: string; readonly receipts: readonly [Receipt, Receipt] } {
  return asFraudErrors(() => {
    const sealedJob = openJob(job)
    const [left, right] = receipts.map((bytes) => openReceipt(bytes)) as [OpenedReceipt, OpenedReceipt]
    verifySameKey(left.provider, right.provider)
    verifyJob(sealedJob, left.receipt.jobCommitment)
    verifyJob(sealedJob, right.receipt.jobCommitment)
    return { job: sealedJob, accused: left.provider, receipts: [left.receipt, right.receipt] }
  })
}

/** As `openReceipts`. */
export function openCommitments(
  job: Uint8Array,
  commitments: readonly [Uint8Array, Uint8Array],
): {
  readonly job: SealedJob
  readonly accused: string
  readonly commitments: readonly [TraceCommitment, TraceCommitment]
} {
  return asFraudErrors(() => {
    const sealedJob = openJob(job)
    const [left, right] = commitments.map((bytes) => openTraceCommitment(bytes)) as [
      OpenedCommitment,
      OpenedCommitment,
    ]
    verifySameKey(left.provider, right.provider)
    verifyJob(sealedJob, left.commitment.jobCommitment)
    verifyJob(sealedJob, right.commitment.jobCommitment)
    return { job: sealedJob, accused: left.provider, commitments: [left.commitment, right.commitment] }
  })
}

/**
 * Whose key signed what the proof is about. The signatures are good, and all by one key about one job; whether they
 * contradict each other is not looked at. Throws FraudError.
 */
export function accusedOf(proof: FraudProof): string {
  switch (proof.claim) {
    case 'receipts':
      return openReceipts(proof.job, proof.receipts).accused
    case 'commitments':
      return openCommitments(proof.job, proof.commitments).accused
    default:
      return openStatements(proof).accused
  }
}

/** Throws FraudError `wrong-leaf` unless the leaf is in the trace that was signed. */
export function verifyLeaf(
  { leafCount, traceRoot }: TraceCommitment,
  { index, bytes, path }: ProvenLeaf,
): void {
  const root = merkleRootFromPath(hashLeaf(bytes), index, leafCount, path)
  if (root !== undefined && Buffer.compare(root, traceRoot) === 0) return
  throw new FraudError('wrong-leaf', `leaf ${index} is not in the trace that the accused signed`)
}

/**
 * Whether what a receipt says of its outputs follows from job and model alone: the exact lane, unbatched, nothing done
 * beside the model. All that can be held against another such statement.
 */
export function isExactStatement({ runtime, stepsDigest }: Receipt): boolean {
  return runtime.lane === 'exact' && !runtime.batched && Buffer.compare(stepsDigest, NO_STEPS_DIGEST) === 0
}

type OpenedReceipt = ReturnType<typeof openReceipt>
type OpenedCommitment = ReturnType<typeof openTraceCommitment>

function verifySameKey(left: string, right: string): void {
  if (left !== right) throw new FraudError('wrong-key', `${left} and ${right} signed the statements`)
}

function verifyJob({ commitment }: SealedJob, stated: Uint8Array): void {
  if (Buffer.compare(commitment, stated) !== 0) {
    throw new FraudError('wrong-job', 'a statement is about another job')
  }
}
