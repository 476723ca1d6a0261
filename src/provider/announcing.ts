import type { ProviderLimits } from './constants.ts'
import type { ModelLoad } from './effects.ts'
import type { Model } from './job.ts'

export function loadOf(model: Model, limits: ProviderLimits): ModelLoad {
  let running = 0
  for (const batch of model.running) running += batch.jobs.length
  return {
    running,
    queued: model.queue.size,
    capacity: limits.queuedMax + limits.concurrency,
    serviceMs: model.times.executionMs,
  }
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
