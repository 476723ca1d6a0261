export {
  BUNDLE_BYTES_MAX,
  type Bundle,
  type BundleContents,
  type BundleLabel,
  type BundleReceipt,
  type BundleTrace,
  createBundle,
  decodeBundle,
} from './bundle.ts'
export {
  type ExactRun,
  isSameRun,
  type OpenedTraceCommitment,
  openTraceCommitment,
  receiptDigest,
  sealTraceCommitment,
  type TraceCommitment,
} from './commitment.ts'
export {
  CID_BYTES_MAX,
  JOB_NONCE_BYTES,
  REPLICAS_MAX,
  RUNTIME_TEXT_BYTES_MAX,
  SEALED_COMMITMENT_BYTES_MAX,
  SEALED_JOB_BYTES_MAX,
  SEALED_RECEIPT_BYTES_MAX,
  TRACES_MAX,
} from './constants.ts'
export { ReceiptError, type ReceiptErrorCode } from './errors.ts'
export {
  type Job,
  jobCommitment,
  openJob,
  type Policy,
  type ReadJob,
  readJob,
  type SealedJob,
  sealJob,
} from './job.ts'
export {
  type ExpectedReceipt,
  NO_STEPS_DIGEST,
  type OpenedReceipt,
  openReceipt,
  type Receipt,
  type ReceiptRuntime,
  sealReceipt,
  verifyReceipt,
} from './receipt.ts'
export { type BundleReport, verifyBundle } from './verification.ts'
