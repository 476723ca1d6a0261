/**
 * `npm run bench:simulator [-- --nodes 100,1000]`: what an event of a simulation costs, and how much memory it takes, by the
 * number of nodes. Meshes are the scenario `large` made smaller: as many jobs and models a node, so that the largest is
 * `large` itself, 10,000 nodes and 1,000,000 jobs. Each size has a process of its own, and the largest takes minutes.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type Json, planRuns, type RunSpec, runWorld } from '../../src/simulator/index.ts'

const SIZES = '100,1000,10000'
const LARGEST = 10_000
/** Small meshes are run until their events are as many as warm up an engine, and the first run is not counted. */
const EVENTS_MIN = 3_000_000

interface Measured {
  readonly nodes: number
  readonly jobs: number
  readonly runs: number
  readonly events: number
  readonly seconds: number
  readonly microsPerEvent: number
  readonly peakMegabytes: number
}

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: SIZES },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    /** Of the processes that measure. */
    size: { type: 'string' },
  },
})
const seed = Number(values.seed)
if (values.size !== undefined) process.send?.(await measure(Number(values.size)))
else await main(values.nodes.split(',').map(Number))

async function main(sizes: readonly number[]): Promise<void> {
  const rows: Measured[] = []
  for (const nodes of sizes) {
    process.stderr.write(`${nodes} nodes, ${nodes * 100} jobs ...\n`)
    const child = fork(import.meta.filename, ['--size', String(nodes), '--seed', String(seed)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    const ended = once(child, 'exit')
    const [row] = (await Promise.race([
      once(child, 'message'),
      ended.then(() => Promise.reject(new Error(`measuring ${nodes} nodes ended without a result`))),
    ])) as [Measured]
    await ended
    rows.push(row)
  }
  if (values.json) console.log(JSON.stringify(rows, undefined, 2))
  else {
    console.log('| nodes | jobs | events a run | seconds a run | us an event | peak memory |')
    console.log('|---|---|---|---|---|---|')
    for (const row of rows) {
      const seconds = (row.seconds / row.runs).toFixed(1)
      const events = Math.round(row.events / row.runs)
      console.log(
        `| ${row.nodes} | ${row.jobs} | ${events} | ${seconds} | ${row.microsPerEvent.toFixed(2)} | ${row.peakMegabytes.toFixed(0)} MB |`,
      )
    }
  }
}

async function measure(nodes: number): Promise<Measured> {
  const text = await readFile(new URL('../../src/simulator/scenarios/large.json', import.meta.url), 'utf8')
  const large = JSON.parse(text) as Record<string, Json>
  const at = (key: string): number => Math.max(1, Math.round(((large[key] as number) * nodes) / LARGEST))
  const scenario = {
    ...large,
    jobs: at('jobs'),
    jobsPerSecond: at('jobsPerSecond'),
    requesters: at('requesters'),
    providers: at('providers'),
    models: at('models'),
  }
  const specOf = (offset: number): RunSpec => planRuns(scenario, { seed: seed + offset }).runs[0]!
  const isLargest = nodes >= LARGEST
  if (!isLargest) runWorld(specOf(0))
  let [runs, events, seconds] = [0, 0, 0]
  while (runs === 0 || (!isLargest && events < EVENTS_MIN)) {
    const startedAtMs = performance.now()
    const { row } = runWorld(specOf(runs + 1))
    seconds += (performance.now() - startedAtMs) / 1000
    events += row.events
    runs += 1
  }
  return {
    nodes,
    jobs: scenario.jobs,
    runs,
    events,
    seconds,
    microsPerEvent: (seconds * 1e6) / events,
    peakMegabytes: process.resourceUsage().maxRSS / 1024,
  }
}
