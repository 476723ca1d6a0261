export {
  type ExactRun,
  isSameRun,
  type OpenedTraceCommitment,
  openTraceCommitment,
  receiptDigest,
  SEALED_COMMITMENT_BYTES_MAX,
  sealTraceCommitment,
  type TraceCommitment,
} from '../receipt/index.ts'
