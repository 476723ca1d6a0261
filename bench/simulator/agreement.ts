/**
 * `node bench/simulator/agreement.ts`: does the simulator say what the real node does? One scenario both ways: eight
 * providers, two of whom lie in every job, stubs that take a set time, the same arrival rate and number of jobs. The
 * real ones are processes of their own on loopback; the delay between simulated ones is what was measured of them in
 * the same run, with a stub that takes no time.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { float32Elements, float32Tensor } from '../../models/tensor/index.ts'
import {
  createLog,
  createNode,
  type JobResult,
  type SubmitRequest,
  type VerimeshNode,
} from '../../src/node/index.ts'
import { createRandom } from '../../src/routing/index.ts'
import { type Json, planRuns, runWorld } from '../../src/simulator/index.ts'
import { affineModel } from '../models.ts'
import { type BenchProcess, startProcess } from '../processes/channel.ts'
import type { ProvideStubsRequest, StubsProvided } from '../processes/stub-provider.ts'

const PROVIDERS = 8
const LIARS = 2
const HONEST_SEED = 1
const WIDTH = 16
const READY_TIMEOUT_MS = 60_000
/** As a job of the node has it by default: see `src/node/terms.ts`. */
const TIMEOUT_MS = 30_000
const ATTEMPT_TIMEOUT_MS = 13_500
const GOAL = 0.2

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '600' },
    'jobs-per-second': { type: 'string', default: '20' },
    'service-ms': { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const jobs = Number(values.jobs)
const jobsPerSecond = Number(values['jobs-per-second'])
const serviceMs = Number(values['service-ms'])
const seed = Number(values.seed)

/** The same rule in the words of the node and in those of a scenario. */
const RULES: readonly {
  readonly name: string
  readonly request: Partial<SubmitRequest>
  readonly policy: Json
}[] = [
  { name: 'signed', request: { replicas: 1 }, policy: { name: 'm-first', votes: 1 } },
  {
    name: 'quorum of three',
    request: { policy: 'quorum', replicas: 3 },
    policy: { name: 'quorum', replicas: 3, quorum: 2 },
  },
  {
    name: 'doubt, risk 0.05',
    request: { risk: 0.05, floorRate: 0.03 },
    policy: { name: 'doubt', risk: 0.05, floorRate: 0.03, referee: false },
  },
]

/** What came of all jobs, one way or the other. */
interface Outcome {
  readonly served: number
  readonly failed: number
  readonly wrong: number
  /** Share of the served. */
  readonly labels: Readonly<Record<string, number>>
  readonly asked: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const scratch = await mkdtemp(join(tmpdir(), 'verimesh-agreement-'))
const processes: BenchProcess[] = []
let requester: VerimeshNode | undefined
try {
  const models = join(scratch, 'models')
  await mkdir(models)
  // Other widths, so that the two have addresses of their own.
  await writeFile(join(models, 'set-time.onnx'), affineModel(WIDTH))
  await writeFile(join(models, 'no-time.onnx'), affineModel(WIDTH + 1))
  say(`starting ${PROVIDERS} providers ...`)
  const provided = await startProviders(models)
  requester = await createNode({
    dataDirectory: join(scratch, 'requester'),
    ephemeral: true,
    listen: [],
    bootstrap: [provided[0]!.multiaddr],
    mdns: false,
    exemptPrivateAddresses: true,
    // Answers of one word that rested on a liar are looked at again, in vain: no bundle of them is kept here.
    log: createLog({ level: 'error', json: false, write: (line) => console.error(line) }),
  })
  const cids = provided[0]!.models
  await untilKnown(requester, Object.values(cids), provided.length)
  const overheadMs = await measureOverhead(requester, cids['no-time']!)
  say(`a job of no time takes ${overheadMs.toFixed(2)} ms between two processes`)
  const rows = []
  for (const { name, request, policy } of RULES) {
    say(`${name}: ${jobs} jobs, ${jobsPerSecond} a second ...`)
    const real = await askReal(requester, cids['set-time']!, request)
    const simulated = simulate(policy, overheadMs)
    rows.push({ rule: name, real, simulated, p50Ratio: simulated.p50Ms / real.p50Ms })
  }
  if (values.json) console.log(JSON.stringify({ jobs, jobsPerSecond, serviceMs, overheadMs, rows }, null, 2))
  else {
    for (const { rule, real, simulated, p50Ratio } of rows) {
      console.log(`${rule}`)
      console.log(`  real      ${lineOf(real)}`)
      console.log(`  simulated ${lineOf(simulated)}`)
      const verdict = Math.abs(p50Ratio - 1) <= GOAL ? 'met' : 'MISSED'
      console.log(`  p50 simulated : real ${p50Ratio.toFixed(3)}; within ${GOAL * 100} % wanted: ${verdict}`)
    }
  }
} finally {
  await requester?.stop({ drainMs: 0 })
  await Promise.all(processes.map((one) => one.stop()))
  await rm(scratch, { recursive: true, force: true })
}

async function startProviders(models: string): Promise<StubsProvided[]> {
  const start = async (index: number, bootstrap: readonly string[]): Promise<StubsProvided> => {
    const directory = join(scratch, `provider-${index}`)
    await mkdir(directory)
    const started = startProcess('stub-provider')
    processes.push(started)
    const request: ProvideStubsRequest = {
      type: 'provide',
      directory,
      bootstrap,
      models,
      serviceMs: { 'set-time': serviceMs, 'no-time': 0 },
      // The last ones lie, each in its own way.
      seed: index < PROVIDERS - LIARS ? HONEST_SEED : HONEST_SEED + index,
    }
    return await started.request<StubsProvided>(request)
  }
  const first = await start(0, [])
  const others = Array.from({ length: PROVIDERS - 1 }, (_, index) => start(index + 1, [first.multiaddr]))
  return [first, ...(await Promise.all(others))]
}

async function untilKnown(node: VerimeshNode, cids: readonly string[], count: number): Promise<void> {
  for (const cid of cids) node.seek(cid)
  const endsAt = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    const knows = (cid: string) =>
      node.peers().filter((peer) => peer.models.some((model) => model.cid === cid)).length
    if (cids.every((cid) => knows(cid) >= count)) return
    if (performance.now() > endsAt)
      throw new Error(`only ${cids.map(knows).join(', ')} of ${count} providers were found`)
    await sleep(50)
  }
}

function inputOf(width: number, job: number): ReturnType<typeof float32Tensor> {
  return float32Tensor('x', [1, width], new Float32Array(width).fill(1 + (job % 100)))
}

/** One job after the other, to one provider each: what a request costs beside the model, in milliseconds. */
async function measureOverhead(node: VerimeshNode, model: string): Promise<number> {
  const tookMs: number[] = []
  for (let job = 0; job < 200; job++) {
    const result = await node.submit({ model, inputs: [inputOf(WIDTH + 1, job)], replicas: 1 })
    await result.closed
    tookMs.push(result.elapsedMs)
  }
  return quantile(tookMs, 0.5)
}

async function askReal(node: VerimeshNode, model: string, request: Partial<SubmitRequest>): Promise<Outcome> {
  const random = createRandom(seed)
  const truth = slopeOf(HONEST_SEED)
  const results: Promise<{ result: JobResult; isWrong: boolean } | undefined>[] = []
  for (let job = 0; job < jobs; job++) {
    const input = inputOf(WIDTH, job)
    const ask = async () => {
      const result = await node.submit({ model, inputs: [input], timeoutMs: TIMEOUT_MS, ...request })
      const [value] = float32Elements(result.outputs[0]!)
      await result.closed
      return { result, isWrong: Math.abs(value! - truth(1 + (job % 100))) > 0.01 }
    }
    results.push(ask().catch(() => undefined))
    await sleep((-Math.log(1 - random.next()) * 1000) / jobsPerSecond)
  }
  const ended = await Promise.all(results)
  const served = ended.filter((one) => one !== undefined)
  const labels: Record<string, number> = {}
  for (const { result } of served)
    labels[result.verdict.label] = (labels[result.verdict.label] ?? 0) + 1 / served.length
  return {
    served: served.length,
    failed: ended.length - served.length,
    wrong: served.filter(({ isWrong }) => isWrong).length,
    labels,
    asked: served.reduce((sum, { result }) => sum + result.verdict.asked, 0) / Math.max(1, served.length),
    p50Ms: quantile(
      served.map(({ result }) => result.elapsedMs),
      0.5,
    ),
    p99Ms: quantile(
      served.map(({ result }) => result.elapsedMs),
      0.99,
    ),
  }
}

/** What the stub of `models/runtime` makes of a number. */
function slopeOf(stubSeed: number): (x: number) => number {
  const slope = 0.5 + ((stubSeed * 0.6180339887498949) % 1)
  const offset = (stubSeed * 0.7548776662466927) % 1
  return (x) => x * slope + offset
}

function simulate(policy: Json, overheadMs: number): Outcome {
  const scenario: Json = {
    name: 'agreement',
    shows: 'What the real node does.',
    policies: [policy],
    jobs,
    jobsPerSecond,
    providers: PROVIDERS,
    processorClasses: 1,
    shareMax: 1,
    attackers: [{ kind: 'liar', share: LIARS / PROVIDERS, rate: 1 }],
    // There and back.
    network: { latencyMs: overheadMs / 2, latencySigma: 0, bandwidthBytesPerMs: 0 },
    service: { serviceMs, serviceSigma: 0, speedSigma: 0 },
    job: { timeoutMs: TIMEOUT_MS, attemptTimeoutMs: ATTEMPT_TIMEOUT_MS, outlierRate: 0, knownMax: PROVIDERS },
  }
  const [run] = planRuns(scenario, { seed }).runs
  const { row, labels } = runWorld(run!)
  return {
    served: row.served,
    failed: row.failed,
    wrong: Math.round(row.error * jobs),
    labels: Object.fromEntries(Object.entries(labels).map(([label, count]) => [label, count / row.served])),
    asked: row.executionsPerJob,
    p50Ms: row.latencyP50Ms,
    p99Ms: row.latencyP99Ms,
  }
}

function lineOf({ served, failed, wrong, labels, asked, p50Ms, p99Ms }: Outcome): string {
  const shares = Object.entries(labels).map(([label, share]) => `${label} ${(share * 100).toFixed(1)} %`)
  return `${served} served, ${failed} failed, ${wrong} wrong; ${shares.join(', ')}; ${asked.toFixed(2)} asked; p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
