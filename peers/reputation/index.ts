export { EXPORT_BYTES_MAX } from './constants.ts'
export { ReputationError, type ReputationErrorCode } from './errors.ts'
export type { Evidence, EvidenceKind } from './evidence.ts'
export { type OpenedExport, openExport, sealExport } from './export.ts'
export { type ClassEntry, createLedger, type Ledger, type LedgerEntry, worthOf } from './ledger.ts'
export { logUniform, REPUTATION_PARAMS, type ReputationParams } from './params.ts'
export { createPosterior, NEWCOMER, type Posterior, type TrackRecord } from './posterior.ts'
export { type Standing, type StandingName, standingOf } from './standing.ts'
export { REPUTATION_FILE } from './store/constants.ts'
export {
  joinReputation,
  openReputation,
  type Reputation,
  type ReputationOptions,
  readReputation,
} from './store/store.ts'
