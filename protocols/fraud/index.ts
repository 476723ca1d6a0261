export { FraudError, type FraudErrorCode, type FraudInvalidCode, type FraudUndecidedCode } from './errors.ts'
export {
  createProofServer,
  fetchFraudProof,
  type ProofServer,
  type ProofServerComponents,
  type ServedProof,
  type WantedProof,
} from './exchange.ts'
export { Allowances } from './exchange-allowances.ts'
export { NOTICE_BYTES_MAX, PROOF_BYTES_MAX, PROOF_EXCHANGE_PROTOCOL } from './exchange-constants.ts'
export { ProofExchangeError, type ProofExchangeErrorCode } from './exchange-errors.ts'
export {
  decodeFraudNotice,
  encodeFraudNotice,
  type FraudKind,
  type FraudNotice,
  isAccusablePeerId,
} from './notice.ts'
export {
  decodeFraudProof,
  encodeFraudProof,
  type FraudProof,
  fraudProofId,
  type ProvenLeaf,
  type SaltedPayload,
  type TraceStatements,
} from './proof.ts'
export {
  type Accused,
  type ProvenFraud,
  proveEquivocation,
  proveExecution,
  proveOperand,
  proveOutput,
  proveReceipt,
  proveShape,
  proveWiring,
} from './prove.ts'
export { accusedOf } from './statements.ts'
export {
  type FraudVerdict,
  type FraudVerifier,
  type ValidFraud,
  type VerifiableModel,
  verifyFraudProof,
} from './verification.ts'
