/** Nodes that have never met, on loopback, with real libp2p and models in processes of their own. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeManifest, MANIFEST_FILE, type Manifest } from '../../models/manifest/index.ts'
import { importSource } from '../../models/source/index.ts'
import { openModelStore, type StoredModel } from '../../models/store/index.ts'
import { float32Elements, float32Tensor, type Tensor } from '../../models/tensor/index.ts'
import type { Host } from '../../peers/host/index.ts'
import { INFERENCE_PROTOCOL } from '../../protocols/inference/index.ts'
import { verifyBundle } from '../../protocols/receipt/index.ts'
import { startProvider } from '../../src/demo/processes.ts'
import {
  JobError,
  type JobResult,
  type NodeConfig,
  type SubmitRequest,
  silentLog,
  type VerimeshNode,
} from '../../src/node/index.ts'
import { scratchDirectory, startNode, stopNodes, untilKnown } from '../fixtures/nodes.ts'
import { buildAddOneModel, buildLoopModel } from '../fixtures/onnx-builder.ts'
import { until } from '../fixtures/until.ts'

/** About 0.1 s of work here. */
const MANY_TURNS = 100_000
/** Hours. */
const ENDLESS_TURNS = 2 ** 45

let storeDirectory: string
/** Adds one. */
let quick: StoredModel
/** Takes as long as it is told. */
let loop: StoredModel
/** The first is everybody's bootstrap. */
let providers: VerimeshNode[]
let requester: VerimeshNode

test.before(async () => {
  storeDirectory = await scratchDirectory()
  quick = await addModel('quick', buildAddOneModel(), { 'words.txt': 'some words' })
  loop = await addModel('loop', buildLoopModel())
  const first = await startNode({ storeDirectory })
  const others = [1, 2, 3].map(() => startNode({ storeDirectory, bootstrap: [first] }))
  providers = [first, ...(await Promise.all(others))]
  await Promise.all(providers.flatMap((node) => [node.provide(quick.cid), node.provide(loop.cid)]))
  requester = await startNode({
    bootstrap: [first],
    listen: [],
    parts: { requesterLimits: { patienceMs: 500 } },
  })
})
test.after(stopNodes)

test('a requester that knows one bootstrap finds all providers, and they agree on the right answer', async () => {
  const result = await requester.submit({ model: quick.cid, inputs: [row(1, 2.5)], replicas: 4 })
  assert.equal([...values(result)], [2, 3.5])
  assert.is(result.verdict.label, 'replicated')
  const { verdict, answers } = await result.closed
  assert.equal(verdict.agreed, ids(providers))
  assert.equal(answers.map(({ provider }) => provider).sort(), ids(providers))
  assert.ok(answers.every(({ agreed }) => agreed))
})

test('a model that was never added is described by its providers, task files and all', async () => {
  const { manifest, files } = await requester.describe(quick.cid)
  assert.equal(manifest, quick.manifest)
  assert.equal([...files.keys()], ['words.txt'])
  assert.is(Buffer.from(files.get('words.txt')!).toString(), 'some words')
})

test('a job with the wrong inputs is told what was expected and what was given, and nobody is asked', async () => {
  const wrong: [inputs: Tensor[], message: RegExp][] = [
    [[float32Tensor('z', [1, 2], new Float32Array(2))], /"x".*expected float32\[batch, n\].*given "z"/],
    [
      [{ name: 'x', dtype: 'int32', dims: [1, 1], data: new Uint8Array(4) }],
      /expected float32\[batch, n\], given int32\[1, 1\]/,
    ],
    [[float32Tensor('x', [3], new Float32Array(3))], /expected float32\[batch, n\], given float32\[3\]/],
    [[row(1), row(2)], /"x" is given twice/],
    [[], /"x" is missing.*given none/],
  ]
  for (const [inputs, message] of wrong) {
    const error = await failureOf({ model: quick.cid, inputs })
    assert.is(error.failure.code, 'invalid-job')
    assert.match(error.message, message)
    assert.match(error.message, /verimesh models inspect/)
    assert.equal(error.failure.attempts, [])
  }
})

