/**
 * The demo: a page of text is read by processes of this machine that have never met, one of which lies; and then every
 * accepted answer is computed again right here, to see whether the mesh was right.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openModelStore, type StoredModel } from '../../models/store/index.ts'
import { decodeImage, type RgbImage } from '../../models/task/index.ts'
import {
  checkExactLanes,
  createNode,
  prepareHeap,
  type Recheck,
  silentLog,
  type VerimeshNode,
} from '../node/index.ts'
import {
  ArgumentsError,
  DEMO_HELP,
  DEMO_REPLICAS,
  type DemoArguments,
  parseDemoArguments,
} from './arguments.ts'
import { characterErrorRate } from './character-error-rate.ts'
import { importDemoModels } from './models.ts'
import { type Lie, type ProviderProcess, startProvider } from './processes.ts'
import { readOnMesh } from './reading.ts'
import { countWrong } from './recompute.ts'
import { type DemoOutcome, jsonOf, printOutcome } from './report.ts'
import { createStage, type Stage, surviveClosedOutput } from './stage.ts'

const PAGE = new URL('./page.jpg', import.meta.url)
const PAGE_TEXT = new URL('./page.txt', import.meta.url)
/** White space aside; above it the demo has failed. */
const CHARACTER_ERROR_RATE_MAX = 0.02
/** Any number that no single liar has. */
const COLLUDERS_SEED = 1000
/** By then every provider has been heard of, or something is wrong. */
const MESH_TIMEOUT_MS = 30_000
const MESH_POLL_MS = 50

prepareHeap()
surviveClosedOutput()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error('interrupted')))
}
process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  try {
    const parsed = parseDemoArguments(args)
    if (parsed === 'help') {
      process.stdout.write(DEMO_HELP)
      return 0
    }
    const outcome = await demonstrate(parsed, createStage(parsed.json))
    if (parsed.json) process.stdout.write(`${JSON.stringify(jsonOf(outcome), undefined, 2)}\n`)
    else printOutcome(outcome)
    return isRight(outcome) ? 0 : 1
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (json) process.stdout.write(`${JSON.stringify({ error: { message } }, undefined, 2)}\n`)
    else process.stderr.write(stop.signal.aborted ? '\nInterrupted.\n' : `\nThe demo failed: ${message}\n`)
    if (error instanceof ArgumentsError) process.stderr.write('See: npm run demo -- --help\n')
    return error instanceof ArgumentsError ? 2 : stop.signal.aborted ? 130 : 1
  }
}

function isRight({ wrong, accepted, jobs, characterErrorRate: rate }: DemoOutcome): boolean {
  return wrong === 0 && accepted === jobs.length && (rate === undefined || rate <= CHARACTER_ERROR_RATE_MAX)
}

async function demonstrate(args: DemoArguments, stage: Stage): Promise<DemoOutcome> {
  const startedAtMs = performance.now()
  const image = await decodeImage(await readPage(args.page ?? PAGE))
  const directory = await mkdtemp(join(tmpdir(), 'verimesh-demo-'))
  const work = join(directory, 'work')
  const processes: ProviderProcess[] = []
  const rechecks: Recheck[] = []
  let node: VerimeshNode | undefined
  let finished = false
  try {
    stage.show('importing the models ...')
    const store = await openModelStore(work)
    const models = await importDemoModels(store)
    stage.show('checking that this machine traces them alike twice ...')
    await checkExactLanes({ store, dataDirectory: work, log: silentLog }, models)
    await startMesh(args, { work, processes, stage })
    node = await createNode({
      dataDirectory: join(directory, 'requester'),
      // It holds the models, and so can settle disputes itself.
      storeDirectory: work,
      onRecheck: (recheck) => rechecks.push(recheck),
      ephemeral: true,
      listen: [],
      bootstrap: [processes[0]!.multiaddrs[0]!],
      mdns: false,
      log: silentLog,
    })
    await meshReady(node, args.providers, models, stage)
    const outcome = await readAndCheck(args, {
      rechecks,
      image,
      node,
      models,
      processes,
      directory,
      startedAtMs,
      stage,
    })
    finished = true
    return outcome
  } finally {
    stage.show('ending the processes ...')
    await Promise.all([node?.stop({ drainMs: 0 }), ...processes.map((provider) => provider.stop())])
    // Without receipts nothing in it is worth keeping.
    await rm(finished ? work : directory, { recursive: true, force: true })
    stage.show('')
  }
}

