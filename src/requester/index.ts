export type { EvidenceKind } from '../../peers/reputation/index.ts'
export { REQUESTER_LIMITS, type RequesterLimits } from './constants.ts'
export type { JobFailure, JobFailureCode, RequesterEffect } from './effects.ts'
export type {
  AttemptFailure,
  AttemptFailureCode,
  JobId,
  JobSpec,
  Judgement,
  Party,
  ProviderId,
  Replay,
  RequesterEvent,
  TraceFailureCode,
} from './events.ts'
export { createRequester, type Requester, type RequesterInit } from './machine.ts'
export { createReliance, type Reliance, type Relied } from './reliance.ts'
