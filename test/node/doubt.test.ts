/** Jobs with a risk over real connections: who is asked, what is told, what is remembered, what is looked at again. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createInProcessExactRuntime,
  createStubRuntime,
  type ModelRuntime,
} from '../../models/runtime/index.ts'
import { importSource } from '../../models/source/index.ts'
import { openModelStore, type StoredModel } from '../../models/store/index.ts'
import { float32Elements, float32Tensor } from '../../models/tensor/index.ts'
import { joinReputation, readReputation } from '../../peers/reputation/index.ts'
import { verifyBundle } from '../../protocols/receipt/index.ts'
import {
  createLyingExactRuntime,
  createLyingRuntime,
  honestTrace,
  randomNoise,
} from '../../src/adversary/index.ts'
import {
  JobError,
  type NodeParts,
  type Recheck,
  type SubmitRequest,
  type VerimeshNode,
} from '../../src/node/index.ts'
import { entryOf, evidence } from '../fixtures/evidence.ts'
import { scratchDirectory, startNode, stopNodes, untilKnown } from '../fixtures/nodes.ts'
import { buildAffineModel } from '../fixtures/onnx-builder.ts'
import { until } from '../fixtures/until.ts'

const ONNX = buildAffineModel({ columns: 4, hidden: [8], outputs: 3 })
const X = float32Tensor('x', [1, 4], new Float32Array([0.5, -1, 2, 0.25]))
const PROVIDERS = 5

let storeDirectory: string
let model: StoredModel
let providers: VerimeshNode[]
/** Policies of the jobs that each provider was sent, in order. */
let told: string[]

test.before(async () => {
  storeDirectory = await scratchDirectory()
  const store = await openModelStore(storeDirectory)
  const directory = await scratchDirectory()
  await writeFile(join(directory, 'model.onnx'), ONNX)
  model = await store.add(await importSource(directory, { workDirectory: store.workDirectory, name: 'mlp' }))
  told = []
  providers = []
  for (let index = 0; index < PROVIDERS; index++) {
    providers.push(
      await startNode({
        storeDirectory,
        bootstrap: providers.slice(0, 1),
        parts: {
          createRuntime: createNative,
          wrapHandler: (handler) => (request, signal) => {
            told.push(JSON.stringify(request.job.policy))
            return handler(request, signal)
          },
        },
      }),
    )
  }
  await Promise.all(providers.map((node) => node.provide(model.cid)))
})
test.after(stopNodes)

test('newcomers are never asked alone: as many agree as the risk needs, and that is told', async () => {
  const { requester, directory } = await startRequester()
  const few = await ask(requester, { risk: 0.05 })
  assert.is(few.verdict.label, 'replicated')
  assert.is(few.verdict.agreed.length, 2)
  // A third of 0.35 squared, by the rates that are assumed: see `posterior.ts`.
  assert.ok(few.wrong! > 0.02 && few.wrong! <= 0.05, `${few.wrong}`)
  const more = await ask(requester, { risk: 0.05, value: 10 })
  assert.is(more.verdict.agreed.length, 4)
  assert.ok(more.wrong! <= 0.005)
  const { bundle } = await more.closed
  assert.is((await verifyBundle(await readFile(bundle!))).label, 'replicated')
  await requester.stop()
  const ledger = readReputation(directory)
  for (const provider of more.verdict.agreed) {
    const entry = ledger.entry(provider)!
    assert.ok((entry.counts.agreed ?? 0) >= 1)
    assert.equal(
      entry.classes.map(({ modelClass }) => modelClass),
      [model.cid],
    )
    // Three others of whom nothing is known have checked it.
    assert.ok(entry.classes[0]!.checked > 0.9)
    assert.is(entry.recent.at(-1)?.jobId, more.jobId)
  }
})

test('a provider that is known well is asked alone, but for the floor; it cannot tell', async () => {
  const known = providers.map(({ peerId }) => peerId)
  const { requester } = await startRequester({ known })
  told.length = 0
  const alone = await ask(requester, { risk: 0.001, floorRate: 0 })
  assert.equal([alone.verdict.label, alone.verdict.asked], ['signed', 1])
  assert.ok(alone.wrong! > 0 && alone.wrong! <= 0.001)
  const { bundle } = await alone.closed
  assert.is((await verifyBundle(await readFile(bundle!))).label, 'signed')
  const checked = await ask(requester, { risk: 0.001, floorRate: 1 })
  assert.equal([checked.verdict.label, checked.verdict.asked], ['replicated', 2])
  const plain = await ask(requester, {})
  await plain.closed
  assert.is(told.length, 1 + 2 + 3)
  assert.is(new Set(told).size, 1, told.join('\n'))
})

test('where too few are left for the risk, the job fails and says why', async () => {
  const { requester } = await startRequester()
  const error = await ask(requester, { risk: 1e-9 }).then(
    () => undefined,
    (caught: unknown) => caught,
  )
  assert.ok(error instanceof JobError, String(error))
  assert.is(error.failure.code, 'too-doubtful')
  assert.match(error.message, /more than was accepted[\s\S]*--risk/)
})

test('who was found out in an earlier run is not asked, whatever the policy', async () => {
  const [liar, ...others] = providers.map(({ peerId }) => peerId)
  const { requester } = await startRequester({ condemned: [liar!] })
  const counted = await ask(requester, { replicas: 4 })
  assert.equal((await counted.closed).verdict.agreed, others.toSorted())
  const doubted = await ask(requester, { risk: 0.004 })
  const { answers } = await doubted.closed
  assert.ok(answers.length > 2 && !answers.some(({ provider }) => provider === liar))
})

