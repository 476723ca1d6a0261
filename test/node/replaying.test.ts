import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Plan } from '../../models/plan/index.ts'
import {
  createInProcessExactRuntime,
  createNativeRuntime,
  type Executed,
  type ModelRuntime,
  RuntimeError,
} from '../../models/runtime/index.ts'
import { openModelStore, type StoredModel } from '../../models/store/index.ts'
import { digestTensors, encodeTensors, float32Tensor } from '../../models/tensor/index.ts'
import type { Receipt } from '../../protocols/receipt/index.ts'
import { silentLog } from '../../src/node/index.ts'
import { createReplaying, isFloating } from '../../src/node/replaying.ts'
import { createScene, ONNX, X } from '../fixtures/dispute-mesh.ts'
import { MODEL, SALT, testReceipt } from '../fixtures/jobs.ts'
import { stopNodes } from '../fixtures/nodes.ts'
import { operator } from '../fixtures/toy-plans.ts'

const INPUTS = encodeTensors([float32Tensor('x', [1], new Float32Array([1]))])
const HERE = encodeTensors([float32Tensor('y', [1], new Float32Array([2]))])
const THERE = encodeTensors([float32Tensor('y', [1], new Float32Array([3]))])
const JOB = { inputs: INPUTS, inputDigest: digestTensors(SALT, INPUTS), salt: SALT }
const INFO = {
  engine: 'onnxruntime-node',
  version: '1.30.0',
  lane: 'native',
  instructionSet: 'x64-avx512',
} as const
const never = new AbortController().signal

type Run = (run: number, signal: AbortSignal) => Promise<Uint8Array> | Uint8Array

/** This machine's own native lane, whose runs give what `run` says. */
function start(run: Run = () => HERE, { info = INFO, lanes = ['native', 'exact'], held = true } = {}) {
  const log: string[] = []
  let runs = 0
  let created = 0
  const timedOut = new AbortController()
  const replaying = createReplaying({
    store: { get: () => (held ? ({ manifest: { lanes } } as unknown as StoredModel) : undefined) },
    create: () => {
      created += 1
      return {
        info,
        async execute(batch, signal) {
          assert.is(batch.length, 1, 'a replay shares its run with no other')
          const outputs = await run(++runs, signal)
          const outputDigest = digestTensors(batch[0]!.salt, outputs)
          const value: Executed = { outputs, outputDigest, batched: false, serviceMs: 1 }
          return [{ ok: true, value }]
        },
        async close() {},
      } satisfies ModelRuntime
    },
    log: { ...silentLog, warn: (event) => log.push(event) },
    timeout: () => timedOut.signal,
  })
  const replay = (
    outputs: Uint8Array,
    changes: Partial<Receipt> = {},
    { plan = FLOATS, signal = never } = {},
  ) => replaying.replay(JOB, { cid: MODEL, plan }, testReceipt(new Uint8Array(32), outputs, changes), signal)
  return { replaying, replay, log, timedOut, runs: () => runs, created: () => created }
}

function planOf(...types: readonly string[]): Plan {
  const steps = types.map((type) => operator(type, []))
  return { inputs: [], outputs: [], blocks: [{ steps, outputs: [] }], root: new Uint8Array(32) }
}
const FLOATS = planOf('Conv', 'Relu')

test('the very bits that this machine gives are the same, after one run', async () => {
  const { replay, runs } = start()
  assert.is(await replay(HERE), 'same')
  assert.is(runs(), 1)
})

test('other bits are elsewhere, after two runs that were alike', async () => {
  const { replay, runs } = start()
  assert.is(await replay(THERE), 'elsewhere')
  assert.is(runs(), 2)
})

test('a machine whose own runs differ accuses nobody', async () => {
  const { replay, log } = start((run) => (run === 1 ? HERE : INPUTS))
  assert.is(await replay(THERE), undefined)
  assert.is(log.length, 1)
})

const runtime = { ...INFO, batched: false }
for (const [name, changes] of [
  ['another instruction-set class', { runtime: { ...runtime, instructionSet: 'x64-avx2' } }],
  ['another version', { runtime: { ...runtime, version: '1.29.0' } }],
  ['another engine', { runtime: { ...runtime, engine: 'onnxruntime-web' } }],
  ['the exact lane', { runtime: { ...runtime, lane: 'exact' } }],
  ['a batch', { runtime: { ...runtime, batched: true } }],
  ['further steps', { stepsDigest: new Uint8Array(32).fill(9) }],
] as const) {
  test(`a receipt of ${name} is not replayed`, async () => {
    const { replay, runs } = start()
    assert.is(await replay(THERE, changes), undefined)
    assert.is(runs(), 0)
  })
}