test('as many replicas as terms may ask for are looked for', async () => {
  const error = await failureOf({ model: quick.cid, inputs: [row(1)], replicas: 15 })
  assert.is(error.failure.code, 'not-enough-providers')
  assert.is(error.failure.needed, 15)
})

test('terms that make no sense are refused before anybody is asked', async () => {
  for (const terms of [{ replicas: 0 }, { replicas: 2, quorum: 1 }, { timeoutMs: 0 }, { tau: 1 }]) {
    const error = await failureOf({ model: quick.cid, inputs: [row(1)], ...terms })
    assert.is(error.failure.code, 'invalid-job', JSON.stringify(terms))
  }
})

test('too few providers: says how many were found and needed, well before the deadline', async () => {
  const startedAtMs = performance.now()
  const { failure, message } = await failureOf({
    model: quick.cid,
    inputs: [row(1)],
    replicas: 6,
    timeoutMs: 30_000,
  })
  assert.equal([failure.code, failure.found, failure.needed], ['not-enough-providers', 4, 6])
  assert.match(message, /verimesh start --model/)
  assert.ok(performance.now() - startedAtMs < 15_000)
})

test('a model that nobody provides is not found', async () => {
  const missing = await addModel('missing', buildAddOneModel('int32'))
  const { failure, message } = await failureOf({ model: missing.cid, inputs: [row(1)] })
  assert.equal([failure.code, failure.found], ['not-enough-providers', 0])
  assert.match(message, /nobody provides bafy/)
})

test('the bundle that a job leaves can be verified by anybody, and is for its owner alone', async () => {
  const bundleDirectory = join(await scratchDirectory(), 'made', 'when-missing')
  const submit = async (digestsOnly: boolean) => {
    const inputs = [row(1, 2, 3)]
    const result = await requester.submit({ model: quick.cid, inputs, bundleDirectory, digestsOnly })
    const { bundle, bundleError, verdict } = await result.closed
    assert.is(bundleError, undefined)
    assert.is(bundle, join(bundleDirectory, `${result.jobId}.bundle`))
    assert.is((await stat(bundle!)).mode & 0o777, 0o600)
    const report = await verifyBundle(await readFile(bundle!))
    assert.is(report.jobId, result.jobId)
    assert.equal(report.agreed, verdict.agreed)
    assert.is(report.bundle.job.job.requester, requester.peerId)
    return report.bundle
  }
  const whole = await submit(false)
  assert.ok(whole.inputs !== undefined && whole.outputs !== undefined)
  const sparse = await submit(true)
  assert.equal([sparse.inputs, sparse.outputs], [undefined, undefined])
})

test('a bundle that cannot be written does not cost the answer', async () => {
  const bundleDirectory = join(await scratchDirectory(), 'a-file')
  await writeFile(bundleDirectory, '')
  const result = await requester.submit({ model: quick.cid, inputs: [row(1)], bundleDirectory })
  assert.equal([...values(result)], [2])
  const { bundle, bundleError } = await result.closed
  assert.is(bundle, undefined)
  assert.is((bundleError as Error & { code?: string })?.code, 'unwritable')
  assert.match(bundleError?.message ?? '', /cannot be written.*the answer itself is unharmed/)
})

test('a job that is cancelled ends as cancelled', async () => {
  const controller = new AbortController()
  const asked = Promise.withResolvers<void>()
  const failing = failureOf({
    ...looping(ENDLESS_TURNS),
    replicas: 1,
    signal: controller.signal,
    onProgress: ({ asked: count }) => count > 0 && asked.resolve(),
  })
  await asked.promise
  controller.abort()
  assert.is((await failing).failure.code, 'cancelled')
})

test('a job that does not end is given up at its deadline, and the providers go on', async () => {
  const startedAtMs = performance.now()
  const { failure } = await failureOf({ ...looping(ENDLESS_TURNS), replicas: 4, timeoutMs: 1_000 })
  assert.is(failure.code, 'deadline')
  assert.ok(performance.now() - startedAtMs < 4_000, 'long after its deadline')
  const after = await requester.submit({ ...looping(1), replicas: 4, quorum: 4 })
  assert.equal([...values(after)], [2])
  assert.equal((await after.closed).verdict.agreed, ids(providers))
})

