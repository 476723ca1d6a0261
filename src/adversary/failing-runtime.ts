import { type ModelRuntime, RuntimeError } from '../../models/runtime/index.ts'

/** Models the peer that takes a job and is never heard of again: only the abort of `signal` ends an execution. */
export function createSilentRuntime(inner: ModelRuntime): ModelRuntime {
  return {
    info: inner.info,
    execute: (_batch, signal) =>
      new Promise((_resolve, reject) => {
        const abort = (): void => reject(new RuntimeError('aborted', 'the execution was aborted'))
        if (signal.aborted) abort()
        else signal.addEventListener('abort', abort, { once: true })
      }),
    close: () => inner.close(),
  }
}

/** Models the overloaded machine: the answer is right, but first `wait` must resolve (the caller owns the clock). */
export function createSlowRuntime(
  inner: ModelRuntime,
  wait: (signal: AbortSignal) => Promise<void>,
): ModelRuntime {
  return {
    info: inner.info,
    execute: async (batch, signal) => {
      await wait(signal)
      return inner.execute(batch, signal)
    },
    close: () => inner.close(),
  }
}

/** Models the machine whose model dies: every `every`-th execution (from the first on) fails with `crashed`. */
export function createCrashingRuntime(inner: ModelRuntime, every = 1): ModelRuntime {
  let executions = 0
  return {
    info: inner.info,
    execute: async (batch, signal) => {
      if (executions++ % every === 0)
        throw new RuntimeError('crashed', 'the process that runs the model died')
      return inner.execute(batch, signal)
    },
    close: () => inner.close(),
  }
}
