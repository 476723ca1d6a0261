export { FRAUD_TOPIC } from './constants.ts'
export type { StoreLimits } from './eviction.ts'
export type { Exposure, ProofOrigin, ProofSummary } from './exposure.ts'
export type { FollowerOptions } from './follower.ts'
export type { GossipedNotice, NoticeVerdict } from './gate.ts'
export { NoticeGate } from './gate.ts'
export { NoticeQueue, type PendingNotice } from './queue.ts'
export {
  createFraudService,
  type FraudService,
  type FraudServiceOptions,
  type Publication,
} from './service.ts'
export { createProofStore, type ProofStore, type ProofStoreOptions } from './store.ts'