test('a lie is found by the own run, and what rested on the liar is looked at again', async () => {
  // It behaves until it is told to lie; its trace is honest.
  let isLying = false
  const lying = { strategy: randomNoise, seed: 3 }
  const sleeper = await startNode({
    storeDirectory,
    exactLane: true,
    bootstrap: providers.slice(0, 1),
    parts: {
      createRuntime: () => {
        const native = createNative()
        const liar = createLyingRuntime(native, lying)
        return { ...native, execute: (...run) => (isLying ? liar : native).execute(...run) }
      },
      createExact: () =>
        createLyingExactRuntime(createInProcessExactRuntime(ONNX), { ...lying, forgery: honestTrace }),
    },
  })
  await sleeper.provide(model.cid)
  await until('its exact lane is provided', () =>
    sleeper.status().models.some(({ lane }) => lane === 'exact'),
  )
  const rechecks: Recheck[] = []
  const known = [sleeper, ...providers.slice(0, 1)].map(({ peerId }) => peerId)
  const { requester, directory } = await startRequester({
    known,
    holds: true,
    onRecheck: (recheck) => rechecks.push(recheck),
  })
  await untilKnown(requester, model.cid, known)
  let trusted = await ask(requester, { risk: 0.001, floorRate: 0 })
  for (let job = 0; job < 40 && trusted.verdict.agreed.join() !== sleeper.peerId; job++)
    trusted = await ask(requester, { risk: 0.001, floorRate: 0 })
  assert.equal([trusted.verdict.label, trusted.verdict.agreed], ['signed', [sleeper.peerId]])
  isLying = true
  // Two are asked, and differ: one lies.
  let caught = await ask(requester, { risk: 0.001, floorRate: 1 })
  for (let job = 0; job < 40 && caught.verdict.label === 'replicated'; job++)
    caught = await ask(requester, { risk: 0.001, floorRate: 1 })
  assert.is(caught.verdict.label, 'recomputed')
  assert.is(caught.wrong, 0)
  const { bundle, disputes } = await caught.closed
  assert.is((await verifyBundle(await readFile(bundle!))).label, 'recomputed')
  assert.ok(!caught.verdict.agreed.includes(sleeper.peerId))
  assert.equal(
    disputes.map(({ loser, kind }) => [loser, kind]),
    [[sleeper.peerId, 'contradicted-exact']],
  )
  const [truth] = createdOutputs(trusted)
  assert.ok(Math.abs(createdOutputs(caught)[0]! - truth!) < 1e-4)
  await until(
    'what rested on it alone is looked at again',
    () => rechecks.some(({ jobId }) => jobId === trusted.jobId),
    60_000,
  )
  const recheck = rechecks.find(({ jobId }) => jobId === trusted.jobId)
  assert.equal([recheck?.provider, recheck?.outcome], [sleeper.peerId, 'confirmed'])
  await requester.stop()
  assert.is(readReputation(directory).entry(sleeper.peerId)?.counts['contradicted-exact'], 1)
  // It is shunned: the others are drawn.
  const again = await startRequester({ directory, holds: true })
  for (let job = 0; job < 5; job++) {
    const { verdict } = await ask(again.requester, { risk: 0.05 })
    assert.ok(!verdict.agreed.includes(sleeper.peerId))
  }
})

test.run()

function createNative(): ModelRuntime {
  // The native engine's part is played by the exact one: all that matters here is who lies.
  return { ...createInProcessExactRuntime(ONNX), info: createStubRuntime({ seed: 1 }).info }
}

function createdOutputs({ outputs }: { outputs: readonly Parameters<typeof float32Elements>[0][] }) {
  return float32Elements(outputs[0]!)
}

interface RequesterOptions {
  /** Of whom it has seen two hundred checked runs. */
  readonly known?: readonly string[]
  readonly condemned?: readonly string[]
  /** Whether it holds the model, and can run jobs itself. */
  readonly holds?: boolean
  readonly directory?: string
  readonly onRecheck?: (recheck: Recheck) => void
}

async function startRequester(options: RequesterOptions = {}) {
  const { known = [], condemned = [], holds = false, onRecheck } = options
  const directory = options.directory ?? (await scratchDirectory())
  const runs = known.map((provider) =>
    entryOf(
      Array.from({ length: 200 }, () => evidence({ provider, modelClass: model.cid, atMs: Date.now() })),
    ),
  )
  const proofs = condemned.map((provider) =>
    entryOf([evidence({ provider, kind: 'fraud-proof', atMs: Date.now() })]),
  )
  if (options.directory === undefined) joinReputation(directory, [...runs, ...proofs])
  const parts: NodeParts = {
    observeMs: 10_000,
    requesterLimits: { patienceMs: 1000 },
    createExact: () => createInProcessExactRuntime(ONNX),
  }
  const requester = await startNode({
    dataDirectory: directory,
    ...(holds ? { storeDirectory } : {}),
    listen: [],
    bootstrap: providers.slice(0, 1),
    parts,
    ...(onRecheck === undefined ? {} : { onRecheck }),
  })
  requester.seek(model.cid)
  await untilKnown(
    requester,
    model.cid,
    providers.map(({ peerId }) => peerId),
  )
  return { requester, directory }
}

async function ask(requester: VerimeshNode, terms: Partial<SubmitRequest>) {
  const bundleDirectory = await scratchDirectory()
  return requester.submit({ model: model.cid, inputs: [X], timeoutMs: 20_000, bundleDirectory, ...terms })
}