async function readPage(path: string | URL): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new Error(`the page cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/** Bootstrap first, then the others side by side; the last ones lie. All are told of the bootstrap alone. */
async function startMesh(
  args: DemoArguments,
  mesh: { work: string; processes: ProviderProcess[]; stage: Stage },
): Promise<void> {
  const start = async (index: number, bootstrap: readonly string[]): Promise<void> => {
    const provider = await startProvider({
      dataDirectory: join(mesh.work, `provider-${index}`),
      storeDirectory: mesh.work,
      bootstrap,
      lie: lieOf(args, index),
      signal: stop.signal,
    })
    mesh.processes.push(provider)
    mesh.stage.show(`started ${mesh.processes.length} of ${args.providers} providers ...`)
  }
  mesh.stage.show(`starting ${args.providers} providers ...`)
  await start(0, [])
  const others = Array.from({ length: args.providers - 1 }, (_, index) =>
    start(index + 1, mesh.processes[0]!.multiaddrs),
  )
  // All of them, so that none is forgotten when one fails.
  const failed = (await Promise.allSettled(others)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** The last ones lie: first those who lie alike, then those who do so each in its own way. */
function lieOf({ providers, liars, colluders }: DemoArguments, index: number): Lie | undefined {
  const honest = providers - liars - colluders
  if (index < honest) return undefined
  if (index < honest + colluders) return { role: 'colluder', seed: COLLUDERS_SEED, forgery: 0 }
  return { role: 'liar', seed: index, forgery: index - honest - colluders }
}

/** The requester asks the mesh who provides what, and waits until it has heard of everybody. */
async function meshReady(
  node: VerimeshNode,
  providers: number,
  models: readonly StoredModel[],
  stage: Stage,
): Promise<void> {
  const startedAtMs = performance.now()
  for (const { cid } of models) node.seek(cid)
  for (;;) {
    stop.signal.throwIfAborted()
    const known = node
      .peers()
      .filter((peer) => models.every(({ cid }) => peer.models.some((model) => model.cid === cid))).length
    stage.show(`the requester knows ${known} of ${providers} providers ...`)
    if (known >= providers)
      return stage.tell(`The requester found ${known} providers through the DHT and their gossip.`)
    if (performance.now() - startedAtMs > MESH_TIMEOUT_MS) {
      throw new Error(
        `only ${known} of ${providers} providers were heard of within ${MESH_TIMEOUT_MS / 1000} s`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, MESH_POLL_MS))
  }
}

async function readAndCheck(
  args: DemoArguments,
  given: {
    rechecks: readonly Recheck[]
    image: RgbImage
    node: VerimeshNode
    models: readonly StoredModel[]
    processes: readonly ProviderProcess[]
    directory: string
    startedAtMs: number
    stage: Stage
  },
): Promise<DemoOutcome> {
  const { node, models, processes, stage } = given
  const receipts = join(given.directory, 'receipts')
  const reading = await readOnMesh({
    image: given.image,
    node,
    models,
    replicas: DEMO_REPLICAS,
    recompute: args.recompute,
    receipts,
    recognizeOnly: args.recognizeOnly,
    signal: stop.signal,
    stage,
  })
  stage.show('computing every accepted answer again, here ...')
  const wrong = await countWrong(reading.jobs, models, stop.signal)
  const expected = args.page === undefined ? await readFile(PAGE_TEXT, 'utf8') : undefined
  return {
    text: reading.text,
    lines: reading.lines,
    liarsReading: reading.dissent,
    jobs: reading.jobs,
    rechecks: given.rechecks,
    disputes: reading.jobs.flatMap(({ disputes }) => disputes),
    accepted: reading.jobs.filter((job) => job.outputs !== undefined).length,
    wrong,
    characterErrorRate: expected === undefined ? undefined : characterErrorRate(expected, reading.text),
    providers: processes.map(({ peerId, role }) => ({
      peerId,
      role,
      results: reading.jobs.filter(({ answers }) => answers.some((answer) => answer.provider === peerId))
        .length,
      disagreed: reading.jobs.filter(({ verdict }) => verdict?.disagreed.includes(peerId)).length,
    })),
    receipts,
    meshMs: reading.elapsedMs,
    elapsedMs: performance.now() - given.startedAtMs,
  }
}
