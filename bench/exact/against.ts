/**
 * `node bench/exact/against.ts --other DIR [--parts plain,steps,proofs,cold,disputes] [--rounds 9]`: this checkout against
 * another one, in turns, so that whatever else a machine does it does to both. Shows ratios of times that were measured side
 * by side (below 1 is faster here). What is short is run five times in a row, of which the least counts: the one that was
 * disturbed least.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { createExactRuntime } from '../../models/runtime/index.ts'
import { openNative } from '../../test/exact/native.ts'
import { MODEL } from '../../test/fixtures/jobs.ts'
import { type Spread, spread } from '../statistics.ts'
import { digits } from '../table.ts'
import { makeProofs } from './proofs.ts'
import { percentiles } from './steps.ts'
import { type Subject, subjects } from './subjects.ts'

/** Of what is short. */
const RUNS = 5
/** As many as the proofs of bench/exact/main.ts: the largest is the same. */
const PROOFS = 20
const signal = AbortSignal.timeout(3_600_000)
const HERE = resolve(import.meta.dirname, '../..')
const { values } = parseArgs({
  options: {
    other: { type: 'string' },
    parts: { type: 'string', default: 'plain,steps,proofs,cold,disputes' },
    rounds: { type: 'string', default: '9' },
  },
})
if (values.other === undefined) throw new Error('--other names the checkout to compare with')
const sides = { here: HERE, other: resolve(values.other) }
const rounds = Number(values.rounds)
const PARTS = { plain, steps, proofs, cold, disputes }

console.log(`load before: ${loadavg()[0]?.toFixed(1)}`)
for (const part of values.parts.split(',')) {
  await PARTS[part as keyof typeof PARTS]()
}

/** A run without a trace, and the native one beside both. */
async function plain(): Promise<void> {
  for (const subject of subjects(['loop-long', 'silero-vad', 'ocr-recognition'])) {
    const files = subject.model.load()
    const native = await openNative(files, 1)
    const [here, other] = [await openLane(sides.here, subject), await openLane(sides.other, subject)]
    const ways = {
      native: () => native.run(subject.inputs),
      here: async () => here.executor.run(subject.inputs),
      other: async () => other.executor.run(subject.inputs),
    }
    for (let warm = 0; warm < 20; warm++) for (const way of Object.values(ways)) await way()
    const times = { native: [] as number[], here: [] as number[], other: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      for (const way of ['native', 'other', 'here'] as const) times[way].push(await leastOf(ways[way]))
    }
    await native.release()
    tell(`plain ${subject.model.name}`, [
      ['here : other', ratio(times.here, times.other)],
      ['here : native', ratio(times.here, times.native)],
      ['other : native', ratio(times.other, times.native)],
    ])
  }
}

/** Each step alone, its operator new to a warm engine, then with its session kept. */
async function steps(): Promise<void> {
  for (const subject of subjects(['ocr-detection', 'ocr-recognition', 'gather-40mb'])) {
    const provider = await openLane(sides.here, subject)
    const lanes = { here: await openLane(sides.here, subject), other: await openLane(sides.other, subject) }
    const first = { here: [] as number[], other: [] as number[] }
    const again = { here: [] as number[], other: [] as number[] }
    const steps: (() => Promise<void>)[] = []
    provider.walk(subject.inputs, ({ leaf, payload: read }) => {
      const payload = read()
      steps.push(async () => {
        for (const side of ['other', 'here'] as const) {
          const run = async () => lanes[side].executor.runStep(leaf.position, leaf.operands, payload)
          first[side].push(await timeOf(run))
          again[side].push(await leastOf(run))
        }
      })
    })
    for (const step of steps) await step()
    for (const [what, ms] of [
      ['first', first],
      ['again', again],
    ] as const) {
      const here = percentiles(ms.here)
      const other = percentiles(ms.other)
      console.log(
        `steps ${subject.model.name} ${what}: ms p50 here ${digits(here.p50)}, other ${digits(other.p50)}; ` +
          `max here ${digits(here.max)}, other ${digits(other.max)}`,
      )
    }
  }
}

/** Proofs verified in a process that has the model; the other process's own time beside what all takes. */
async function proofs(): Promise<void> {
  await withProofs('ocr-detection', async ({ model, files }) => {
    const open = async (root: string) => {
      const runtimes = await load<typeof import('../../models/runtime/index.ts')>(
        root,
        'models/runtime/index.ts',
      )
      const graph = await load<typeof import('../../models/graph/index.ts')>(root, 'models/graph/index.ts')
      const fraud = await load<typeof import('../../protocols/fraud/index.ts')>(
        root,
        'protocols/fraud/index.ts',
      )
      const signature = graph.modelSignature(graph.readModel(await readFile(model)))
      const runtime = runtimes.createExactRuntime({ modelPath: model, signature })
      const plan = await runtime.plan(signal)
      const verify = (bytes: Uint8Array) =>
        fraud.verifyFraudProof(
          bytes,
          { modelOf: () => ({ plan, laneId: runtime.info.version, runStep: runtime.runStep }) },
          signal,
        )
      return { verify, runtime, pid: runtime.status().pid ?? 0 }
    }
    const opened = { here: await open(sides.here), other: await open(sides.other) }
    const [largest] = files
    const ms = { here: [] as number[], other: [] as number[] }
    const ownMs = { here: [] as number[], other: [] as number[] }
    for (let round = 0; round <= rounds; round++) {
      for (const side of ['other', 'here'] as const) {
        const bytes = new Uint8Array(await readFile(largest!))
        const before = await processMs(opened[side].pid)
        const startedAt = performance.now()
        const { status } = await opened[side].verify(bytes)
        if (status !== 'valid') throw new Error(`a proof is ${status}`)
        // The first finds cold code.
        if (round === 0) continue
        ms[side].push(performance.now() - startedAt)
        ownMs[side].push((await processMs(opened[side].pid)) - before)
      }
    }
    await Promise.all(Object.values(opened).map(({ runtime }) => runtime.close()))
    tell('proof of 6.5 MB, warm', [
      ['here : other', ratio(ms.here, ms.other)],
      ['ms here', spread(ms.here)],
      ['ms other', spread(ms.other)],
    ])
    tell('  processor ms of the process that runs the step', [
      ['here', spread(ownMs.here)],
      ['other', spread(ownMs.other)],
    ])
  })
}