test('jobs outlive a provider that is killed while it works on them', async () => {
  const victim = await startProvider({
    dataDirectory: await scratchDirectory(),
    storeDirectory,
    bootstrap: providers[0]!.multiaddrs(),
    lie: undefined,
    signal: AbortSignal.timeout(20_000),
  })
  try {
    await untilKnown(requester, loop.cid, [victim.peerId])
    // Three of the five are asked, and all three must agree: whoever was asked and died needs a successor.
    const jobs = Array.from({ length: 8 }, () => askedBy(looping(MANY_TURNS), 3, { quorum: 3 }))
    await Promise.all(jobs.map(({ asked }) => asked))
    process.kill(victim.pid, 'SIGKILL')
    const verdicts = await Promise.all(jobs.map(async ({ result }) => (await (await result).closed).verdict))
    for (const { agreed, disagreed } of verdicts)
      assert.equal([agreed.length, disagreed.length], [3, 0], 'it needs no fourth')
    assert.ok(
      verdicts.some(({ asked }) => asked > 3),
      'the victim was asked, and replaced',
    )
  } finally {
    await victim.stop()
  }
})

test('a model that takes more memory than it may is ended, and the requester told why', async () => {
  // Its process takes some 90 MB, and several times the 56 MB of the inputs.
  const greedy = await addModel('greedy', buildLoopModel(), { note: 'greedy' })
  const node = await startNode({
    storeDirectory,
    bootstrap: [providers[0]!],
    modelMemoryBytesMax: 200_000_000,
  })
  await node.provide(greedy.cid)
  requester.seek(greedy.cid)
  await untilKnown(requester, greedy.cid, [node.peerId])
  const error = await failureOf({ ...looping(ENDLESS_TURNS, 14_000_000), model: greedy.cid, replicas: 1 })
  assert.match(error.failure.attempts[0]!.failure.message, /bytes of memory where 200000000 are allowed/)
  await node.stop({ drainMs: 0 })
})

test('a node that stops answers what runs and hands back what waits', async () => {
  const alone = await addModel('alone', buildLoopModel(), { note: 'another address' })
  const leaver = await startNode({ storeDirectory, bootstrap: [providers[0]!] })
  await leaver.provide(alone.cid)
  requester.seek(alone.cid)
  await untilKnown(requester, alone.cid, [leaver.peerId])
  // Two megabytes of answer, which take a moment to send.
  const wide = { ...looping(6_000, 500_000), model: alone.cid, replicas: 1 }
  const submit = () =>
    requester.submit(wide).then(
      () => 'answered',
      (error: unknown) => (error as JobError).failure.attempts.map(({ failure }) => failure.code).join(),
    )
  const jobs = [submit(), submit(), submit(), submit()]
  const now = () => leaver.status().models.find(({ cid }) => cid === alone.cid)
  await until('one job runs, the others wait', () => now()?.running === 1 && now()?.queued === 3)
  await leaver.stop({ drainMs: 20_000 })
  const ends = (await Promise.all(jobs)).sort()
  // The second may be at the runtime's hand already, and is then answered too.
  assert.ok(['answered,answered', 'answered,stopping'].includes(ends.slice(0, 2).join()), ends.join())
  assert.equal(ends.slice(2), ['stopping', 'stopping'])
  // Again, for whoever is not sure.
  await leaver.stop()
})

test('a node tells whose answers it could not trace in a dispute, and why', () => {
  const { standing } = providers[0]!.status()
  assert.equal([standing.condemned, standing.traced, standing.untraced], [false, 0, 0])
  const why = new Map(standing.untraceable.map(({ cid, reason }) => [cid, reason]))
  assert.equal([...why.keys()].sort(), [quick.cid, loop.cid].sort())
  for (const reason of why.values()) assert.match(reason, /switched off|has no exact lane/)
})

