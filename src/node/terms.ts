import { sourceOf } from '../../models/catalogue/index.ts'
import { type Manifest, verifyInputs } from '../../models/manifest/index.ts'
import type { Lane } from '../../models/runtime/index.ts'
import type { Policy } from '../../protocols/receipt/index.ts'
import type { DoubtTerms } from '../routing/index.ts'
import { ANSWERS_MAX } from '../verification/index.ts'
import {
  FLOOR_RATE_DEFAULT,
  INSTRUCTION_SET_LENGTH_MAX,
  JOB_TIMEOUT_DEFAULT_MS,
  JOB_TIMEOUT_MAX_MS,
  REFEREE_REPLICAS,
  REPLACEMENTS_MAX,
  REPLICAS_DEFAULT,
  REPLICAS_MAX,
  VALUE_MAX,
} from './constants.ts'
import { JobError, type SubmitRequest } from './node.ts'

export interface Terms {
  readonly referee: boolean
  readonly lane: Lane
  readonly instructionSet: string | undefined
  readonly recomputeRate: number
  readonly replicas: number
  readonly quorum: number
  readonly attemptsMax: number
  /** Where records decide how many are asked, in place of `replicas` and `quorum`. */
  readonly doubt: DoubtTerms | undefined
  /** What providers are told. */
  readonly policy: Policy
  readonly timeoutMs: number
  readonly tau: number
}

/** The terms of a job, with what was left out filled in. Throws JobError `invalid-job`. */
export function verifyTerms(request: SubmitRequest, manifest: Manifest, canRecompute: boolean): Terms {
  try {
    verifyInputs(manifest.signature, request.inputs)
  } catch (error) {
    invalid(
      `${(error as Error).message}. See what the model takes with: verimesh models inspect ${request.model}`,
    )
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
    invalid(
      `this node does not hold the model, and cannot compute anything again: verimesh models add ${sourceOf(request.model)}`,
    )
  }
  const timeoutMs = request.timeoutMs ?? JOB_TIMEOUT_DEFAULT_MS
  if (!Number.isFinite(timeoutMs) || timeoutMs < 1 || timeoutMs > JOB_TIMEOUT_MAX_MS) {
    invalid(`a timeout must be between 1 and ${JOB_TIMEOUT_MAX_MS} ms; got ${timeoutMs}`)
  }
  const tau = request.tau ?? manifest.tolerance.tau
  if (!(tau >= 0) || tau > manifest.tolerance.tau) {
    invalid(`tau may only be lowered: the model declares ${manifest.tolerance.tau}, the job asks for ${tau}`)
  }
  const { instructionSet } = request
  if (instructionSet !== undefined && !isShortText(instructionSet))
    invalid(`a class of instructions has 1 to ${INSTRUCTION_SET_LENGTH_MAX} characters`)
  return {
    ...(request.risk === undefined
      ? countedTerms(request, manifest, canRecompute)
      : doubtTerms(request, request.risk, manifest, canRecompute)),
    lane,
    instructionSet,
    recomputeRate,
    timeoutMs: Math.round(timeoutMs),
    tau,
  }
}

type Replicated = Pick<Terms, 'referee' | 'replicas' | 'quorum' | 'attemptsMax' | 'doubt' | 'policy'>

/** As many as the person says, or as the policy needs. */
function countedTerms(request: SubmitRequest, manifest: Manifest, canRecompute: boolean): Replicated {
  if (request.value !== undefined || request.floorRate !== undefined) {
    invalid('a value and a floor rate are about the risk that is accepted, and there is none: give a risk')
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
  const replicas = request.replicas ?? (referee ? REFEREE_REPLICAS : REPLICAS_DEFAULT)
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > REPLICAS_MAX) {
    invalid(`replicas must be a whole number from 1 to ${REPLICAS_MAX}; got ${replicas}`)
  }
  if (referee && replicas < REFEREE_REPLICAS) {
    invalid(
      `a referee settles what providers disagree about, and takes ${REFEREE_REPLICAS} replicas at least; got ${replicas}`,
    )
  }
  const quorum = request.quorum ?? majorityOf(replicas)
  if (!Number.isInteger(quorum) || quorum * 2 <= replicas || quorum > replicas) {
    invalid(`a quorum must be more than half of the ${replicas} replicas and at most all; got ${quorum}`)
  }
  return {
    referee,
    replicas,
    quorum,
    attemptsMax: Math.min(ANSWERS_MAX, replicas + REPLACEMENTS_MAX),
    doubt: undefined,
    policy: { referee, replicas, quorum, publicDisputes: request.publicDisputes ?? false },
  }
}

/**
 * As many as the risk needs. What providers are told is what a job without a risk tells them, to the bit: who knew that it is
 * asked alone could lie in those jobs only.
 */
function doubtTerms(
  request: SubmitRequest,
  risk: number,
  manifest: Manifest,
  canRecompute: boolean,
): Replicated {
  const { value = 1, floorRate = FLOOR_RATE_DEFAULT } = request
  const others = (['policy', 'replicas', 'quorum'] as const).filter((name) => request[name] !== undefined)
  if (others.length > 0) {
    invalid(
      `a risk decides how many are asked, and what is done where they disagree: leave out ${others.join(' and ')}, or the risk`,
    )
  }
  if (!Number.isFinite(risk) || risk <= 0 || risk >= 1)
    invalid(`a risk is a probability between 0 and 1; got ${risk}`)
  if (!Number.isFinite(value) || value < 1 || value > VALUE_MAX)
    invalid(`a value is from 1 to ${VALUE_MAX}; got ${value}`)
  if (!Number.isFinite(floorRate) || floorRate < 0 || floorRate > 1)
    invalid(`a floor rate is a share from 0 to 1; got ${floorRate}`)
  const referee = canRecompute && manifest.plan !== undefined
  const replicas = referee ? REFEREE_REPLICAS : REPLICAS_DEFAULT
  return {
    referee,
    replicas: 1,
    quorum: 1,
    attemptsMax: ANSWERS_MAX,
    doubt: { risk: risk / value, floorRate },
    policy: {
      referee,
      replicas,
      quorum: majorityOf(replicas),
      publicDisputes: request.publicDisputes ?? false,
    },
  }
}

function majorityOf(replicas: number): number {
  return Math.floor(replicas / 2) + 1
}

function isShortText(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= INSTRUCTION_SET_LENGTH_MAX
}

function invalid(message: string): never {
  throw new JobError({ code: 'invalid-job', message, found: 0, needed: 0, attempts: [] })
}