/** `verimesh fraud verify` from its start to its end. */
async function cold(): Promise<void> {
  for (const name of ['ocr-recognition', 'ocr-detection']) {
    await withProofs(name, async ({ model, files, directory }) => {
      const ms = { here: [] as number[], other: [] as number[] }
      for (let round = 0; round <= rounds; round++) {
        for (const side of ['other', 'here'] as const) {
          const command = [join(sides[side], 'src/cli/launch.js'), 'fraud', 'verify', files[round % 5]!]
          const options = ['--model', model, '--data', join(directory, 'data'), '--json']
          const startedAt = performance.now()
          const { stdout } = await run(process.execPath, [...command, ...options])
          if ((JSON.parse(stdout) as { status: string }).status !== 'valid') throw new Error(stdout)
          if (round > 0) ms[side].push(performance.now() - startedAt)
        }
      }
      tell(`proof of ${name}, cold`, [
        ['here : other', ratio(ms.here, ms.other)],
        ['ms here', spread(ms.here)],
        ['ms other', spread(ms.other)],
      ])
    })
  }
}

/** The first dispute of two providers, and the second, which finds their exact lanes started. */
async function disputes(): Promise<void> {
  const ways = [
    ['other', sides.other, []],
    ['here', sides.here, []],
    ['here, 10 s after the start', sides.here, ['--wait', '10']],
  ] as const
  const ms = new Map<string, { first: number[]; second: number[] }>()
  for (let round = 0; round < Math.ceil(rounds / 3); round++) {
    for (const [name, root, options] of ways) {
      const { stdout } = await run(process.execPath, [
        '--disable-warning=ExperimentalWarning',
        join(root, 'bench/exact/disputes.ts'),
        ...['--rounds', '2', ...options],
      ])
      const answered = [...stdout.matchAll(/^ +\d+ +(\d+) .*refereed$/gm)].map(([, text]) => Number(text))
      if (answered.length !== 2) throw new Error(`not both were refereed: ${stdout}`)
      const found = ms.get(name) ?? { first: [], second: [] }
      found.first.push(answered[0]!)
      found.second.push(answered[1]!)
      ms.set(name, found)
    }
  }
  for (const [name, { first, second }] of ms) {
    tell(`dispute, ${name}`, [
      ['first ms', spread(first)],
      ['second ms', spread(second)],
    ])
  }
}

interface Proofs {
  readonly directory: string
  readonly model: string
  /** The largest first. */
  readonly files: readonly string[]
}

async function withProofs(name: string, use: (proofs: Proofs) => Promise<void>): Promise<void> {
  const [subject] = subjects([name])
  const directory = await mkdtemp(join(tmpdir(), 'verimesh-against-'))
  try {
    const model = join(directory, 'model.onnx')
    await writeFile(model, subject!.model.load().model)
    const made: Uint8Array[] = []
    const runtime = createExactRuntime({ modelPath: model })
    try {
      const plan = await runtime.plan(signal)
      const verifiable = { plan, laneId: runtime.info.version, runStep: runtime.runStep }
      for await (const bytes of makeProofs(subject!, PROOFS, MODEL, verifiable)) made.push(bytes)
    } finally {
      await runtime.close()
    }
    const files: string[] = []
    for (const [at, bytes] of made.toSorted((a, b) => b.byteLength - a.byteLength).entries()) {
      files.push(join(directory, `${at}.proof`))
      await writeFile(files[at]!, bytes)
    }
    await use({ directory, model, files })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function openLane(root: string, { model }: Subject) {
  const { createWasmEngine } = await load<typeof import('../../models/runtime/wasm-engine.ts')>(
    root,
    'models/runtime/wasm-engine.ts',
  )
  const lanes = await load<typeof import('../../test/exact/lane.ts')>(root, 'test/exact/lane.ts')
  return lanes.openLane(model.load(), await createWasmEngine())
}

function load<Module>(root: string, path: string): Promise<Module> {
  return import(join(root, path)) as Promise<Module>
}

function run(file: string, args: readonly string[]): Promise<{ stdout: string }> {
  return promisify(execFile)(file, args, { maxBuffer: 16 * 1024 * 1024 })
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

async function leastOf(work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS; run++) least = Math.min(least, await timeOf(work))
  return least
}

/** Processor time of a process, to the 10 ms that Linux tells. */
async function processMs(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

/** Of pairs measured side by side. */
function ratio(left: readonly number[], right: readonly number[]): Spread {
  return spread(left.map((ms, at) => ms / right[at]!))
}

function tell(what: string, spreads: readonly (readonly [string, Spread])[]): void {
  const texts = spreads.map(
    ([name, { min, median, max }]) => `${name} ${digits(median)} (${digits(min)}-${digits(max)})`,
  )
  console.log(`${what}: ${texts.join(', ')}`)
}
