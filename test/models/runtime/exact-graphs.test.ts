import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createInProcessExactRuntime,
  type ExactRuntime,
  RuntimeError,
} from '../../../models/runtime/index.ts'
import { decodeTensors, encodeTensors, float32Elements, type Tensor } from '../../../models/tensor/index.ts'
import { decodeLeaf, digestValue } from '../../../models/trace/index.ts'
import {
  buildModel,
  elementBytes,
  type OnnxDType,
  type OnnxGraph,
  type OnnxModelOptions,
  type OnnxNode,
  tensorOf,
} from '../../fixtures/onnx-builder.ts'
import { everyShape, scalar, value } from '../graph/shapes.ts'
import { assertSameLeaves, forever, hex, verifySteps, verifyTrace } from './exact-laws.ts'

const floats = (name: string, dims: number[], elements: number[]): Tensor =>
  tensor(name, 'float32', dims, elements)
const tensor = (name: string, dtype: OnnxDType, dims: number[], elements: (number | bigint)[]): Tensor => ({
  name,
  dtype,
  dims,
  data: elementBytes(dtype, elements),
})

/** The outputs of a model, after all laws were checked on it, with sessions kept and without. */
async function examine(bytes: Uint8Array, ...inputs: Tensor[]): Promise<Record<string, Tensor>> {
  const payload = encodeTensors(inputs)
  const runtime = createInProcessExactRuntime(bytes)
  const trace = await verifyTrace(runtime, payload)
  await verifySteps(runtime, payload, trace)
  const forgetful = createInProcessExactRuntime(bytes, { sessionBytesMax: 0 })
  assertSameLeaves(await forgetful.trace(payload, forever), trace)
  return Object.fromEntries(decodeTensors(trace.outputs).map((output) => [output.name, output]))
}

/** `x -> y` of one node, or of some. */
function model(
  nodes: OnnxNode | OnnxNode[],
  graph: Partial<OnnxGraph> = {},
  options?: OnnxModelOptions,
): Uint8Array {
  const given = { inputs: [value('x')], outputs: [value('y')], nodes: [nodes].flat(), ...graph }
  return buildModel(given, options)
}

const loop = (body: Partial<OnnxGraph>, inputs: string[], outputs: string[]): OnnxNode => ({
  operator: 'Loop',
  inputs,
  outputs,
  graphs: {
    body: { inputs: [value('turn', 'int64', []), value('go', 'bool', [])], outputs: [], nodes: [], ...body },
  },
})

async function failure(promise: Promise<unknown>): Promise<RuntimeError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(error, RuntimeError)
  return error as RuntimeError
}

test('a model with all that a plan can hold, whichever way its flags point', async () => {
  for (const flag of [0, 1]) {
    for (const trips of [0, 1, 3]) {
      const { all, y } = await examine(
        everyShape(),
        floats('x', [3], [1, -2, 3]),
        tensor('flag', 'bool', [], [flag]),
        tensor('trips', 'int64', [], [trips]),
      )
      assert.equal(all?.dims, [trips], 'one element for each iteration')
      assert.equal(y?.dims, [3])
    }
  }
})

test('a loop ends by its condition, and what it scanned is as long', async () => {
  const node = loop(
    {
      inputs: [value('turn', 'int64', []), value('go', 'bool', []), value('sum')],
      outputs: [value('on', 'bool', []), value('next'), value('row')],
      initializers: [scalar('limit', 10)],
      nodes: [
        { operator: 'Add', inputs: ['sum', 'sum'], outputs: ['next'] },
        { operator: 'ReduceMax', inputs: ['next'], outputs: ['top'], integers: { keepdims: 0 } },
        { operator: 'Less', inputs: ['top', 'limit'], outputs: ['on'] },
        { operator: 'Identity', inputs: ['sum'], outputs: ['row'] },
      ],
    },
    ['', '', 'x'],
    ['y', 'rows'],
  )
  const graph = { outputs: [value('y'), value('rows', 'float32', ['k', 'n'])] }
  const { y, rows } = await examine(model(node, graph), floats('x', [2], [1, 2]))
  assert.equal([...float32Elements(y!)], [8, 16])
  assert.equal(rows?.dims, [3, 2])
  assert.equal([...float32Elements(rows!)], [1, 2, 2, 4, 4, 8])
})

