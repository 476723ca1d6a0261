import { SERVICE_SAMPLES } from './constants.ts'

/** How long executions of one model take, from the latest ones; the guess until one was measured. */
export interface ServiceTimes {
  /** Median of one execution, in milliseconds. */
  readonly executionMs: number
  /** Median of one execution's share for each job in it, in milliseconds. */
  readonly jobMs: number
  add(executionMs: number, jobs: number): void
}

export function createServiceTimes(guessMs: number): ServiceTimes {
  const executions: number[] = []
  const shares: number[] = []
  let executionMs = guessMs
  let jobMs = guessMs
  return {
    get executionMs() {
      return executionMs
    },
    get jobMs() {
      return jobMs
    },
    add: (ms, jobs) => {
      executionMs = remember(executions, ms)
      jobMs = remember(shares, ms / jobs)
    },
  }
}

function remember(samples: number[], value: number): number {
  samples.push(value)
  if (samples.length > SERVICE_SAMPLES) samples.shift()
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)]!
}
