/**
 * `node bench/mesh-ready.ts`: how long five providers need to find each other. From the start of the last process
 * until every node has heard from every other that it hosts the model, over the DHT and gossip and from one bootstrap
 * address. Everything counts: starting Node, importing the model, loading it, dialling, announcing.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type BenchProcess, startProcess } from './processes/channel.ts'
import type { Provided, ProvideRequest, ProvidersRequest } from './processes/provider.ts'
import { spread } from './statistics.ts'
import { prepareWorkload, WORKLOAD_NAMES, type Workload } from './workloads.ts'

const NODES = 5
const GOAL_MS = 4_000
const TIMEOUT_MS = 60_000
/** Fine enough against seconds, and coarse enough not to slow what is measured. */
const POLL_MS = 20

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    model: { type: 'string', default: 'tiny-1k' },
    json: { type: 'boolean', default: false },
  },
})
const name = WORKLOAD_NAMES.find((known) => known === values.model)
if (name === undefined) throw new Error(`--model is one of ${WORKLOAD_NAMES.join(', ')}`)

const scratch = await mkdtemp(join(tmpdir(), 'verimesh-bench-'))
try {
  const workload = await prepareWorkload(name, scratch)
  const readyMs: number[] = []
  for (let run = 0; run < Number(values.runs); run++) {
    readyMs.push(await formMesh(workload, join(scratch, String(run))))
    if (!values.json) console.log(`run ${run + 1}: ${(readyMs.at(-1) ?? 0).toFixed(0)} ms`)
  }
  const { min, median, max } = spread(readyMs)
  if (values.json) console.log(JSON.stringify({ nodes: NODES, goalMs: GOAL_MS, readyMs }))
  else {
    const verdict = max <= GOAL_MS ? 'met' : 'MISSED'
    console.log(
      `${NODES} nodes ready: median ${median.toFixed(0)} ms, ${min.toFixed(0)} to ${max.toFixed(0)}; at most ${GOAL_MS} wanted: ${verdict}`,
    )
  }
  process.exitCode = max <= GOAL_MS ? 0 : 1
} finally {
  await rm(scratch, { recursive: true, force: true })
}

async function formMesh(workload: Workload, directory: string): Promise<number> {
  const processes: BenchProcess[] = []
  const start = async (bootstrap: readonly string[]): Promise<Provided> => {
    const home = join(directory, String(processes.length))
    const started = startProcess('provider')
    processes.push(started)
    await mkdir(home, { recursive: true })
    const request: ProvideRequest = { type: 'provide', workload, threads: 1, directory: home, bootstrap }
    return await started.request<Provided>(request)
  }

  try {
    const { multiaddr, model } = await start([])
    const rest = Array.from({ length: NODES - 1 }, () => start([multiaddr]))
    const lastStartedAt = performance.now()
    await Promise.all(rest)
    const request: ProvidersRequest = { type: 'providers', model }
    for (;;) {
      const known = await Promise.all(processes.map((one) => one.request<number>(request)))
      const elapsedMs = performance.now() - lastStartedAt
      if (known.every((others) => others >= NODES - 1)) return elapsedMs
      if (elapsedMs > TIMEOUT_MS) {
        throw new Error(
          `after ${TIMEOUT_MS / 1000} s the nodes know ${known.join(', ')} of ${NODES - 1} others`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  } finally {
    await Promise.all(processes.map((one) => one.stop()))
  }
}
