import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { modelSignature, readModel } from '../../../models/graph/index.ts'
import {
  createExactRuntime,
  createInProcessExactRuntime,
  type ExactRuntimeInit,
  exactRuntimeInfo,
  type NativeRuntimeComponents,
  RuntimeError,
  type SupervisedExactRuntime,
} from '../../../models/runtime/index.ts'
import { decodeTensors, encodeTensors, float32Elements, type Tensor } from '../../../models/tensor/index.ts'
import { decodeLeaf, digestValue } from '../../../models/trace/index.ts'
import {
  buildAddOneModel,
  buildAffineModel,
  buildLookupModel,
  buildLoopModel,
  buildModel,
  elementBytes,
} from '../../fixtures/onnx-builder.ts'
import { everyShape } from '../graph/shapes.ts'
import { assertSameLeaves, forever, hex, runPlain, verifySteps, verifyTrace } from './exact-laws.ts'
import { codeOf, executionOf, payloadOf, resultOf, rowsOf } from './executions.ts'

interface Context {
  directory: string
  runtimes: SupervisedExactRuntime[]
}

const test = suite<Context>('exact runtime')

test.before(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), 'verimesh-exact-'))
  context.runtimes = []
})
test.after.each(async ({ runtimes }) => {
  await Promise.all(runtimes.splice(0).map((runtime) => runtime.close()))
})
test.after(({ directory }) => rm(directory, { recursive: true }))

let models = 0
async function open(
  context: Context,
  model: Uint8Array,
  init: Partial<ExactRuntimeInit> = {},
  components: Partial<NativeRuntimeComponents> = {},
): Promise<SupervisedExactRuntime> {
  const modelPath = join(context.directory, `model-${++models}.onnx`)
  await writeFile(modelPath, model)
  const signature = modelSignature(readModel(model))
  const runtime = createExactRuntime({ modelPath, signature, ...init }, components)
  context.runtimes.push(runtime)
  return runtime
}

async function failure(promise: Promise<unknown>): Promise<RuntimeError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(error, RuntimeError)
  return error as RuntimeError
}

const longs = (name: string, elements: number[], dims = [elements.length]): Tensor => ({
  name,
  dtype: 'int64',
  dims,
  data: elementBytes('int64', elements),
})

/** `x int64 [k] -> y`, a tensor of that shape. */
const shapeModel = buildModel({
  inputs: [{ name: 'x', dtype: 'int64', dims: ['k'] }],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['a', 'b'] }],
  nodes: [
    { operator: 'Abs', inputs: ['x'], outputs: ['s'] },
    { operator: 'ConstantOfShape', inputs: ['s'], outputs: ['y'] },
  ],
})

test('every request gives what the same engine gives in this process, and again in a fresh one', async (context) => {
  const model = everyShape()
  const x: Tensor = { name: 'x', dtype: 'float32', dims: [3], data: elementBytes('float32', [1, -2, 3]) }
  const flag: Tensor = { name: 'flag', dtype: 'bool', dims: [], data: Uint8Array.of(1) }
  const inputs = encodeTensors([x, flag, longs('trips', [2], [])])
  const here = createInProcessExactRuntime(model)
  const expected = await verifyTrace(here, inputs)
  for (let fresh = 0; fresh < 2; fresh++) {
    const runtime = await open(context, model)
    assert.equal(runtime.info, exactRuntimeInfo())
    assertSameLeaves(await verifyTrace(runtime, inputs), expected)
    assert.is(hex((await runtime.plan(forever)).root), hex((await here.plan(forever)).root))
    await verifySteps(runtime, inputs, expected)
  }
})

test('entries of one execution are run one by one; a wrong one fails alone', async (context) => {
  const runtime = await open(context, buildAddOneModel())
  const wrong = executionOf({ ...rowsOf([1]), name: 'z' })
  const other = { ...executionOf(rowsOf([1])), inputDigest: new Uint8Array(32) }
  const batch = [executionOf(rowsOf([1, 2])), wrong, other, executionOf(rowsOf([3, 4], [5, 6]))]
  const outcomes = await runtime.execute(batch, forever)
  assert.equal(outcomes.map(codeOf), ['ok', 'input-mismatch', 'digest-mismatch', 'ok'])
  assert.equal(
    [resultOf(outcomes[0]), resultOf(outcomes[3])],
    [
      [2, 3],
      [4, 5, 6, 7],
    ],
  )
  assert.ok(outcomes.every((outcome) => !outcome.ok || !outcome.value.batched))
})

