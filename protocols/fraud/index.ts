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