test('a loop of no iteration gives what it was given, and empty scan outputs of the declared shape', async () => {
  const node = loop(
    {
      inputs: [value('turn', 'int64', []), value('go', 'bool', []), value('sum')],
      outputs: [value('go', 'bool', []), value('next'), value('row', 'int64', [2, 3])],
      initializers: [tensorOf('row', 'int64', [2, 3], [1, 2, 3, 4, 5, 6])],
      nodes: [{ operator: 'Neg', inputs: ['sum'], outputs: ['next'] }],
    },
    ['trips', 'on', 'x'],
    ['y', 'rows'],
  )
  const graph = {
    inputs: [value('x'), value('trips', 'int64', [1]), value('on', 'bool', [1])],
    outputs: [value('y'), value('rows', 'int64', ['k', 2, 3])],
  }
  const cases = [
    [0, 1],
    [-5, 1],
    [7, 0],
  ]
  for (const [trips, on] of cases) {
    const { y, rows } = await examine(
      model(node, graph),
      floats('x', [1], [4]),
      tensor('trips', 'int64', [1], [trips!]),
      tensor('on', 'bool', [1], [on!]),
    )
    assert.equal([...float32Elements(y!)], [4])
    assert.equal([rows?.dtype, rows?.dims], ['int64', [0, 2, 3]])
  }
})

test('a loop in a loop, with the values of the outer one', async () => {
  const inner = loop(
    {
      inputs: [value('j', 'int64', []), value('goInner', 'bool', []), value('deep')],
      outputs: [value('goInner', 'bool', []), value('deeper')],
      nodes: [
        { operator: 'Cast', inputs: ['turn'], outputs: ['turnFloat'], integers: { to: 1 } },
        { operator: 'Add', inputs: ['deep', 'turnFloat'], outputs: ['deeper'] },
      ],
    },
    ['two', '', 'sum'],
    ['next'],
  )
  const outer = loop(
    {
      inputs: [value('turn', 'int64', []), value('go', 'bool', []), value('sum')],
      outputs: [value('go', 'bool', []), value('next')],
      nodes: [inner],
    },
    ['three', '', 'x'],
    ['y'],
  )
  const initializers = [tensorOf('two', 'int64', [], [2]), tensorOf('three', 'int64', [], [3])]
  const { y } = await examine(model(outer, { initializers }), floats('x', [1], [1]))
  assert.equal([...float32Elements(y!)], [1 + 2 * (0 + 1 + 2)])
})

test('a loop that would not end, ends at its bound', async () => {
  const endless = loop(
    {
      inputs: [value('turn', 'int64', []), value('go', 'bool', []), value('sum')],
      outputs: [value('go', 'bool', []), value('sum')],
    },
    ['', '', 'x'],
    ['y'],
  )
  const runtime = createInProcessExactRuntime(model(endless))
  const error = await failure(runtime.trace(encodeTensors([floats('x', [1], [1])]), forever))
  assert.is(error.code, 'run-failed')
  assert.match(error.message, /more than 16384 times/)
})

test('every NaN is the one NaN, before it is hashed and before it is passed on', async () => {
  const odd = new Uint8Array(Uint32Array.of(0xffc0_0001, 0x7fa0_0000, 0x7f80_0000, 0x3f80_0000).buffer)
  const nodes = [
    { operator: 'Sqrt', inputs: ['m'], outputs: ['r'] },
    { operator: 'Neg', inputs: ['x'], outputs: ['n'] },
    { operator: 'Add', inputs: ['n', 'r'], outputs: ['y'] },
  ]
  const graph = {
    initializers: [tensorOf('m', 'float32', [1], [-1])],
    outputs: [value('y'), value('n'), value('x')],
  }
  const { n, y, x } = await examine(model(nodes, graph), {
    name: 'x',
    dtype: 'float32',
    dims: [4],
    data: odd,
  })
  const bits = (tensor: Tensor): number[] => [...new Uint32Array(new Uint8Array(tensor.data).buffer)]
  assert.equal(bits(x!), [0x7fc0_0000, 0x7fc0_0000, 0x7f80_0000, 0x3f80_0000], 'an input that is an output')
  assert.equal(bits(n!), [0x7fc0_0000, 0x7fc0_0000, 0xff80_0000, 0xbf80_0000])
  assert.equal(bits(y!), [0x7fc0_0000, 0x7fc0_0000, 0x7fc0_0000, 0x7fc0_0000])
})

test('NaNs are found wherever they stand, of every width', async () => {
  const cases = [
    ['float32', 0x7fc0_0000],
    ['float64', 0],
    ['float16', 0x7e00],
  ] as const
  for (const [dtype] of cases) {
    const bytes = model(
      { operator: 'Div', inputs: ['x', 'x'], outputs: ['y'] },
      { inputs: [value('x', dtype)], outputs: [value('y', dtype)] },
    )
    for (const at of [0, 1, 3, 4, 5, 6]) {
      // Zero by zero at one place, one elsewhere.
      const x = tensor(
        'x',
        dtype,
        [7],
        Array.from({ length: 7 }, (_, index) => (index === at ? 0 : 1)),
      )
      const { y } = await examine(bytes, x)
      const canonical = { float32: '0000c07f', float64: '000000000000f87f', float16: '007e' }[dtype]
      const width = y!.data.byteLength / 7
      assert.is(hex(y!.data.subarray(at * width, (at + 1) * width)), canonical, `${dtype} at ${at}`)
    }
  }
})

