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
  const executions = createMedian(SERVICE_SAMPLES)
  const shares = createMedian(SERVICE_SAMPLES)
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
      executionMs = executions(ms)
      jobMs = shares(ms / jobs)
    },
  }
}

/** Takes in a value, and returns the median of the latest `countMax`; of an even number the lower one. */
function createMedian(countMax: number): (value: number) => number {
  const latest: number[] = []
  const sorted: number[] = []
  return (value) => {
    latest.push(value)
    const above = sorted.findIndex((other) => other > value)
    sorted.splice(above < 0 ? sorted.length : above, 0, value)
    if (latest.length > countMax) sorted.splice(sorted.indexOf(latest.shift()!), 1)
    return sorted[(sorted.length - 1) >> 1]!
  }
}