test('a class that names no kernels is none: x64 and arm64 stand for many processors', async () => {
  for (const instructionSet of ['x64', 'arm64']) {
    const { replay, runs } = start(() => HERE, {
      info: { ...INFO, instructionSet } as unknown as typeof INFO,
    })
    assert.is(await replay(THERE, { runtime: { ...runtime, instructionSet } }), undefined)
    assert.is(runs(), 0, instructionSet)
  }
})

test('a model that this node does not hold, or that has no native lane, is not replayed', async () => {
  for (const options of [{ held: false }, { lanes: ['exact'] }]) {
    const { replay, created } = start(() => HERE, options)
    assert.is(await replay(THERE), undefined)
    assert.is(created(), 0, JSON.stringify(options))
  }
})

test('a model with products of small integers is not replayed: its class does not fix its bits', async () => {
  for (const type of [
    'QuantizeLinear',
    'DequantizeLinear',
    'QLinearConv',
    'MatMulInteger',
    'MatMulNBits',
    'Scan',
  ]) {
    const plan = planOf('Conv', type)
    assert.is(isFloating(plan), false, type)
    const { replay, runs } = start()
    assert.is(await replay(THERE, {}, { plan }), undefined, type)
    assert.is(runs(), 0, type)
  }
  assert.is(isFloating(planOf('Conv', 'LSTM', 'MatMul', 'If')), true)
})

test('a replay that fails says nothing, and is told', async () => {
  const { replay, log } = start(() => {
    throw new RuntimeError('crashed', 'the process died')
  })
  assert.is(await replay(THERE), undefined)
  assert.match(log[0]!, /nothing is held against/)
})

test('a replay that takes too long says nothing', async () => {
  const { replay, timedOut } = start(untilAborted)
  const replayed = replay(THERE)
  timedOut.abort(new Error('too long'))
  assert.is(await replayed, undefined)
})

test('a replay whose dispute has ended rejects with its reason', async () => {
  const { replay } = start(untilAborted)
  const ended = new AbortController()
  const replayed = replay(THERE, {}, { signal: ended.signal })
  ended.abort(new Error('the dispute is over'))
  await replayed.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, 'the dispute is over'),
  )
})

test('no more replays run at once than a job has providers', async () => {
  const { replay, timedOut, runs } = start(untilAborted)
  const replayed = Array.from({ length: 20 }, () => replay(THERE))
  assert.is(runs(), 16)
  timedOut.abort(new Error('too long'))
  assert.equal(new Set(await Promise.all(replayed)), new Set([undefined]))
})

test('the native engine gives the same bits in another process, on one thread and on two', async () => {
  const { storeDirectory, model } = await createScene()
  const store = await openModelStore(storeDirectory)
  const create =
    (threads: number) =>
    ({ manifest, modelPath }: StoredModel) =>
      createNativeRuntime({ modelPath, signature: manifest.signature, batching: false, threads })
  const provider = create(1)(store.get(model.cid)!)
  const replaying = createReplaying({ store, create: create(2), log: silentLog })
  try {
    const inputs = encodeTensors([X])
    const job = { inputs, inputDigest: digestTensors(SALT, inputs), salt: SALT }
    const [outcome] = await provider.execute([job], never)
    const { outputs } = (outcome as { value: Executed }).value
    const claims = { ...provider.info, batched: false }
    const plan = await createInProcessExactRuntime(ONNX).plan(never)
    const replay = (answer: Uint8Array) => {
      const receipt = testReceipt(new Uint8Array(32), answer, { runtime: claims })
      return replaying.replay(job, { cid: model.cid, plan }, receipt, never)
    }
    // Elsewhere than on Linux the system does not tell the class.
    const isNamed = provider.info.instructionSet.includes('-')
    assert.is(await replay(outputs), isNamed ? 'same' : undefined)
    const lie = outputs.slice()
    lie[lie.byteLength - 8]! ^= 1
    assert.is(await replay(lie), isNamed ? 'elsewhere' : undefined)
  } finally {
    await provider.close()
    await replaying.close()
    await stopNodes()
  }
})

test.run()

function untilAborted(_run: number, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
