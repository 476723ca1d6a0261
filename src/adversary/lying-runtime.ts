import type { Execution, ExecutionOutcome, ModelRuntime } from '../../models/runtime/index.ts'
import { decodeTensors, digestTensors, encodeTensors } from '../../models/tensor/index.ts'
import { createRandom } from './random.ts'
import type { Strategy } from './strategy.ts'

export interface LyingRuntimeInit {
  readonly strategy: Strategy
  /** Two liars with the same seed and strategy tell the same lies: they collude. */
  readonly seed: number
}

/**
 * Runs the model honestly and answers something else: outputs changed by `strategy`, with a digest that fits them, so
 * that the receipt is well formed and only another provider's answer gives the lie away. The lie depends on the seed
 * and the inputs alone. Outcomes that failed are passed on as they are.
 */
export function createLyingRuntime(inner: ModelRuntime, { strategy, seed }: LyingRuntimeInit): ModelRuntime {
  const lie = (execution: Execution, outcome: ExecutionOutcome): ExecutionOutcome => {
    if (!outcome.ok) return outcome
    // A copy: what the inner runtime handed out may be shared.
    const truth = decodeTensors(outcome.value.outputs.slice())
    const outputs = encodeTensors(strategy(truth, createRandom(seed, execution.inputs)))
    return {
      ok: true,
      value: { ...outcome.value, outputs, outputDigest: digestTensors(execution.salt, outputs) },
    }
  }
  return {
    info: inner.info,
    execute: async (batch, signal) => {
      const outcomes = await inner.execute(batch, signal)
      return outcomes.map((outcome, index) => lie(batch[index]!, outcome))
    },
    close: () => inner.close(),
  }
}
