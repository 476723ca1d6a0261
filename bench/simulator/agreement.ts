/**
 * `node bench/simulator/agreement.ts`: does the simulator say what the real node does? One scenario both ways: eight
 * providers, two of whom lie in every job and in their traces, services that take a time drawn from one distribution, and
 * questions at the same instants. The real ones are processes of their own on loopback; the delay between simulated ones is
 * what was measured of them in the same run, while a service took no time.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createInProcessExactRuntime, createStubRuntime } from '../../models/runtime/index.ts'
import { openModelStore } from '../../models/store/index.ts'
import { float32Elements, float32Tensor } from '../../models/tensor/index.ts'
import { createLog, createNode, type SubmitRequest, type VerimeshNode } from '../../src/node/index.ts'
import { createRandom } from '../../src/routing/index.ts'
import { type ClosedQuestion, type Json, planRuns, runWorld } from '../../src/simulator/index.ts'
import { affineModel } from '../models.ts'
import { type BenchProcess, startProcess } from '../processes/channel.ts'
import type { PaceRequest, ProvideStubRequest, StubProvided } from '../processes/stub-provider.ts'
import { affineOf, importSetTime } from './set-time.ts'

const PROVIDERS = 8
const LIARS = 2
const WIDTH = 16
const OVERHEAD_JOBS = 200
const READY_TIMEOUT_MS = 60_000
/** As a job of the node has it by default: see `src/node/terms.ts`. */
const TIMEOUT_MS = 30_000
const ATTEMPT_TIMEOUT_MS = 13_500
const GOAL = 0.2

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    'jobs-per-second': { type: 'string', default: '20' },
    'service-ms': { type: 'string', default: '60' },
    sigma: { type: 'string', default: '0.2' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const jobs = Number(values.jobs)
const jobsPerSecond = Number(values['jobs-per-second'])
const pace = { serviceMs: Number(values['service-ms']), sigma: Number(values.sigma) }
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
  { name: 'referee', request: { policy: 'referee' }, policy: { name: 'referee' } },
  {
    name: 'doubt, risk 0.01',
    request: { risk: 0.01, floorRate: 0.03 },
    policy: { name: 'doubt', risk: 0.01, floorRate: 0.03 },
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
try {
  const modelPath = join(scratch, 'set-time.onnx')
  await writeFile(modelPath, affineModel(WIDTH))
  const rows = []
  for (const rule of RULES) rows.push(await compare(rule, modelPath))
  if (values.json) console.log(JSON.stringify({ jobs, jobsPerSecond, ...pace, seed, rows }, undefined, 2))
} finally {
  await stopProcesses()
  await rm(scratch, { recursive: true, force: true })
}

/** Each rule has a mesh of its own: nobody knows yet who lies. */
async function compare({ name, request, policy }: (typeof RULES)[number], modelPath: string) {
  say(`${name}: starting ${PROVIDERS} providers ...`)
  const directory = await mkdtemp(join(scratch, 'mesh-'))
  const [first, ...others] = await startProviders(directory, modelPath)
  const requester = await startRequester(join(directory, 'requester'), modelPath, first!.multiaddr)
  try {
    await untilKnown(requester, first!.model, others.length + 1)
    const overheadMs = await measureOverhead(requester, first!.model)
    await setPace(pace)
    say(
      `${name}: a job of no time takes ${overheadMs.toFixed(2)} ms; ${jobs} jobs, ${jobsPerSecond} a second ...`,
    )
    const { closed, arrivalsMs } = await askReal(requester, first!.model, request)
    const real = outcomeOf(closed)
    const simulated = outcomeOf(simulate(policy, overheadMs, arrivalsMs))
    const p50Ratio = simulated.p50Ms / real.p50Ms
    if (!values.json) {
      console.log(`${name}\n  real      ${lineOf(real)}\n  simulated ${lineOf(simulated)}`)
      const verdict = Math.abs(p50Ratio - 1) <= GOAL ? 'met' : 'MISSED'
      console.log(`  p50 simulated : real ${p50Ratio.toFixed(3)}; within ${GOAL * 100} % wanted: ${verdict}`)
    }
    return { rule: name, overheadMs, real, simulated, p50Ratio }
  } finally {
    await requester.stop({ drainMs: 0 })
    await stopProcesses()
  }
}

async function startProviders(directory: string, modelPath: string): Promise<StubProvided[]> {
  const start = async (index: number, bootstrap: readonly string[]): Promise<StubProvided> => {
    const own = join(directory, `provider-${index}`)
    await mkdir(own)
    const started = startProcess('stub-provider')
    processes.push(started)
    const request: ProvideStubRequest = {
      type: 'provide',
      directory: own,
      bootstrap,
      modelPath,
      width: WIDTH,
      seed: seed * PROVIDERS + index,
      // The last ones, each in its own way.
      ...(index < PROVIDERS - LIARS ? {} : { lie: index }),
    }
    return await started.request<StubProvided>(request)
  }
  const first = await start(0, [])
  const others = Array.from({ length: PROVIDERS - 1 }, (_, index) => start(index + 1, [first.multiaddr]))
  return [first, ...(await Promise.all(others))]
}

/** It holds the model, as whoever settles disputes does. */
async function startRequester(
  directory: string,
  modelPath: string,
  bootstrap: string,
): Promise<VerimeshNode> {
  await mkdir(directory)
  const store = await openModelStore(directory)
  await store.add(await importSetTime(store.workDirectory, modelPath))
  const bytes = affineModel(WIDTH)
  return await createNode({
    dataDirectory: directory,
    ephemeral: true,
    listen: [],
    bootstrap: [bootstrap],
    mdns: false,
    exemptPrivateAddresses: true,
    // Answers of one word that rested on a liar are looked at again, in vain: no bundle of them is kept here.
    log: createLog({ level: 'error', json: false, write: (line) => console.error(line) }),
    parts: {
      createRuntime: ({ manifest }) =>
        createStubRuntime({ seed: 0, signature: manifest.signature, transform: affineOf(WIDTH) }),
      createExact: () => createInProcessExactRuntime(bytes),
    },
  })
}

async function stopProcesses(): Promise<void> {
  await Promise.all(processes.splice(0).map((one) => one.stop()))
}

async function setPace(wanted: typeof pace): Promise<void> {
  const request: PaceRequest = { type: 'pace', ...wanted }
  await Promise.all(processes.map((one) => one.request<void>(request)))
}

async function untilKnown(node: VerimeshNode, model: string, count: number): Promise<void> {
  node.seek(model)
  const endsAt = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    const known = node.peers().filter((peer) => peer.models.some(({ cid }) => cid === model)).length
    if (known >= count) return
    if (performance.now() > endsAt) throw new Error(`only ${known} of ${count} providers were found`)
    await sleep(50)
  }
}

function inputOf(job: number): ReturnType<typeof float32Tensor> {
  return float32Tensor('x', [1, WIDTH], new Float32Array(WIDTH).fill(1 + (job % 100)))
}

/** One job after the other, to one provider each: what a request costs beside the model, in milliseconds. */
async function measureOverhead(node: VerimeshNode, model: string): Promise<number> {
  const tookMs: number[] = []
  for (let job = 0; job < OVERHEAD_JOBS; job++) {
    const result = await node.submit({ model, inputs: [inputOf(job)], replicas: 1 })
    await result.closed
    tookMs.push(result.elapsedMs)
  }
  return quantile(tookMs, 0.5)
}

/** Asks at random times. Resolves with what was answered, and when each question was asked. */
async function askReal(
  node: VerimeshNode,
  model: string,
  request: Partial<SubmitRequest>,
): Promise<{ closed: ClosedQuestion[]; arrivalsMs: number[] }> {
  const random = createRandom(seed)
  const truth = affineOf(WIDTH)
  const arrivalsMs: number[] = []
  const answers: Promise<ClosedQuestion | undefined>[] = []
  const startedAtMs = performance.now()
  for (let job = 0; job < jobs; job++) {
    const input = inputOf(job)
    const [right] = float32Elements(truth([input])[0]!)
    const ask = async (): Promise<ClosedQuestion> => {
      const result = await node.submit({ model, inputs: [input], timeoutMs: TIMEOUT_MS, ...request })
      const [value] = float32Elements(result.outputs[0]!)
      const { verdict } = await result.closed
      return { latencyMs: result.elapsedMs, isWrong: Math.abs(value! - right!) > 0.01, verdict }
    }
    arrivalsMs.push(performance.now() - startedAtMs)
    answers.push(ask().catch(() => undefined))
    await sleep((-Math.log(1 - random.next()) * 1000) / jobsPerSecond)
  }
  const closed = (await Promise.all(answers)).filter((one) => one !== undefined)
  return { closed, arrivalsMs }
}

function simulate(policy: Json, overheadMs: number, arrivalsMs: readonly number[]): ClosedQuestion[] {
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
    service: { serviceMs: pace.serviceMs, serviceSigma: pace.sigma, speedSigma: 0 },
    job: {
      timeoutMs: TIMEOUT_MS,
      attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
      tracedCost: 1,
      outlierRate: 0,
      knownMax: PROVIDERS,
    },
  }
  const [run] = planRuns(scenario, { seed }).runs
  const closed: ClosedQuestion[] = []
  runWorld({ ...run!, arrivalsMs }, undefined, (question) => closed.push(question))
  return closed
}

function outcomeOf(closed: readonly ClosedQuestion[]): Outcome {
  const labels: Record<string, number> = {}
  for (const { verdict } of closed) labels[verdict.label] = (labels[verdict.label] ?? 0) + 1 / closed.length
  const latenciesMs = closed.map(({ latencyMs }) => latencyMs)
  return {
    served: closed.length,
    failed: jobs - closed.length,
    wrong: closed.filter(({ isWrong }) => isWrong).length,
    labels,
    asked: closed.reduce((sum, { verdict }) => sum + verdict.asked, 0) / Math.max(1, closed.length),
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  }
}

function lineOf({ served, failed, wrong, labels, asked, p50Ms, p99Ms }: Outcome): string {
  const shares = Object.entries(labels)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([label, share]) => `${label} ${(share * 100).toFixed(1)} %`)
  return `${served} served, ${failed} failed, ${wrong} wrong; ${shares.join(', ')}; ${asked.toFixed(2)} asked; p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
