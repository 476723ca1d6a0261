/**
 * How many jobs should share an execution of a model, learnt from what executions of it took.
 *
 * Some models run a batch of eight in the time of three, others take longer for each than alone, and nobody can tell
 * from the model. So sizes are tried: 1, 2, 4 and so on, each as often as the comparison needs, and upwards only while
 * each step takes clearly less time for its input than the one before; the last that did is kept. A size is tried when as
 * many jobs wait anyway, never by making anyone wait, except that during a few executions the runtime is not given
 * work ahead, so that a queue shows. Now and then all is tried anew, since machines change.
 *
 * Time is reckoned for each byte of input, which is the same as for each job where all jobs are alike, and fairer
 * where they are not. The least of a few samples counts: what disturbs an execution makes it longer, never shorter.
 */
import {
  BATCH_GAIN_MIN,
  BATCH_TRIAL_EXECUTIONS,
  BATCH_TRIAL_INTERVAL,
  BATCH_TRIAL_SAMPLES,
  EXECUTION_OVERHEAD_MS,
} from './constants.ts'

export interface BatchSizes {
  /** Jobs that an execution may have at most, as far as is known; 1 until batches are known to help. */
  readonly jobsMax: number
  /** Whether a size is being tried, for which a queue is needed. */
  readonly isTrying: boolean
  /** Jobs for the next execution, at most, when `waiting` wait. */
  choose(waiting: number): number
  /** An execution that succeeded: its jobs, the bytes of its inputs, and the time the model took. */
  add(jobs: number, inputBytes: number, serviceMs: number): void
  /** An execution of several jobs failed as a whole: as many jobs are too many, until all is tried anew. */
  fail(jobs: number): void
}

interface Trial {
  /** Jobs in the executions that are tried now. */
  size: number
  samples: number[]
  /** What the size before took for a byte. */
  costBefore: number
  /** Executions since this size is to be tried. */
  executions: number
}

/** `known`: the best size as it was measured before; without it nothing is known and trying begins at once. */
export function createBatchSizes(jobsLimit: number, known?: number): BatchSizes {
  /** What was found last: as many jobs as are worth it. */
  let settled = Math.min(known ?? 1, jobsLimit)
  let trial = known === undefined ? firstTrial() : undefined
  let executions = 0

  const conclude = (jobs: number) => {
    settled = jobs
    trial = undefined
  }
  const step = (tried: Trial) => {
    const { size } = tried
    const cost = Math.min(...tried.samples)
    if (size > 1 && cost > tried.costBefore * (1 - BATCH_GAIN_MIN)) conclude(size / 2)
    else if (size * 2 > jobsLimit) conclude(size)
    else trial = { size: size * 2, samples: [], costBefore: cost, executions: 0 }
  }

  return {
    get jobsMax() {
      // Sizes up to the one that is still to be tried count as the one before, which helped.
      return trial === undefined ? settled : Math.max(settled, trial.size - 1)
    },
    get isTrying() {
      return trial !== undefined && trial.executions < BATCH_TRIAL_EXECUTIONS
    },
    choose(waiting) {
      return trial !== undefined && waiting >= trial.size ? trial.size : this.jobsMax
    },
    add(jobs, inputBytes, serviceMs) {
      if (trial !== undefined) {
        trial.executions += 1
        if (sizeOf(jobs) === trial.size) {
          trial.samples.push((serviceMs + EXECUTION_OVERHEAD_MS) / inputBytes)
          if (trial.samples.length >= BATCH_TRIAL_SAMPLES) step(trial)
        }
      }
      executions += 1
      if (executions % BATCH_TRIAL_INTERVAL === 0) trial = firstTrial()
    },
    fail(jobs) {
      conclude(Math.max(1, sizeOf(jobs) / 2))
    },
  }
}

function firstTrial(): Trial | undefined {
  return { size: 1, samples: [], costBefore: 0, executions: 0 }
}

/** The largest power of two that is not above `jobs`. */
function sizeOf(jobs: number): number {
  return 2 ** Math.floor(Math.log2(jobs))
}
