import { setTimeout as delay } from 'node:timers/promises'
import { type ModelRuntime, RuntimeError } from '../../models/runtime/index.ts'
import type { Random } from '../../src/routing/index.ts'
import { logNormal } from '../../src/simulator/distribution.ts'

/** What executions take: log-normal, as in the simulator. May be changed while the runtime is in use. */
export interface Pace {
  /** Mean; 0 takes no time at all. */
  serviceMs: number
  /** Standard deviation of the logarithm. */
  sigma: number
}

/**
 * Makes a runtime take the time that `pace` says and `random` draws, one execution after the other, as a model's process
 * does. Nothing is computed meanwhile: the machine is as free as if the model ran elsewhere.
 */
export function createTimedRuntime(inner: ModelRuntime, pace: Pace, random: Random): ModelRuntime {
  let last: Promise<unknown> = Promise.resolve()
  const run: ModelRuntime['execute'] = async (batch, signal) => {
    const startedAtMs = performance.now()
    const { serviceMs, sigma } = pace
    if (serviceMs > 0) {
      try {
        await delay(logNormal(serviceMs, sigma, random), undefined, { signal })
      } catch (cause) {
        throw new RuntimeError('aborted', 'the execution was ended', { cause })
      }
    }
    const outcomes = await inner.execute(batch, signal)
    const tookMs = performance.now() - startedAtMs
    return outcomes.map((outcome) =>
      outcome.ok ? { ok: true, value: { ...outcome.value, serviceMs: tookMs } } : outcome,
    )
  }
  return {
    info: inner.info,
    execute(batch, signal) {
      // However the one before ended: whoever asked for it is told.
      const turn = last.then(
        () => run(batch, signal),
        () => run(batch, signal),
      )
      last = turn
      return turn
    },
    close: () => inner.close(),
  }
}