test('an operand with a NaN that no step gives is refused, wherever it stands', async () => {
  const strange = { float32: '0100c07f', float64: '010000000000f87f', float16: '017e' } as const
  const canonical = { float32: '0000c07f', float64: '000000000000f87f', float16: '007e' } as const
  for (const dtype of ['float32', 'float64', 'float16'] as const) {
    const bytes = model(
      { operator: 'Div', inputs: ['x', 'x'], outputs: ['y'] },
      { inputs: [value('x', dtype)], outputs: [value('y', dtype)] },
    )
    const runtime = createInProcessExactRuntime(bytes)
    for (const at of [0, 3, 6]) {
      const run = (nan: string) => {
        const { dims, data } = tensor('x', dtype, [7], [1, 1, 1, 1, 1, 1, 1])
        Buffer.from(nan, 'hex').copy(data, (at * data.byteLength) / 7)
        const digest = digestValue({ dtype, dims, data })
        const payload = encodeTensors([{ name: hex(digest), dtype, dims, data }])
        return runtime.runStep('0', [digest, digest], payload, forever)
      }
      assert.is((await run(canonical[dtype])).outputs.length, 1, `${dtype} at ${at}`)
      assert.is((await failure(run(strange[dtype]))).code, 'input-mismatch', `${dtype} at ${at}`)
    }
  }
  const body = {
    outputs: [value('go', 'bool', []), value('e', 'float32', [])],
    nodes: [{ operator: 'Sqrt', inputs: ['x'], outputs: ['e'] }],
  }
  const scanning = createInProcessExactRuntime(
    model(loop(body, ['trips', ''], ['y']), {
      inputs: [value('x', 'float32', [])],
      initializers: [scalar('trips', 1, 'int64')],
    }),
  )
  const end = (nan: string) => {
    const element = { dtype: 'float32' as const, dims: [], data: new Uint8Array(Buffer.from(nan, 'hex')) }
    const digest = digestValue(element)
    return scanning.runStep('0!1', [digest], encodeTensors([{ name: hex(digest), ...element }]), forever)
  }
  assert.is((await end(canonical.float32)).outputs.length, 1)
  assert.is((await failure(end(strange.float32))).code, 'input-mismatch', 'an element of a scan output')
})

test('empty tensors, scalars and absent operands', async () => {
  const nothing = [tensorOf('from', 'int64', [1], [1]), tensorOf('until', 'int64', [1], [1])]
  const empty = await examine(
    model(
      [
        { operator: 'Slice', inputs: ['x', 'from', 'until'], outputs: ['e'] },
        { operator: 'Exp', inputs: ['e'], outputs: ['f'] },
        { operator: 'Concat', inputs: ['e', 'f', 'e'], outputs: ['y'], integers: { axis: 0 } },
      ],
      { initializers: nothing },
    ),
    floats('x', [2], [1, 2]),
  )
  assert.equal([empty.y?.dims, empty.y?.data.byteLength], [[0], 0])
  const flat = await examine(
    model(
      { operator: 'Exp', inputs: ['x'], outputs: ['y'] },
      {
        inputs: [value('x', 'float32', [])],
        outputs: [value('y', 'float32', [])],
      },
    ),
    floats('x', [], [0]),
  )
  assert.equal([flat.y?.dims, ...float32Elements(flat.y!)], [[], 1])
  const clipped = await examine(
    model(
      { operator: 'Clip', inputs: ['x', '', 'top'], outputs: ['y'] },
      { initializers: [scalar('top', 2)] },
    ),
    floats('x', [3], [-9, 1, 5]),
  )
  assert.equal([...float32Elements(clipped.y!)], [-9, 1, 2])
})

test('outputs that are a constant, an input, or one value twice', async () => {
  const graph = {
    inputs: [value('x')],
    outputs: [value('y'), value('x'), value('c'), value('z')],
    initializers: [tensorOf('c', 'float32', [2], [5, Number.NaN])],
  }
  const nodes = [
    { operator: 'Abs', inputs: ['x'], outputs: ['y'] },
    { operator: 'Add', inputs: ['y', 'y'], outputs: ['z'] },
  ]
  const { y, x, c, z } = await examine(model(nodes, graph), floats('x', [1], [-3]))
  assert.equal(
    [y, x, z].map((one) => [...float32Elements(one!)]),
    [[3], [-3], [6]],
  )
  assert.is(hex(c!.data), '0000a0400000c07f')
})

