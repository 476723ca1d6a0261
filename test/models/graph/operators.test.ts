import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { TensorProto_DataType as DataType } from '../../../models/graph/generated/onnx_pb.js'
import { GraphError, listedOperator, readModel, verifyOperandTypes } from '../../../models/graph/index.ts'
import {
  type OnnxGraph,
  type OnnxModelOptions,
  type OnnxNode,
  tensorOf,
} from '../../fixtures/onnx-builder.ts'
import { build, planOf, scalar, value } from './shapes.ts'

test('refuses what is not listed, by its name, its node and the reason', () => {
  const cases: [Partial<OnnxNode>, RegExp, OnnxModelOptions?][] = [
    [{ operator: 'Sine' }, /operator Sine \(version 17\) at node "n" .*not on the list/],
    [{ operator: 'toString' }, /operator toString .*not on the list/],
    [
      { operator: 'Relu', domain: 'org.example' },
      /org\.example\.Relu \(version 3\).*not on the list/,
      { domains: { 'org.example': 3 } },
    ],
    [{ operator: 'RandomNormalLike' }, /RandomNormalLike.*random/],
    [{ operator: 'Multinomial' }, /Multinomial.*random/],
    [{ operator: 'Bernoulli' }, /Bernoulli.*random/],
    [{ operator: 'SequenceConstruct' }, /SequenceConstruct.*sequences/],
    [{ operator: 'OptionalHasElement' }, /OptionalHasElement.*optional/],
    [{ operator: 'StringNormalizer' }, /StringNormalizer.*text/],
    [{ operator: 'Relu' }, /Relu \(version 22\).*versions 7 to 21/, { opset: 22 }],
    [{ operator: 'Relu' }, /Relu \(version 6\).*versions 7 to 21/, { opset: 6 }],
    [{ operator: 'Gelu' }, /Gelu \(version 19\).*versions 20 to 21/, { opset: 19 }],
    [{ operator: 'Relu', name: '' }, /Relu \(version 22\) at node "y"/, { opset: 22 }],
    [{ operator: 'BatchNormalization', integers: { training_mode: 1 } }, /BatchNormalization.*trains/],
    [{ operator: 'BatchNormalization', outputs: ['y', 'mean', 'var'] }, /BatchNormalization.*trains/],
    [{ operator: 'Dropout', inputs: ['x', '', 'w'] }, /Dropout.*train/],
    [{ operator: 'ScatterND', strings: { reduction: 'add' } }, /ScatterND.*"add"/],
    [{ operator: 'ScatterElements', strings: { reduction: 'mul' } }, /ScatterElements.*"mul"/],
    [{ operator: 'Cast', integers: { to: DataType.STRING } }, /Cast.*string/],
    [{ operator: 'Cast', integers: { to: DataType.BFLOAT16 } }, /Cast.*bfloat16/],
    [{ operator: 'Relu', graphs: { body: { inputs: [], outputs: [], nodes: [] } } }, /Relu.*is a graph/],
  ]
  for (const [node, expected, options] of cases) {
    const bytes = one(node, options)
    refuses(() => planOf(bytes), expected)
  }
})

test('takes the neighbours of what it refuses', () => {
  const cases: [Partial<OnnxNode>, OnnxModelOptions?][] = [
    [{ operator: 'Relu' }, { opset: 21 }],
    [{ operator: 'Relu' }, { opset: 7 }],
    [{ operator: 'Gelu' }, { opset: 20 }],
    [{ operator: 'BatchNormalization', integers: { training_mode: 0 }, outputs: ['y', ''] }],
    [{ operator: 'Dropout', inputs: ['x', 'x'] }],
    [{ operator: 'ScatterND', strings: { reduction: 'none' } }],
    [{ operator: 'Cast', integers: { to: DataType.FLOAT16 } }],
  ]
  for (const [node, options] of cases) assert.ok(planOf(one(node, options)), node.operator)
})

test('looks into every graph', () => {
  const dice: OnnxGraph = {
    inputs: [],
    outputs: [value('out')],
    nodes: [{ operator: 'RandomNormalLike', name: 'dice', inputs: ['x'], outputs: ['out'] }],
  }
  const flag = { inputs: [value('x'), value('flag', 'bool', [])] }
  for (const operator of ['If', 'Scan']) {
    const graphs: Record<string, OnnxGraph> =
      operator === 'If' ? { then_branch: dice, else_branch: dice } : { body: dice }
    const bytes = build(
      [{ operator, inputs: [operator === 'If' ? 'flag' : 'x'], outputs: ['y'], graphs }],
      flag,
    )
    refuses(() => planOf(bytes), /RandomNormalLike.*"dice"/)
  }
})

test('refuses text and attributes of two meanings in a Constant, also within a Scan', () => {
  const texts: Partial<OnnxNode>[] = [
    { strings: { value_string: 'a' } },
    { strings: { value_strings: ['a', 'b'] } },
    { graphs: { value: { inputs: [], outputs: [], nodes: [] } } },
  ]
  for (const attributes of texts) {
    const constant = { operator: 'Constant', name: 'k', inputs: [], outputs: ['y'], ...attributes }
    refuses(() => planOf(build([constant])), /Constant .*"k".*(text|graph)/)
    const body: OnnxGraph = {
      inputs: [value('row', 'float32', [])],
      outputs: [value('y', 'float32', [])],
      nodes: [constant],
    }
    const scan = build([{ operator: 'Scan', inputs: ['x'], outputs: ['y'], graphs: { body } }])
    refuses(() => planOf(scan), /Constant .*"k".*(text|graph)/)
  }
})

