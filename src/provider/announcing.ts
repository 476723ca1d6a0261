import type { ProviderLimits } from './constants.ts'
import type { ModelLoad } from './effects.ts'
import type { Model } from './job.ts'

export function loadOf(model: Model, limits: ProviderLimits): ModelLoad {
  const [first] = model.running
  return {
    running: first?.jobs.length ?? 0,
    queued: waitingJobs(model),
    capacity: limits.queuedMax + 1,
    serviceMs: model.times.executionMs,
  }
}

/** Jobs that do not run yet, those that the runtime has at hand included. */
export function waitingJobs(model: Model): number {
  let jobs = model.queue.size
  for (const batch of model.running) jobs += batch.jobs.length
  const [first] = model.running
  return jobs - (first?.jobs.length ?? 0)
}

/**
 * Whether a requester would choose otherwise if it knew: the model is full or no longer full, or the expected time to
 * an answer has changed by half and by more than a trifle.
 */
export function isWorthTelling(model: Model, limits: ProviderLimits): boolean {
  const before = model.told.load
  if (before === undefined) return true
  const after = loadOf(model, limits)
  const isFull = after.queued >= limits.queuedMax
  if (isFull !== before.queued >= limits.queuedMax) return true
  const beforeMs = expectedMs(before)
  const afterMs = expectedMs(after)
  const changeMs = Math.abs(afterMs - beforeMs)
  return changeMs >= limits.announceChangeMs && changeMs * 2 >= Math.min(beforeMs, afterMs)
}

/** As a requester reckons it from the announcement. */
function expectedMs({ queued, running, serviceMs }: ModelLoad): number {
  return (queued + running + 1) * serviceMs
}