test('nodes that are written before what they read', async () => {
  const nodes = [
    { operator: 'Neg', inputs: ['b'], outputs: ['y'] },
    { operator: 'Abs', inputs: ['x'], outputs: ['a'] },
    { operator: 'Sqrt', inputs: ['a'], outputs: ['b'] },
  ]
  const { y } = await examine(model(nodes), floats('x', [1], [-16]))
  assert.equal([...float32Elements(y!)], [-4])
})

test('LSTM without its first output, and MatMulInteger', async () => {
  const wave = (name: string, dims: number[]) =>
    tensorOf(
      name,
      'float32',
      dims,
      Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, at) => Math.sin(at)),
    )
  const lstm = await examine(
    model(
      { operator: 'LSTM', inputs: ['x', 'w', 'r'], outputs: ['', 'y'], integers: { hidden_size: 3 } },
      {
        inputs: [value('x', 'float32', [2, 1, 4])],
        outputs: [value('y', 'float32', [1, 1, 3])],
        initializers: [wave('w', [1, 12, 4]), wave('r', [1, 12, 3])],
      },
    ),
    floats('x', [2, 1, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
  )
  assert.equal(lstm.y?.dims, [1, 1, 3])
  const integers = await examine(
    model(
      { operator: 'MatMulInteger', inputs: ['x', 'w'], outputs: ['y'] },
      {
        inputs: [value('x', 'uint8', [1, 2])],
        outputs: [value('y', 'int32', [1, 2])],
        initializers: [tensorOf('w', 'uint8', [2, 2], [1, 2, 3, 200])],
      },
    ),
    tensor('x', 'uint8', [1, 2], [10, 255]),
  )
  assert.equal([...new Int32Array(new Uint8Array(integers.y!.data).buffer)], [775, 51020])
})

test('a step alone takes no operands but those that its leaf names', async () => {
  const runtime = createInProcessExactRuntime(
    model(
      [
        { operator: 'Abs', inputs: ['x'], outputs: ['a'] },
        { operator: 'Add', inputs: ['a', 'c'], outputs: ['y'] },
      ],
      { initializers: [scalar('c', 2)] },
    ),
  )
  const inputs = encodeTensors([floats('x', [2], [1, -2])])
  const leaf = decodeLeaf((await runtime.trace(inputs, forever)).leaves[1]!)
  const good = await runtime.operands(inputs, leaf.position, forever)
  const [operand] = decodeTensors(good)
  const named = (name: string, dtype: OnnxDType, elements: number[]) =>
    encodeTensors([{ ...tensor('', dtype, [elements.length], elements), name }])
  const { name: _, ...three } = floats('', [1], [3])
  const whole = { ...three, name: hex(digestValue(three)) }
  const cut = good.slice()
  cut[cut.length - 1] = 1
  const cases: [string, Promise<unknown>][] = [
    ['other bytes under that name', step(runtime, leaf, named(operand!.name, 'float32', [1, 3]))],
    ['another type under that name', step(runtime, leaf, named(operand!.name, 'int32', [1, 2]))],
    ['no bytes', step(runtime, leaf, encodeTensors([]))],
    ['a name in capitals', step(runtime, leaf, named(operand!.name.toUpperCase(), 'float32', [1, 2]))],
    ['one more', step(runtime, leaf, encodeTensors([...decodeTensors(good), floats('0', [1], [1])]))],
    ['one more that has its digest', step(runtime, leaf, encodeTensors([...decodeTensors(good), whole]))],
    ['trailing bytes', step(runtime, leaf, new Uint8Array(Buffer.concat([good, good])))],
    ['another constant', step(runtime, { ...leaf, operands: [leaf.operands[0]!, leaf.operands[0]!] }, good)],
    [
      'an absent operand',
      step(runtime, { ...leaf, operands: [new Uint8Array(32), leaf.operands[1]!] }, good),
    ],
    ['padding that is not zero', step(runtime, leaf, cut)],
    ['64 MiB and more', step(runtime, leaf, new Uint8Array(2 ** 26 + 1))],
    ['a position that is none', step(runtime, { ...leaf, position: '1/' }, good)],
    ['another step', step(runtime, { ...leaf, position: '0' }, good)],
  ]
  for (const [what, promise] of cases) assert.is((await failure(promise)).code, 'input-mismatch', what)
  assert.equal((await step(runtime, leaf, good)).outputs.map(hex), leaf.outputs.map(hex))
})

function step(
  runtime: ExactRuntime,
  { position, operands }: { position: string; operands: readonly Uint8Array[] },
  payload: Uint8Array,
) {
  return runtime.runStep(position, operands, payload, forever)
}

test.run()