test('a bootstrap that cannot be reached is told of and tried until it is there', async () => {
  const port = await freePort()
  const address = `/ip4/127.0.0.1/tcp/${port}`
  const node = await startNode({ bootstrap: [{ multiaddrs: () => [address] } as VerimeshNode] })
  const state = () => node.status().bootstrap[0]!
  await until('the first try fails', () => state().error !== undefined)
  assert.is(state().multiaddr, address)
  assert.is(state().connected, false)
  await startNode({ listen: [address] })
  await until('the bootstrap is found', () => state().connected)
  assert.is(state().error, undefined)
  assert.is(node.status().connections, 1)
})

test('a node that does not start leaves nothing running, however far it came', async () => {
  const bootstrap = [{ multiaddrs: () => ['foo'] } as VerimeshNode]
  const noAddress = await startNode({ bootstrap }).catch(({ message }: Error) => message)
  assert.match(String(noAddress), /"foo" is no address to bootstrap from/)
  let host: Host | undefined
  const parts: NodeConfig['parts'] = {
    onHost: async (libp2p) => {
      host = libp2p
      // The node's own server finds its place taken.
      await libp2p.handle(INFERENCE_PROTOCOL, () => {})
    },
  }
  const warnings: string[] = []
  const log = { ...silentLog, warn: (message: string) => void warnings.push(message) }
  const noPlace = await startNode({ parts, log }).catch(({ message }: Error) => message)
  assert.match(String(noPlace), /[Hh]andler/)
  assert.equal([host?.status, host?.getMultiaddrs(), warnings], ['stopped', [], []])
})

test('a port in use is named', async () => {
  const [taken] = providers[0]!.multiaddrs()
  const listen = [taken!.replace(/\/p2p\/.*/, '')]
  const error = await startNode({ listen }).then(
    () => undefined,
    (caught: Error & { code?: string }) => caught,
  )
  assert.is(error?.code, 'port-in-use')
  assert.match(error?.message ?? '', /Port \d+ is in use/)
})

test.run()

async function addModel(
  name: string,
  onnx: Uint8Array,
  taskFiles: Readonly<Record<string, string>> = {},
): Promise<StoredModel> {
  const store = await openModelStore(storeDirectory)
  const directory = await scratchDirectory()
  await writeFile(join(directory, 'model.onnx'), onnx)
  for (const [path, text] of Object.entries(taskFiles)) await writeFile(join(directory, path), text)
  const options = { workDirectory: store.workDirectory, name }
  const plain = await importSource(directory, options)
  const files = Object.keys(taskFiles)
  const manifest: Manifest = {
    ...plain.manifest,
    ...(files.length === 0 ? {} : { task: { kind: 'test', files, companions: {}, parameters: {} } }),
  }
  await writeFile(join(directory, MANIFEST_FILE), encodeManifest(manifest))
  return await store.add(await importSource(directory, options))
}

function row(...elements: number[]): Tensor {
  return float32Tensor('x', [1, elements.length], new Float32Array(elements))
}

/** A job that halves and adds one so often; it converges to two. */
function looping(turns: number, columns = 1): SubmitRequest {
  const iterations = new BigInt64Array([BigInt(turns)])
  return {
    model: loop.cid,
    inputs: [
      float32Tensor('x', [1, columns], new Float32Array(columns).fill(2)),
      { name: 'iterations', dtype: 'int64', dims: [], data: new Uint8Array(iterations.buffer) },
    ],
  }
}

/** Submits a job and tells when all its replicas have been asked. */
function askedBy(request: SubmitRequest, replicas: number, terms: { quorum: number }) {
  const asked = Promise.withResolvers<void>()
  const result = requester.submit({
    ...request,
    ...terms,
    replicas,
    onProgress: (progress) => progress.asked >= replicas && asked.resolve(),
  })
  return { asked: asked.promise, result }
}

function values({ outputs }: JobResult): Float32Array {
  return float32Elements(outputs[0]!)
}

async function failureOf(request: SubmitRequest): Promise<JobError> {
  const error = await requester.submit(request).then(
    () => undefined,
    (caught: unknown) => caught,
  )
  if (error instanceof JobError) return error
  throw error ?? new Error('it was answered')
}

function ids(nodes: readonly VerimeshNode[]): string[] {
  return nodes.map(({ peerId }) => peerId).sort()
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
