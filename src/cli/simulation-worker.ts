/** Runs simulations of one plan beside others, in a thread of its own: a number in, an outcome or an error out. */
import { parentPort, workerData } from 'node:worker_threads'
import { planRuns, runWorld } from '../simulator/index.ts'
import type { FromWorker, ToWorker, WorkerPlan } from './simulation-pool.ts'

const { scenario, options } = workerData as WorkerPlan
const { runs } = planRuns(scenario, options)
const port = parentPort!
const tell = (message: FromWorker): void => port.postMessage(message)

port.on('message', ({ run }: ToWorker) => {
  try {
    const outcome = runWorld(runs[run]!, (jobs) => tell({ kind: 'progress', run, jobs }))
    tell({ kind: 'done', run, outcome })
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
    tell({ kind: 'failed', run, name, message })
  }
})
