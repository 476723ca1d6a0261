import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  CalibrationError,
  type CalibrationRuntimes,
  calibrate,
  checkExactLane,
  proposeTau,
  sampleInputs,
  spreadOf,
  warmExactLane,
} from '../../../models/calibration/index.ts'
import type { Manifest } from '../../../models/manifest/index.ts'
import {
  createStubRuntime,
  type ExactRuntime,
  type ModelRuntime,
  RuntimeError,
} from '../../../models/runtime/index.ts'
import {
  decodeTensors,
  digestTensors,
  encodeTensors,
  float32Elements,
  float32Tensor,
  type Tensor,
} from '../../../models/tensor/index.ts'

const signature: Manifest['signature'] = {
  inputs: [{ name: 'x', dtype: 'float32', dims: ['n', 'w'] }],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['n', 'w'] }],
}
const manifest: Manifest = {
  verimesh: 1,
  name: 'scale',
  model: 'model.onnx',
  files: [],
  signature,
  lanes: ['native', 'exact'],
  tolerance: { tau: 1e-5 },
  batching: { independent: true },
}
const signal = new AbortController().signal

/** y = factor * x, of which every third element is further off by `error` of its value. */
function scale(factor: number, error = 0) {
  return (inputs: readonly Tensor[]): readonly Tensor[] =>
    inputs.map(({ dims, ...input }) => {
      const elements = float32Elements({ dims, ...input }).map(
        (value, index) => value * factor * (index % 3 === 0 ? 1 + error : 1),
      )
      return float32Tensor('y', dims, elements)
    })
}

function stub(error = 0, batched = false): ModelRuntime {
  const inner = createStubRuntime({ seed: 1, signature, transform: scale(3, error) })
  return {
    ...inner,
    execute: async (batch, aborted) => {
      const outcomes = await inner.execute(batch, aborted)
      return outcomes.map((outcome) =>
        outcome.ok && batch.length > 1 ? { ok: true, value: { ...outcome.value, batched } } : outcome,
      )
    },
  }
}

function exact(leaf = 1, error = 0): ExactRuntime {
  const inner = stub(error)
  return {
    ...inner,
    load: async () => {},
    plan: () => Promise.reject(new Error('nobody asks')),
    operands: () => Promise.reject(new Error('nobody asks')),
    runStep: () => Promise.reject(new Error('nobody asks')),
    async trace(inputs) {
      return { leaves: [Uint8Array.of(leaf)], outputs: await run(inner, inputs), serviceMs: 2 }
    },
  }
}

async function run(runtime: ModelRuntime, inputs: Uint8Array): Promise<Uint8Array> {
  const salt = new Uint8Array(32)
  const [outcome] = await runtime.execute(
    [{ inputs, salt, inputDigest: digestTensors(salt, inputs) }],
    signal,
  )
  if (outcome?.ok !== true) throw new Error('the stub failed')
  return outcome.value.outputs
}

function runtimes(parts: Partial<CalibrationRuntimes> = {}): CalibrationRuntimes {
  return { native: ({ batching }) => stub(0, batching), exact: () => exact(), ...parts }
}

test('an honest machine gets the least tolerance, both lanes and no doubt', async () => {
  const found = await calibrate(manifest, runtimes(), { signal })
  assert.is(found.spread, 0)
  assert.is(found.proposedTau, 1e-6)
  assert.ok(found.lanes.native.ok)
  assert.ok(found.lanes.exact.ok, found.lanes.exact.reason)
  assert.is(found.independent, true)
  assert.equal(
    found.rows.map(({ comparison }) => comparison),
    ['alone against itself', 'one thread against two', 'alone against batch', 'native against exact'],
  )
})

test('the widest of all ways of running decides the tolerance: five times as much, on the ladder', async () => {
  const found = await calibrate(
    manifest,
    runtimes({ native: ({ threads, batching }) => stub(threads === 2 ? 3e-6 : 0, batching) }),
    { signal },
  )
  assert.ok(found.spread > 2e-6 && found.spread < 4e-6, String(found.spread))
  assert.is(found.proposedTau, 2e-5)
  assert.ok(found.lanes.native.ok)
})

test('a machine that exceeds the declared tolerance serves the exact lane only', async () => {
  const found = await calibrate(manifest, runtimes({ exact: () => exact(1, 5e-5) }), { signal })
  assert.not.ok(found.lanes.native.ok)
  assert.match(found.lanes.native.reason, /exact lane only/)
  assert.ok(found.lanes.exact.ok)
})

