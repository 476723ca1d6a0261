import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Manifest } from '../../models/manifest/index.ts'
import { createPlan } from '../../models/plan/index.ts'
import { type ExactRuntime, exactRuntimeInfo, RuntimeError } from '../../models/runtime/index.ts'
import { createMemoryModelStore, type StoredModel } from '../../models/store/index.ts'
import { WARM_BYTES_MAX, WARM_FREE_BYTES_MIN, WARM_LANES_MAX } from '../../src/node/constants.ts'
import { createExactLanes, isKeptWarm } from '../../src/node/exact-lanes.ts'
import { silentLog } from '../../src/node/index.ts'

interface Context {
  directory: string
}

const test = suite<Context>('exact lanes')
test.before.each(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), 'verimesh-lanes-'))
})
test.after.each(({ directory }) => rm(directory, { recursive: true }))

const input = { name: 'x', dtype: 'float32', dims: ['n', 3] } as const
const plan = createPlan({
  inputs: ['x'],
  outputs: [{ name: 'x', source: { kind: 'input', index: 0 } }],
  blocks: [{ steps: [], outputs: [] }],
})
const root = Buffer.from(plan.root).toString('hex')

/** Processes as they were made, with what was asked of each. */
async function setUp(
  dataDirectory: string,
  { freeBytes = WARM_FREE_BYTES_MIN, idle = async (): Promise<void> => {}, leaf = (): number => 1 } = {},
) {
  const store = createMemoryModelStore()
  const made: { model: string; asked: string[]; closed: boolean }[] = []
  let running = 0
  let together = 0
  const create = (model: StoredModel): ExactRuntime => {
    const process = { model: model.name, asked: [] as string[], closed: false }
    made.push(process)
    return {
      info: exactRuntimeInfo(),
      execute: async () => [],
      load: async () => void process.asked.push('load'),
      plan: async () => {
        process.asked.push('plan')
        return plan
      },
      async trace(inputs) {
        process.asked.push('trace')
        together = Math.max(together, ++running)
        await Promise.resolve()
        running--
        if (process.closed) throw new RuntimeError('closed', 'it was closed')
        return { leaves: [Uint8Array.of(leaf())], outputs: inputs, serviceMs: 1 }
      },
      operands: () => Promise.reject(new Error('nobody asks')),
      runStep: () => Promise.reject(new Error('nobody asks')),
      close: async () => {
        process.closed = true
      },
    }
  }
  const lanes = createExactLanes({
    store,
    dataDirectory,
    create,
    log: silentLog,
    freeBytes: () => freeBytes,
    idle,
  })
  const add = (name: string): Promise<StoredModel> => {
    const manifest: Manifest = {
      verimesh: 1,
      name,
      model: 'model.onnx',
      files: [{ path: 'model.onnx', bytes: name.length, sha256: sha256(name) }],
      signature: { inputs: [input], outputs: [input] },
      lanes: ['native', 'exact'],
      tolerance: { tau: 1e-5 },
      batching: { independent: true },
      plan: { version: 1, root },
    }
    return store.addFiles(manifest, new Map([['model.onnx', Buffer.from(name)]]))
  }
  return { lanes, made, add, together: () => together }
}

test('a lane that is measured goes on in the process that it was measured in', async ({ directory }) => {
  const { lanes, made, add } = await setUp(directory)
  const model = await add('a')
  assert.ok((await lanes.judge(model)).ok)
  assert.equal(
    made.map(({ closed }) => closed),
    [false, true],
    'two fresh ones, of which one stays',
  )
  await lanes.provider(model).trace(new Uint8Array(), new AbortController().signal)
  assert.is(made.length, 2)
  const before = made[0]!.asked.length
  await lanes.warm(model)
  assert.is(made[0]!.asked.length, before, 'it has run already')
  await lanes.close()
  assert.ok(made.every(({ closed }) => closed))
})

test('a lane that must not sign keeps no process', async ({ directory }) => {
  let leaves = 0
  const { lanes, made, add } = await setUp(directory, { leaf: () => ++leaves })
  assert.not.ok((await lanes.judge(await add('a'))).ok)
  assert.ok(made.every(({ closed }) => closed))
})

test('a lane that was measured before is started and run once, and one after the other', async ({
  directory,
}) => {
  const before = await setUp(directory)
  for (const name of ['a', 'b']) await before.lanes.judge(await before.add(name))
  await before.lanes.close()
  const { lanes, made, add, together } = await setUp(directory)
  const models = [await add('a'), await add('b')]
  for (const model of models) assert.ok((await lanes.judge(model)).ok)
  assert.ok(
    made.every(({ asked }) => asked.length === 0),
    'nothing is started for what is known',
  )
  await Promise.all(models.map((model) => lanes.warm(model)))
  assert.equal(
    made.map(({ asked }) => asked),
    [
      ['load', 'trace'],
      ['load', 'trace'],
    ],
  )
  assert.is(together(), 1)
  await lanes.close()
})

test('no more are run ahead than there is room for, in number and in memory', async ({ directory }) => {
  const names = Array.from({ length: WARM_LANES_MAX + 2 }, (_, at) => `model-${at}`)
  for (const freeBytes of [WARM_FREE_BYTES_MIN, WARM_FREE_BYTES_MIN - 1]) {
    const { lanes, made, add } = await setUp(directory, { freeBytes })
    for (const name of names) await lanes.warm(await add(name))
    assert.is(made.length, freeBytes < WARM_FREE_BYTES_MIN ? 0 : WARM_LANES_MAX)
    await lanes.close()
    await lanes.warm(await add('late'))
    assert.ok(
      made.every(({ closed }) => closed),
      'a node that stops starts nothing',
    )
  }
})

test('a busy machine runs nothing ahead, and does so when it has time', async ({ directory }) => {
  const spare = Promise.withResolvers<void>()
  const { lanes, made, add } = await setUp(directory, { idle: () => spare.promise })
  const warmed = lanes.warm(await add('a'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.is(made.length, 0)
  spare.resolve()
  await warmed
  assert.is(made.length, 1)
  await lanes.close()
})

test('a process with nothing to do stays while it is small and memory is free', () => {
  assert.ok(isKeptWarm(WARM_BYTES_MAX, WARM_FREE_BYTES_MIN))
  assert.not.ok(isKeptWarm(WARM_BYTES_MAX + 1, WARM_FREE_BYTES_MIN))
  assert.not.ok(isKeptWarm(WARM_BYTES_MAX, WARM_FREE_BYTES_MIN - 1))
  assert.ok(isKeptWarm(undefined, WARM_FREE_BYTES_MIN), 'where the system does not tell')
})

test.run()

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