test('payloads of every size go there and back, and requests of all kinds keep apart', async (context) => {
  const runtime = await open(context, buildAddOneModel())
  await runtime.load()
  const running = [1, 3_000, 200_000, 1_500_000].map(async (length, index) => {
    const x = new Float32Array(length).fill(index)
    const inputs = payloadOf({
      name: 'x',
      dtype: 'float32',
      dims: [1, length],
      data: new Uint8Array(x.buffer),
    })
    const [trace, operands, plain] = await Promise.all([
      runtime.trace(inputs, forever),
      runtime.operands(inputs, '0', forever),
      runPlain(runtime, inputs),
    ])
    assert.is(Buffer.compare(plain, trace.outputs), 0, `${length} elements`)
    const y = float32Elements(decodeTensors(trace.outputs)[0]!)
    assert.ok(y.length === length && y.every((element) => element === index + 1))
    const [operand] = decodeTensors(operands)
    const { name, ...value } = operand!
    assert.is(name, hex(digestValue(value)))
    const leaf = decodeLeaf(trace.leaves[0]!)
    const step = await runtime.runStep('0', leaf.operands, operands, forever)
    assert.equal(step.outputs.map(hex), leaf.outputs.map(hex))
  })
  await Promise.all(running)
})

test('what is wrong with a request is told apart from what could not be found out', async (context) => {
  const lookup = await open(context, buildLookupModel(10))
  const outside = longs('x', [10], [1, 1])
  assert.is(
    (await failure(lookup.trace(payloadOf(outside), forever))).code,
    'run-failed',
    'the operator refuses',
  )
  const { name: _, ...index } = outside
  const named = encodeTensors([{ ...index, name: hex(digestValue(index)) }])
  const [table] = decodeLeaf(
    (await lookup.trace(payloadOf(longs('x', [9], [1, 1])), forever)).leaves[0]!,
  ).operands
  const refused = failure(lookup.runStep('0', [table!, digestValue(index)], named, forever))
  assert.is((await refused).code, 'run-failed', 'the operator refuses')

  const runtime = await open(context, shapeModel)
  const inputs = payloadOf(longs('x', [2, 3]))
  const { leaves } = await runtime.trace(inputs, forever)
  const leaf = decodeLeaf(leaves[1]!)
  const stepOn = (given: Tensor) => {
    const { name: _, ...value } = given
    const digest = digestValue(value)
    return runtime.runStep('1', [digest], encodeTensors([{ ...value, name: hex(digest) }]), forever)
  }
  assert.is((await failure(runtime.trace(payloadOf(rowsOf([1])), forever))).code, 'input-mismatch')
  assert.is((await failure(runtime.operands(inputs, '7', forever))).code, 'run-failed')
  assert.is((await failure(runtime.operands(inputs, 'x', forever))).code, 'run-failed')
  assert.is(
    (await failure(runtime.runStep('1', leaf.operands, new Uint8Array(7), forever))).code,
    'input-mismatch',
  )
  const float: Tensor = { name: '', dtype: 'float32', dims: [1], data: new Uint8Array(4) }
  assert.is((await failure(stepOn(float))).code, 'input-mismatch', 'no operand of that kind')
  const { pid } = runtime.status()
  assert.is((await failure(stepOn(longs('', [1e9, 1e9])))).code, 'out-of-memory', 'it cannot be found out')
  assert.is((await failure(runtime.trace(payloadOf(longs('x', [1e9, 1e9])), forever))).code, 'out-of-memory')
  assert.is(codeOf((await runtime.execute([executionOf(longs('x', [1e9, 1e9]))], forever))[0]), 'run-failed')
  assert.equal((await stepOn(longs('', [2, 3]))).outputs.map(hex), leaf.outputs.map(hex))
  assert.is.not(runtime.status().pid, pid, 'an engine that ran out of memory is replaced')
})

test('a deadline ends a trace that would take too long; what waited runs in the next process', async (context) => {
  const runtime = await open(context, buildLoopModel(), { abortGraceMs: 0 })
  await runtime.load()
  const { pid } = runtime.status()
  const endless = payloadOf(rowsOf([0]), longs('iterations', [16_000], []))
  const short = payloadOf(rowsOf([0]), longs('iterations', [2], []))
  const late = failure(runtime.trace(endless, AbortSignal.timeout(20)))
  const aborting = new AbortController()
  const aborted = failure(runtime.operands(short, '0?0', aborting.signal))
  const waiting = runtime.trace(short, forever)
  aborting.abort()
  assert.is((await late).code, 'deadline')
  assert.is((await aborted).code, 'aborted')
  // A decision, two iterations of three steps with one each after them, and the end.
  assert.is((await waiting).leaves.length, 1 + 2 * 4 + 1)
  assert.is.not(runtime.status().pid, pid)
})

