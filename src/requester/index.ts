export type { EvidenceKind, JobFailure, JobFailureCode, RequesterEffect } from './effects.ts'
export type {
  AttemptFailure,
  AttemptFailureCode,
  JobId,
  JobSpec,
  ProviderId,
  RequesterEvent,
} from './events.ts'
