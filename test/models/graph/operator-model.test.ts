import { fromBinary } from '@bufbuild/protobuf'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ModelProto, ModelProtoSchema } from '../../../models/graph/generated/onnx_pb.js'
import {
  type ExactModel,
  type OperatorModel,
  prepareExactModel,
  readModel,
} from '../../../models/graph/index.ts'
import type { OperatorStep } from '../../../models/plan/index.ts'
import { createWasmEngine } from '../../../models/runtime/wasm-engine.ts'
import type { DType } from '../../../models/tensor/index.ts'
import {
  elementBytes,
  type OnnxDType,
  type OnnxGraph,
  type OnnxTensor,
  tensorOf,
} from '../../fixtures/onnx-builder.ts'
import { build, clone, disguise, everyShape, NO_FILES, scalar, value } from './shapes.ts'

test('constants are initializers, other operands inputs without a shape', () => {
  const exact = prepareExactModel(readModel(everyShape()), NO_FILES)
  const made = operatorAt(exact, 4, ['int32', undefined, undefined])
  const { irVersion, opsetImport, graph } = decode(made)
  assert.is(irVersion, 8n)
  assert.equal(
    opsetImport.map(({ domain, version }) => [domain, version]),
    [['', 17n]],
  )
  const [node, ...others] = graph!.node
  assert.is(others.length, 0)
  assert.equal([node!.opType, node!.input, node!.output], ['Clip', ['i0', '', 'i2'], ['o0']])
  assert.equal(
    graph!.input.map(({ name }) => name),
    ['i0'],
  )
  const type = graph!.input[0]!.type!.value
  assert.ok(type.case === 'tensorType' && type.value.elemType === 6 && type.value.shape === undefined)
  const [initializer] = graph!.initializer
  assert.equal([initializer!.name, initializer!.dims, initializer!.dataType], ['i2', [], 1])
  assert.equal(Buffer.from(initializer!.rawData).readFloatLE(), 2)
  assert.equal(made.feeds, [{ position: 0, name: 'i0' }])
  assert.equal(made.results, [{ position: 0, name: 'o0' }])
})

test('the same step has the same model, whatever its values are called', () => {
  const bytes = build([{ operator: 'Add', name: 'n', inputs: ['x', 'w'], outputs: ['y'] }], {
    initializers: [scalar('w', 1)],
  })
  const [plain, disguised] = [
    readModel(bytes),
    disguise(
      readModel(bytes),
      (name) => `${name}!`,
      () => 0,
    ),
  ].map((model) => operatorAt(prepareExactModel(model, NO_FILES), 0, ['float32', undefined]))
  assert.equal(Buffer.from(disguised!.bytes), Buffer.from(plain!.bytes))
})

test('an operand that is named twice is fed twice', () => {
  const exact = prepareExactModel(
    readModel(build([{ operator: 'Mul', inputs: ['x', 'x'], outputs: ['y'] }])),
    NO_FILES,
  )
  const made = operatorAt(exact, 0, ['float32', 'float32'])
  assert.equal(made.feeds, [
    { position: 0, name: 'i0' },
    { position: 1, name: 'i1' },
  ])
})

test('attributes stay as they are, with what nobody knows yet', () => {
  const model = readModel(
    build([{ operator: 'Elu', name: 'n', inputs: ['x'], outputs: ['y'], floats: { alpha: 2 } }]),
  )
  const [node] = model.graph.node
  node!.$unknown = [{ no: 99, wireType: 0, data: Uint8Array.of(7) }]
  node!.attribute[0]!.$unknown = [{ no: 77, wireType: 0, data: Uint8Array.of(5) }]
  const [alone] = decode(operatorAt(prepareExactModel(model, NO_FILES), 0, ['float32'])).graph!.node
  assert.equal(alone!.$unknown, [{ no: 99, wireType: 0, data: Uint8Array.of(7) }])
  const [attribute] = alone!.attribute
  assert.equal([attribute!.name, attribute!.f, attribute!.type], ['alpha', 2, 1])
  assert.equal(attribute!.$unknown, [{ no: 77, wireType: 0, data: Uint8Array.of(5) }])
})

test('a tensor in an attribute comes along, from wherever it lies', () => {
  const at = (stored: 'raw' | 'typed' | { location: string }) => {
    const tensor = { ...tensorOf('t', 'int64', [1], [42]), stored }
    const bytes = build(
      [{ operator: 'ConstantOfShape', inputs: ['x'], outputs: ['y'], tensors: { value: tensor } }],
      {
        inputs: [value('x', 'int64')],
      },
    )
    return operatorAt(prepareExactModel(readModel(bytes), new Map([['f', tensor.data]])), 0, ['int64'])
  }
  const [raw, typed, outside] = [at('raw'), at('typed'), at({ location: 'f' })]
  assert.equal(Buffer.from(typed.bytes), Buffer.from(raw.bytes))
  assert.equal(Buffer.from(outside.bytes), Buffer.from(raw.bytes))
  assert.is(decode(raw).graph!.node[0]!.attribute[0]!.t!.rawData[0], 42)
})

