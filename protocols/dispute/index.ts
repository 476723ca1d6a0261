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
export { createDisputeBudget, type DisputeBudget, type DisputeLimits, type Share } from './budget.ts'
export {
  createDisputeClient,
  type Demand,
  type DisputeClient,
  type DisputeClientComponents,
  type DisputeOpening,
} from './client.ts'
export { DISPUTE_PROTOCOL } from './constants.ts'
export type { VerifiedDemand } from './demand.ts'
export { DisputeError, type DisputeErrorCode, type DisputeFault, faultOf } from './errors.ts'
export type { Committed } from './questions.ts'
export { openRefusal, type Refusal, type RefusalCode, type SignedRefusal } from './refusal.ts'
export {
  createDisputeServer,
  type DisputeAnswer,
  type DisputeServer,
  type DisputeServerComponents,
} from './server.ts'
export type { DisputeSession, VerifiedCommitment } from './session.ts'