test('a trace longer than one may be is refused', async (context) => {
  const runtime = await open(context, buildLoopModel())
  const inputs = payloadOf(rowsOf([0]), longs('iterations', [17_000], []))
  assert.is((await failure(runtime.trace(inputs, forever))).code, 'run-failed')
})

test('a crash is no answer, and holds the next request back', async (context) => {
  let time = 0
  const runtime = await open(context, buildLoopModel(), {}, { now: () => time })
  await runtime.load()
  const inputs = payloadOf(rowsOf([0]), longs('iterations', [16_000], []))
  const crashed = failure(runtime.trace(inputs, forever))
  process.kill(runtime.status().pid!, 'SIGKILL')
  assert.is((await crashed).code, 'crashed')
  const step = () => runtime.runStep('0?0', [], new Uint8Array(), forever)
  const refused = await failure(step())
  assert.is(refused.code, 'backing-off')
  time += refused.retryAfterMs
  assert.is((await failure(step())).code, 'input-mismatch')
  await runtime.close()
  assert.is((await failure(step())).code, 'closed')
})

test('a process above its memory bound is ended: no refusal', async (context) => {
  const runtime = await open(context, buildAddOneModel(), { memoryBytesMax: 1 })
  const error = await failure(runtime.runStep('0', [], new Uint8Array(), forever))
  assert.ok(['crashed', 'load-failed'].includes(error.code), error.code)
})

test('a model that the exact lane does not know does not load, and says why', async (context) => {
  const random = buildModel({
    inputs: [{ name: 'x', dtype: 'float32', dims: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['n'] }],
    nodes: [{ operator: 'RandomNormalLike', name: 'dice', inputs: ['x'], outputs: ['y'] }],
  })
  const runtime = await open(context, random)
  const error = await failure(runtime.load())
  assert.is(error.code, 'load-failed')
  assert.match(error.message, /RandomNormalLike .*"dice"/)
  const affine = buildAffineModel({ columns: 2 })
  const other = await open(context, affine, { signature: { inputs: [], outputs: [] } })
  assert.match((await failure(other.load())).message, /manifest says that its inputs/)
  const affineHere = createInProcessExactRuntime(random)
  assert.is((await failure(affineHere.plan(forever))).code, 'load-failed')
})

test('tensors in a file of their own are found beside the model', async (context) => {
  const weights = elementBytes('float32', [0, 10, 20])
  await writeFile(join(context.directory, 'weights.bin'), weights)
  const graph = (location: string) => ({
    inputs: [{ name: 'x', dtype: 'float32' as const, dims: ['n', 2] }],
    outputs: [{ name: 'y', dtype: 'float32' as const, dims: ['n', 2] }],
    nodes: [{ operator: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: [
      {
        name: 'w',
        dtype: 'float32' as const,
        dims: [2],
        data: weights.subarray(4),
        stored: { location, offset: 4 },
      },
    ],
  })
  const runtime = await open(context, buildModel(graph('weights.bin')))
  const y = decodeTensors(await runPlain(runtime, payloadOf(rowsOf([1, 2]))))[0]!
  assert.equal([...float32Elements(y)], [11, 22])
  const outside = await open(context, buildModel(graph('../weights.bin')))
  assert.match((await failure(outside.load())).message, /outside its directory/)
  await symlink('/dev/zero', join(context.directory, 'endless.bin'))
  const endless = await open(context, buildModel(graph('endless.bin')))
  assert.match((await failure(endless.load())).message, /no plain file/)
})

test('the process sees no secret of the environment', async (context) => {
  if (process.platform !== 'linux') return
  process.env.VERIMESH_TEST_SECRET = 'a-key-that-must-not-leak'
  try {
    const runtime = await open(context, buildAddOneModel())
    await runtime.load()
    const environment = await readFile(`/proc/${runtime.status().pid}/environ`, 'latin1')
    assert.not.match(environment, /SECRET|a-key-that-must-not-leak|npm_|HOME=/)
  } finally {
    delete process.env.VERIMESH_TEST_SECRET
  }
})

test.run()
