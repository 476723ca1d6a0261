import { type Manifest, verifyInputs } from '../../models/manifest/index.ts'
import { JOB_TIMEOUT_DEFAULT_MS, JOB_TIMEOUT_MAX_MS, REPLICAS_DEFAULT, REPLICAS_MAX } from './constants.ts'
import { JobError, type SubmitRequest } from './node.ts'

/** The terms of a job, with what was left out filled in. Throws JobError `invalid-job`. */
export function verifyTerms(
  request: SubmitRequest,
  manifest: Manifest,
): { replicas: number; quorum: number; timeoutMs: number; tau: number } {
  const invalid = (message: string): never => {
    throw new JobError({ code: 'invalid-job', message, found: 0, needed: 0, attempts: [] })
  }
  try {
    verifyInputs(manifest.signature, request.inputs)
  } catch (error) {
    invalid(
      `${(error as Error).message}. See what the model takes with: verimesh models inspect ${request.model}`,
    )
  }
  const replicas = request.replicas ?? REPLICAS_DEFAULT
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > REPLICAS_MAX) {
    invalid(`replicas must be a whole number from 1 to ${REPLICAS_MAX}; got ${replicas}`)
  }
  const quorum = request.quorum ?? Math.floor(replicas / 2) + 1
  if (!Number.isInteger(quorum) || quorum * 2 <= replicas || quorum > replicas) {
    invalid(`a quorum must be more than half of the ${replicas} replicas and at most all; got ${quorum}`)
  }
  const timeoutMs = request.timeoutMs ?? JOB_TIMEOUT_DEFAULT_MS
  if (!Number.isFinite(timeoutMs) || timeoutMs < 1 || timeoutMs > JOB_TIMEOUT_MAX_MS) {
    invalid(`a timeout must be between 1 and ${JOB_TIMEOUT_MAX_MS} ms; got ${timeoutMs}`)
  }
  const tau = request.tau ?? manifest.tolerance.tau
  if (!(tau >= 0) || tau > manifest.tolerance.tau) {
    invalid(`tau may only be lowered: the model declares ${manifest.tolerance.tau}, the job asks for ${tau}`)
  }
  return { replicas, quorum, timeoutMs: Math.round(timeoutMs), tau }
}
