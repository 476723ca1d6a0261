import { type Manifest, verifyInputs } from '../../models/manifest/index.ts'
import type { Lane } from '../../models/runtime/index.ts'
import {
  JOB_TIMEOUT_DEFAULT_MS,
  JOB_TIMEOUT_MAX_MS,
  REFEREE_REPLICAS,
  REPLICAS_DEFAULT,
  REPLICAS_MAX,
} from './constants.ts'
import { JobError, type SubmitRequest } from './node.ts'

export interface Terms {
  readonly referee: boolean
  readonly lane: Lane
  readonly recomputeRate: number
  readonly publicDisputes: boolean
  readonly replicas: number
  readonly quorum: number
  readonly timeoutMs: number
  readonly tau: number
}

/** The terms of a job, with what was left out filled in. Throws JobError `invalid-job`. */
export function verifyTerms(request: SubmitRequest, manifest: Manifest, canRecompute: boolean): Terms {
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
  // One provider alone has nobody to disagree with, and who names a quorum wants votes counted.
  // Without the model nobody can be judged here: then votes are counted too, unless the person insists.
  const counted = request.replicas === 1 || request.quorum !== undefined || !canRecompute
  const policy = request.policy ?? (counted || manifest.plan === undefined ? 'quorum' : 'referee')
  if (policy !== 'referee' && policy !== 'quorum') invalid(`the policy is referee or quorum; got ${policy}`)
  const referee = policy === 'referee'
  if (referee && manifest.plan === undefined) {
    invalid(`${manifest.name} has no exact lane to settle disputes in: ask with the policy quorum`)
  }
  const lane = request.lane ?? manifest.lanes[0] ?? 'native'
  if (!manifest.lanes.includes(lane)) {
    invalid(`${manifest.name} has no ${lane} lane; it has: ${manifest.lanes.join(', ')}`)
  }
  const recomputeRate = request.recomputeRate ?? 0
  if (!(recomputeRate >= 0 && recomputeRate <= 1)) {
    invalid(`the share of jobs to compute again must be from 0 to 1; got ${recomputeRate}`)
  }
  if (recomputeRate > 0 && !canRecompute) {
    invalid('this node does not hold the model, and cannot compute anything again: verimesh models add')
  }
  const replicas = request.replicas ?? (referee ? REFEREE_REPLICAS : REPLICAS_DEFAULT)
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
  return {
    referee,
    lane,
    recomputeRate,
    publicDisputes: request.publicDisputes ?? false,
    replicas,
    quorum,
    timeoutMs: Math.round(timeoutMs),
    tau,
  }
}
