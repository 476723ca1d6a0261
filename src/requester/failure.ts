import type { EvidenceKind } from '../../peers/reputation/index.ts'
import { ANSWERS_MAX } from '../verification/index.ts'
import { tracedParties } from './dispute.ts'
import { doubtOf } from './doubt.ts'
import type { JobFailure, JobFailureCode } from './effects.ts'
import type { AttemptFailure, AttemptFailureCode, JobSpec } from './events.ts'
import { answersOf, askedProviders, countAttempts, countInvalidClaims, countUsable, type Job } from './job.ts'

/**
 * The one map from what went wrong at a provider to what is held against it. Refusals and network faults are nobody's
 * fault; `invalid-job` is judged when the job ends, by whether others could run it.
 */
export function evidenceOf(code: AttemptFailureCode): EvidenceKind | undefined {
  switch (code) {
    case 'timeout':
      return 'timed-out'
    case 'failed':
      return 'failed'
    case 'protocol-violation':
      return 'violated-protocol'
    case 'busy':
    case 'stopping':
    case 'unknown-model':
    case 'refused':
    case 'invalid-job':
    case 'unreachable':
    case 'hung-up':
    // What the proof weighs is told apart from this attempt.
    case 'exposed':
      return undefined
    default:
      return code satisfies never
  }
}

/** What a person is told when the job has failed with `code`. */
export function describeFailure(job: Job, code: JobFailureCode): JobFailure {
  const found = countUsable(job)
  const { replicas } = job.spec
  return { code, message: message(job, code, found), found, needed: replicas, attempts: listFailures(job) }
}

/** A failure before the job was taken at all. */
export function refuseJob(spec: JobSpec, code: JobFailureCode, message: string): JobFailure {
  return { code, message, found: 0, needed: spec.replicas, attempts: [] }
}

/** Why nobody is left to ask. */
export function exhaustionCode(job: Job, askedEnough: boolean): JobFailureCode {
  const answered = countAttempts(job, 'answered')
  if (answered === 0 && countInvalidClaims(job) > 0) return 'invalid-job'
  if (job.spec.replication !== undefined && answered > 0) return 'too-doubtful'
  return askedEnough || answered >= job.spec.quorum ? 'no-quorum' : 'not-enough-providers'
}

/** What is wrong with a job before anyone is asked; undefined when nothing is. */
export function faultOf({ replicas, quorum, attemptsMax, deadlineAtMs }: JobSpec): string | undefined {
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > attemptsMax) {
    return `replicas must be a whole number from 1 to attemptsMax (${attemptsMax}); got ${replicas}`
  }
  if (!Number.isInteger(quorum) || quorum * 2 <= replicas || quorum > replicas) {
    return `a quorum must be more than half of the ${replicas} replicas, and no more than all; got ${quorum}`
  }
  if (!Number.isInteger(attemptsMax) || attemptsMax > ANSWERS_MAX) {
    return `at most ${ANSWERS_MAX} providers can be asked; attemptsMax is ${attemptsMax}`
  }
  if (!Number.isFinite(deadlineAtMs)) return 'a job needs a deadline'
  return undefined
}

function message(job: Job, code: JobFailureCode, found: number): string {
  const { model, replicas, quorum, attemptsMax } = job.spec
  const asked = askedProviders(job).size
  const answered = answersOf(job).length
  const agreed = job.cluster?.providers.length ?? 0
  switch (code) {
    case 'not-enough-providers':
      return (
        `${found} of the ${replicas} providers that this job needs could be found for model ${model}` +
        `${asked > 0 ? ` (${asked} asked, ${answered} answered)` : ''}. ` +
        'Wait until more volunteers serve it, add a --bootstrap address of a mesh that does, start one with ' +
        '`verimesh start --model`, or accept fewer --replicas.'
      )
    case 'no-quorum':
      return (
        `${asked} of at most ${attemptsMax} providers were asked and ${answered} answered, but only ${agreed} agreed ` +
        `where ${quorum} must. The answers are not to be trusted; try again, allow more attempts, or ask for the ` +
        'exact lane if the model has no tight tolerance.'
      )
    case 'undecided-dispute':
      return (
        `${asked} of at most ${attemptsMax} providers were asked, and their answers differ. ` +
        `${tracedParties(job).length} traces were left, and no independent one to tell which is right` +
        `${job.own.status === 'failed' ? `; the own run failed: ${job.own.message}` : ''}. ` +
        'The answers are not to be trusted: try again when more volunteers serve the model in the exact lane, or add ' +
        'the model to this node (`verimesh models add SOURCE`), so that it can run the job itself.'
      )
    case 'too-doubtful':
      return (
        `${answered} of ${asked} providers that were asked answered, but too little is known of them: the answer that ` +
        `${agreed} of them give is wrong with a probability of up to ${(doubtOf(job) ?? 1).toPrecision(2)}, which is more than was accepted. ` +
        'Accept a higher --risk until more is known of the providers, ask when more of them serve the model, or add the ' +
        'model to this node (`verimesh models add SOURCE`), so that it can check answers itself.'
      )
    case 'deadline':
      return (
        `The deadline passed: ${asked} providers were asked, ${answered} answered, ${agreed} agreed where ${quorum} ` +
        'must. Allow more time (--timeout) or ask fewer --replicas.'
      )
    case 'invalid-job': {
      const claims = job.attempts.flatMap(({ state }) =>
        state.status === 'ended' && state.failure.code === 'invalid-job' ? state.failure.message : [],
      )
      return `${countInvalidClaims(job)} providers say that the job itself is wrong: ${claims[0] ?? 'no reason given'}`
    }
    case 'cancelled':
      return 'The job was cancelled before it had an answer.'
    case 'overloaded':
      return 'Too many jobs are in flight on this node; wait for some to end.'
    default:
      return code satisfies never
  }
}

function listFailures(job: Job): JobFailure['attempts'] {
  return job.attempts.flatMap(({ provider, state }) => {
    switch (state.status) {
      case 'open':
      case 'late':
      case 'overdue':
        return { provider, failure: silence(state.status) }
      case 'ended':
        return { provider, failure: state.failure }
      case 'answered':
        return []
      default:
        return state satisfies never
    }
  })
}

function silence(status: 'open' | 'late' | 'overdue'): AttemptFailure {
  const message = status === 'overdue' ? 'did not answer in time' : 'had not answered yet'
  return { code: 'timeout', message, retryAfterMs: 0 }
}
