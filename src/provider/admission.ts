/**
 * Whether a new job is taken. A busy provider says so at once, rather than letting a queue grow behind which every
 * job misses its deadline.
 */
import { waitingJobs } from './announcing.ts'
import type { ProviderLimits } from './constants.ts'
import type { ProviderRefusalCode, ProviderRequest } from './events.ts'
import type { Model } from './job.ts'

export interface Refusal {
  readonly code: ProviderRefusalCode
  readonly message: string
  readonly retryAfterMs: number
}

/** Undefined when the job is taken. `inputBytes` is what waits and runs already, over all models. */
export function judgeAdmission(
  request: ProviderRequest,
  model: Model,
  inputBytes: number,
  limits: ProviderLimits,
  nowMs: number,
): Refusal | undefined {
  if (model.blockedUntilMs > nowMs) {
    return busy('the model failed lately and is being restarted', model.blockedUntilMs - nowMs, limits)
  }
  const waitMs = expectedWaitMs(model)
  const waiting = waitingJobs(model)
  if (waiting >= limits.queuedMax) {
    return busy(`${waiting} jobs wait for this model already`, waitMs, limits)
  }
  if (model.queue.countOf(request.requester) >= limits.queuedPerRequesterMax) {
    return busy(`${limits.queuedPerRequesterMax} jobs of yours wait for this model already`, waitMs, limits)
  }
  if (inputBytes + request.inputBytes > limits.inputBytesMax) {
    return busy('the inputs that wait already fill the memory set aside for them', waitMs, limits)
  }
  // An idle model always takes a job: a median spoilt by a few slow runs must not keep it from measuring anew.
  const isIdle = model.queue.size === 0 && model.running.size === 0
  const doneAtMs = nowMs + waitMs + model.times.executionMs
  if (!isIdle && doneAtMs > request.deadlineAtMs) {
    return busy('it would not be done before the deadline', waitMs, limits)
  }
  return undefined
}

/** How long a job that comes now should wait before it runs: half of what runs, and all that waits. */
function expectedWaitMs(model: Model): number {
  const { times, running } = model
  const runningMs = running.size === 0 ? 0 : times.executionMs / 2
  return runningMs + waitingJobs(model) * times.jobMs
}

function busy(message: string, waitMs: number, limits: ProviderLimits): Refusal {
  const retryAfterMs = Math.ceil(Math.min(limits.retryAfterMsMax, Math.max(limits.retryAfterMsMin, waitMs)))
  return { code: 'busy', message, retryAfterMs }
}