test('where honest answers lie as far apart as a cheap cheat, no tolerance is proposed', async () => {
  const found = await calibrate(manifest, runtimes({ exact: () => exact(1, 1e-2) }), { signal })
  assert.is(found.proposedTau, undefined)
  assert.not.ok(found.lanes.native.ok)
  assert.is(proposeTau(2e-4), 1e-3)
  assert.is(proposeTau(2.1e-4), undefined)
  assert.is(proposeTau(Number.POSITIVE_INFINITY), undefined)
})

test('rows that change in a batch are not independent', async () => {
  const native: CalibrationRuntimes['native'] = ({ batching }) => stub(batching ? 1e-3 : 0, batching)
  const found = await calibrate(manifest, runtimes({ native }), { signal })
  assert.is(found.independent, false)
})

test('a model that cannot be run as a batch is not judged by one', async () => {
  const found = await calibrate(manifest, runtimes({ native: () => stub(0, false) }), { signal })
  assert.is(found.independent, undefined)
})

test('two processes whose traces differ by one byte lose the exact lane', async () => {
  let processes = 0
  const found = await calibrate(manifest, runtimes({ exact: () => exact(++processes) }), { signal })
  assert.not.ok(found.lanes.exact.ok)
  assert.match(found.lanes.exact.reason, /different traces/)
})

test('a node that never calibrated a model traces it twice before it signs', async () => {
  assert.ok((await checkExactLane(manifest, () => exact(), { signal })).ok)
  let processes = 0
  const judged = await checkExactLane(manifest, () => exact(++processes), { signal })
  assert.not.ok(judged.ok)
  assert.match(judged.reason, /different traces/)
})

test('a lane is run ahead on the first drawn inputs that it takes', async () => {
  const shapes: (readonly number[])[] = []
  let code: 'run-failed' | 'crashed' = 'run-failed'
  const picky: ExactRuntime = {
    ...exact(),
    async trace(inputs) {
      const [{ dims }] = decodeTensors(inputs) as [Tensor]
      shapes.push(dims)
      if (shapes.length < 3) throw new RuntimeError(code, 'not these')
      return { leaves: [], outputs: inputs, serviceMs: 1 }
    },
  }
  await warmExactLane(manifest, picky, signal)
  assert.is(new Set(shapes.map(String)).size, 3, 'each of another size')
  shapes.length = 0
  code = 'crashed'
  const error = await warmExactLane(manifest, picky, signal).then(() => 'none', String)
  assert.match(error, /not these/)
  assert.is(shapes.length, 1, 'a process that breaks is not tried again')
})

test('an exact lane that fails is refused with what went wrong, and the native one is still measured', async () => {
  const broken: ExactRuntime = {
    ...exact(),
    trace: () => Promise.reject(new RuntimeError('load-failed', 'the operator Foo is not known')),
  }
  const found = await calibrate(manifest, runtimes({ exact: () => broken }), { signal })
  assert.match(found.lanes.exact.reason, /Foo/)
  assert.ok(found.lanes.native.ok)
})

test('a model that takes none of the drawn inputs asks for a sample', async () => {
  const picky = createStubRuntime({
    seed: 1,
    signature,
    transform: () => {
      throw new Error('the width must be 48')
    },
  })
  try {
    await calibrate(manifest, runtimes({ native: () => picky }), { signal })
    assert.unreachable()
  } catch (error) {
    assert.instance(error, CalibrationError)
    assert.match((error as Error).message, /--sample/)
  }
})

test('drawn inputs follow from the seed, fit the signature and are bounded', () => {
  const [x] = sampleInputs(signature, 7, 16)!
  assert.equal(x?.dims, [1, 16])
  assert.equal(sampleInputs(signature, 7, 16), sampleInputs(signature, 7, 16))
  assert.not.equal(sampleInputs(signature, 7, 16), sampleInputs(signature, 8, 16))
  assert.is(sampleInputs(signature, 7, 8 * 1024 * 1024), undefined)
})

test('the spread is relative to the largest element, and infinite where anything else differs', () => {
  const y = (elements: readonly number[], dims = [elements.length]): Uint8Array =>
    encodeTensors([float32Tensor('y', dims, Float32Array.from(elements))])
  assert.is(spreadOf(y([1, 2]), y([1, 2])), 0)
  assert.is(spreadOf(y([0, -0]), y([-0, 0])), 0)
  assert.ok(Math.abs(spreadOf(y([0.5, 4]), y([1.5, 4])) - 0.25) < 1e-6)
  // Of a tensor that is all noise, the noise is nothing.
  assert.is(spreadOf(y([1e-7, 3e-7]), y([3e-7, -2e-7])), 0)
  assert.is(spreadOf(y([1, 2]), y([1, 2], [2, 1])), Number.POSITIVE_INFINITY)
  assert.is(spreadOf(y([Number.NaN, 2]), y([1, 2])), Number.POSITIVE_INFINITY)
})

test.run()