test('names of a Scan never meet those inside it', () => {
  const body: OnnxGraph = {
    inputs: [value('i0', 'float32', [])],
    outputs: [value('o0', 'float32', [])],
    nodes: [{ operator: 'Add', inputs: ['i0', 'i1'], outputs: ['o0'] }],
  }
  const node = {
    operator: 'Scan',
    inputs: ['x'],
    outputs: ['y'],
    integers: { num_scan_inputs: 1 },
    graphs: { body },
  }
  const captured = build([node], { inputs: [value('x'), value('i1', 'float32', [])] })
  const made = operatorAt(prepareExactModel(readModel(captured), NO_FILES), 0, ['float32', 'float32'])
  assert.equal(made.feeds, [
    { position: 0, name: '~i0' },
    { position: 1, name: 'i1' },
  ])
  const constant = build([node], { initializers: [scalar('i1', 3)] })
  const alone = decode(
    operatorAt(prepareExactModel(readModel(constant), NO_FILES), 0, ['float32', undefined]),
  )
  assert.equal(
    alone.graph!.initializer.map(({ name }) => name),
    ['i1'],
  )
})

test('the engine runs them', async () => {
  const engine = await createWasmEngine()
  const run = (
    made: OperatorModel,
    operands: readonly (readonly number[] | number | undefined)[],
  ): number[][] => {
    const session = engine.createSession(
      made.bytes,
      made.feeds.map(({ name }) => name),
      made.results.map(({ name }) => name),
      made.external,
    )
    const fed = made.feeds.map(({ position }) => {
      const operand = operands[position]!
      const numbers = typeof operand === 'number' ? [operand] : operand
      const dims = typeof operand === 'number' ? [] : [numbers.length]
      return engine.write({ dtype: 'float32', dims, data: elementBytes('float32', numbers) })
    })
    return engine.run(session, fed).map((output) => {
      const bytes = Uint8Array.from(engine.view(output))
      return [...new Float32Array(bytes.buffer)]
    })
  }
  const exact = prepareExactModel(readModel(everyShape()), NO_FILES)
  // The state grows by 2 * row + 3; what comes out is the state less 0.25.
  assert.equal(run(operatorAt(exact, 1, ['float32', 'float32']), [6, [1, 2, 3]]), [
    [27],
    [10.75, 17.75, 26.75],
  ])
  assert.equal(run(operatorAt(exact, 4, ['float32']), [[1, 2, 3]]), [[1, 2, 2]])

  // Version 3 of the format would have each initializer named among the inputs.
  const square = clone(readModel(build([{ operator: 'Mul', inputs: ['x', 'x'], outputs: ['y'] }])))
  square.irVersion = 3n
  const made = operatorAt(prepareExactModel(square, NO_FILES), 0, ['float32', 'float32'])
  assert.equal(
    run(made, [
      [3, 4],
      [3, 4],
    ]),
    [[9, 16]],
  )
})

test('a large constant stands beside the model, and gives the same as within', async () => {
  const engine = await createWasmEngine()
  let namesOther: Uint8Array | undefined
  const table = (dtype: OnnxDType, rows: number): OnnxTensor => ({
    name: 'table',
    dtype,
    dims: [rows, 8],
    data: elementBytes(
      dtype,
      Array.from({ length: rows * 8 }, (_, at) => at % 251),
    ),
  })
  // 8 elements a row; the bound is 64 KiB.
  const cases = [
    ['float32', 2048, true],
    ['float32', 2047, false],
    ['uint8', 8192, true],
    // What might be a shape, an axis or an index.
    ['int64', 1024, false],
    ['int32', 2048, false],
  ] as const
  for (const [dtype, rows, isBeside] of cases) {
    const what = `${dtype}, ${rows} rows`
    const initializers = [table(dtype, rows)]
    const graph = { inputs: [value('x', 'int64')], outputs: [value('y', dtype)], initializers }
    const bytes = build([{ operator: 'Gather', inputs: ['table', 'x'], outputs: ['y'] }], graph)
    const made = operatorAt(prepareExactModel(readModel(bytes), NO_FILES), 0, [undefined, 'int64'])
    const [initializer] = decode(made).graph!.initializer
    assert.is(initializer!.rawData.byteLength > 0, !isBeside, what)
    assert.equal([...made.external.values()], isBeside ? [initializers[0]!.data] : [], what)
    const session = engine.createSession(made.bytes, ['i1'], ['o0'], made.external)
    const last = elementBytes('int64', [rows - 1])
    const [row] = engine.run(session, [engine.write({ dtype: 'int64', dims: [1], data: last })])
    assert.equal(
      Buffer.from(engine.view(row!)),
      Buffer.from(initializers[0]!.data.subarray(-row!.bytes)),
      what,
    )
    if (isBeside) namesOther = made.bytes
  }
  assert.throws(
    () => engine.createSession(namesOther!, ['i1'], ['o0']),
    /the engine/,
    'what stood beside one operator does not stand beside the next',
  )
})

/** The model of a step of the main block. */
function operatorAt(exact: ExactModel, step: number, dtypes: readonly (DType | undefined)[]): OperatorModel {
  return exact.operatorModel(exact.plan.blocks[0]!.steps[step] as OperatorStep, dtypes)
}

function decode({ bytes }: OperatorModel): ModelProto {
  return fromBinary(ModelProtoSchema, bytes)
}

test.run()
