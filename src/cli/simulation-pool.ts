import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Json, Outcome, PlanOptions } from '../simulator/index.ts'

export interface WorkerPlan {
  readonly scenario: Json
  readonly options: PlanOptions
}

export interface ToWorker {
  /** Index of a run in the plan. */
  readonly run: number
}

export type FromWorker =
  | { readonly kind: 'progress'; readonly run: number; readonly jobs: number }
  | { readonly kind: 'done'; readonly run: number; readonly outcome: Outcome }
  | { readonly kind: 'failed'; readonly run: number; readonly name: string; readonly message: string }

/** A run that ended with an error: a law was broken, or the program is wrong. */
export class RunFailed extends Error {
  override readonly name = 'RunFailed'
  readonly code = 'violation'
}

/**
 * Runs the first `count` runs of a plan in as many threads as the machine has processors, and returns their outcomes in the
 * order of the plan. `onJobs` hears how many jobs of each run were asked. Rejects with the first failure.
 */
export async function runAll(
  plan: WorkerPlan,
  count: number,
  onJobs: (run: number, jobs: number) => void,
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = new Array(count)
  let next = 0
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
      const worker = new Worker(new URL(`./simulation-worker.${extension}`, import.meta.url), {
        workerData: plan,
      })
      const stop = (end: () => void): void => {
        signal.removeEventListener('abort', abort)
        worker.terminate().then(end, reject)
      }
      const abort = (): void => stop(() => reject(signal.reason))
      const give = (): void => {
        if (next >= count) stop(resolve)
        else worker.postMessage({ run: next++ } satisfies ToWorker)
      }
      signal.addEventListener('abort', abort, { once: true })
      worker.on('error', (error) => stop(() => reject(error)))
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'progress') onJobs(message.run, message.jobs)
        else if (message.kind === 'failed') {
          next = count
          stop(() => reject(new RunFailed(message.message)))
        } else {
          outcomes[message.run] = message.outcome
          give()
        }
      })
      give()
    })
  const threads = Math.min(count, availableParallelism())
  await Promise.all(Array.from({ length: threads }, work))
  return outcomes
}