test("refuses functions of the model's own, also one that is called like an operator", () => {
  const definition = (name: string, domain: string) => ({
    name,
    domain,
    inputs: ['a'],
    outputs: ['b'],
    nodes: [{ operator: 'Neg', inputs: ['a'], outputs: ['b'] }],
    opset: 17,
  })
  const mine = { domains: { mine: 1 } }
  const called = one(
    { operator: 'Twice', domain: 'mine' },
    { ...mine, functions: [definition('Twice', 'mine')] },
  )
  refuses(() => planOf(called), /mine\.Twice.*function/)
  const hidden = one({ operator: 'Relu' }, { ...mine, functions: [definition('Relu', 'ai.onnx')] })
  refuses(() => planOf(hidden), /Relu.*function/)
  assert.ok(planOf(one({ operator: 'Relu' }, { ...mine, functions: [definition('Twice', 'mine')] })))
})

test('refuses element types that an operator is not listed for, where the model states them', () => {
  const long = [value('x', 'int64')]
  refuses(
    () => planOf(build([{ operator: 'Sqrt', name: 'n', inputs: ['x'], outputs: ['y'] }], { inputs: long })),
    /Sqrt.*"n".*operand 0 is int64.*float16, float32, float64/,
  )
  refuses(
    () =>
      planOf(
        build([{ operator: 'And', inputs: ['x', 'w'], outputs: ['y'] }], {
          inputs: [value('x', 'bool')],
          initializers: [scalar('w', 1, 'uint8')],
        }),
      ),
    /And.*operand 1 is uint8/,
  )
  const model = readModel(
    build([
      { operator: 'Relu', inputs: ['x'], outputs: ['inner'] },
      { operator: 'Relu', inputs: ['inner'], outputs: ['y'] },
    ]),
  )
  const [input] = model.graph.input
  assert.ok(planOf(model))
  const stated = { ...input!, name: 'inner' }
  for (const [type, expected] of [
    [{ case: 'tensorType', value: { elemType: DataType.BFLOAT16 } }, /elements of bfloat16/],
    [{ case: 'sequenceType', value: {} }, /a sequence/],
    [{ case: 'optionalType', value: {} }, /an optional/],
    [{ case: 'mapType', value: {} }, /a map/],
  ] as const) {
    model.graph.valueInfo = [{ ...stated, type: { value: type } } as unknown as typeof stated]
    refuses(() => planOf(model), expected)
  }
})

test('refuses constants whose elements do not travel', () => {
  const model = readModel(
    build([{ operator: 'Add', inputs: ['x', 'w'], outputs: ['y'] }], { initializers: [scalar('w', 1)] }),
  )
  model.graph.initializer[0]!.dataType = DataType.INT4
  refuses(() => planOf(model), /int4/)
})

test('tells the engine of types that show only when it runs', () => {
  const operator = { domain: '', type: 'Sqrt', opset: 17 }
  verifyOperandTypes(operator, ['float32'])
  verifyOperandTypes(operator, [undefined])
  refuses(() => verifyOperandTypes(operator, ['int32']), /Sqrt.*operand 0 is int32/)
  refuses(() => verifyOperandTypes({ ...operator, type: 'Sine' }, []), /Sine/)
})

test('refuses a version of the format that nobody knows yet', () => {
  assert.ok(planOf(one({ operator: 'Relu' }, { irVersion: 12 })))
  refuses(() => planOf(one({ operator: 'Relu' }, { irVersion: 13 })), /version 13/)
})

test('refuses operators of a domain that the model does not import', () => {
  const bytes = one({ operator: 'MatMulNBits', domain: 'com.microsoft' })
  assert.throws(
    () => planOf(bytes),
    (error: unknown) => error instanceof GraphError && error.code === 'corrupt-model',
  )
})

test('every range of versions begins before it ends', () => {
  for (const [domain, type] of [
    ['', 'Add'],
    ['', 'Upsample'],
    ['com.microsoft', 'MatMulNBits'],
  ] as const) {
    const listed = listedOperator(domain, type)!
    assert.ok(listed.opsetFirst <= listed.opsetLast && listed.dtypes.size > 0, type)
  }
  assert.is(listedOperator('', 'constructor'), undefined)
})

/** A model of one node "n", whose operands are `x` unless it names others; `w` is a constant. */
function one(node: Partial<OnnxNode>, options?: OnnxModelOptions): Uint8Array {
  const nodes = [{ operator: 'Neg', name: 'n', inputs: ['x'], outputs: ['y'], ...node }]
  const initializers = [tensorOf('w', 'bool', [], [1])]
  return build(nodes, { initializers, ...(options === undefined ? {} : { options }) })
}

function refuses(act: () => unknown, expected: RegExp): void {
  assert.throws(
    act,
    (error: unknown) =>
      error instanceof GraphError && error.code === 'unsupported-operator' && expected.test(error.message),
    String(expected),
  )
}

test.run()
