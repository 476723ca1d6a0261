/** Ways of writing a model down: order, constants in every form, defaults, scalars, nothing at all, external data. */
import { buildModel, bytesOf, type OnnxGraph, type OnnxTensor } from '../../fixtures/onnx-builder.ts'
import { constant, createSamples, graphModel, node, sample, type TestModel, value, values } from './model.ts'

const WIDE_ROWS = 40_960
const WIDE_COLUMNS = 256

export const FORM_MODELS: readonly TestModel[] = [
  graphModel(
    'unsorted',
    () => unsorted(false),
    (random) => [sample('x', 'float32', [5], random.floats(5))],
    {
      leavesMin: 9,
    },
  ),
  // Within a branch onnxruntime wants order.
  graphModel(
    'unsorted-branch',
    () => unsorted(true),
    (random) => [sample('x', 'float32', [5], random.floats(5))],
    {
      leavesMin: 9,
      native: 'refused',
    },
  ),
  graphModel('scalar', scalar, (random) => [sample('x', 'float32', [], random.floats(1))], { leavesMin: 4 }),
  graphModel(
    'empty',
    empty,
    (random, seed) => [
      sample('x', 'float32', [2, 3], random.floats(6)),
      sample('rows', 'int64', [1], [seed % 2 === 1 ? 0 : 2]),
    ],
    { leavesMin: 8 },
  ),
  graphModel('defaults', defaults, (random) => [sample('x', 'float32', [3], random.floats(3))], {
    leavesMin: 2,
  }),
  graphModel('constants', constants, (random) => [sample('x', 'float32', [3], random.floats(3))], {
    leavesMin: 10,
  }),
  graphModel('typed-constants', typedConstants, (random) => [sample('x', 'float32', [3], random.floats(3))], {
    leavesMin: 10,
  }),
  graphModel('no-steps', noSteps, (random) => [sample('x', 'float32', [3], random.floats(3))], {
    leavesMin: 0,
  }),
  graphModel('one-value-twice', twice, (random) => [sample('x', 'float32', [4, 4], random.floats(16))], {
    leavesMin: 3,
  }),
  externalModel(),
  wideGather(),
]

/** The last step comes first, also in the branch if asked. */
function unsorted(isBranchUnsorted: boolean): OnnxGraph {
  const branch = [node('Exp', 'u', 't'), node('Neg', 'c', 'u')]
  return {
    inputs: [value('x', 'float32', ['n'])],
    outputs: values('y:1 z:1'),
    nodes: [
      node('Add', 'd e', 'y'),
      node('Mul', 'c b', 'd'),
      node('If', 'isLarge', 'z', {
        graphs: {
          then_branch: {
            inputs: [],
            outputs: [value('t', 'float32')],
            nodes: isBranchUnsorted ? branch : branch.reverse(),
          },
          else_branch: { inputs: [], outputs: [value('v', 'float32')], nodes: [node('Abs', 'd', 'v')] },
        },
      }),
      node('Sub', 'b half', 'e'),
      node('Tanh', 'a', 'c'),
      node('Greater', 'sum half', 'isLarge'),
      node('ReduceSum', 'a', 'sum', { integers: { keepdims: 0 } }),
      node('Sigmoid', 'x', 'a'),
      node('Exp', 'a', 'b'),
    ],
    initializers: [constant('half', [], [0.5])],
  }
}

function scalar(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', [])],
    outputs: values('y:0 n:0:int64'),
    nodes: [
      node('Exp', 'x', 'a'),
      node('Add', 'a one', 'b'),
      node('Shape', 'b', 's'),
      node('Size', 'b', 'n'),
      node('Reshape', 'b s', 'y'),
    ],
    initializers: [constant('one', [], [1])],
  }
}

/** Nothing is left of `x` where the seed is odd. */
function empty(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', ['n', 3]), value('rows', 'int64', [1])],
    outputs: values('y:2 s:0 p:2 k:1:int64'),
    nodes: [
      node('Slice', 'x zero rows zero', 'some'),
      node('Exp', 'some', 'a'),
      node('MatMul', 'a weights', 'b'),
      node('Concat', 'b b', 'y', { integers: { axis: 0 } }),
      node('ReduceSum', 'a', 's', { integers: { keepdims: 0 } }),
      node('Shape', 'a', 'k'),
      node('Transpose', 'a', 't'),
      node('MatMul', 't a', 'p'),
    ],
    initializers: [constant('weights', [3, 2], [1, 2, 3, 4, 5, 6]), constant('zero', [1], [0], 'int64')],
  }
}

/** An initializer that is an input as well: a default, which the exact lane takes as a constant. */
function defaults(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', [3]), value('gain', 'float32', [3]), value('unused', 'float32', [1])],
    outputs: values('y:1'),
    nodes: [node('Mul', 'x gain', 'a'), node('Add', 'a shift', 'y')],
    initializers: [
      constant('gain', [3], [2, 3, 4]),
      constant('shift', [3], [0.5, 0.25, 0.125]),
      constant('unused', [1], [9]),
    ],
  }
}

/** A Constant by each of its attributes; one is an output, one goes into a Reshape, one nobody needs. */
function constants(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', [3])],
    outputs: values('y:1 whole:1:int64 r:2 given:1'),
    nodes: [
      node('Constant', [], 'tensor', { tensors: { value: constant('', [3], [1, 2, 3]) } }),
      node('Constant', [], 'one', { floats: { value_float: 1.5 } }),
      node('Constant', [], 'many', { floats: { value_floats: [1, 2, 4] } }),
      node('Constant', [], 'count', { integers: { value_int: -3 } }),
      node('Constant', [], 'shape', { integers: { value_ints: [3, 1] } }),
      node('Constant', [], 'given', { floats: { value_floats: [0.1, 0.2] } }),
      node('Constant', [], 'unused', { integers: { value_int: 7 } }),
      node('Add', 'x tensor', 'a'),
      node('Mul', 'a one', 'b'),
      node('Div', 'b many', 'c'),
      node('Sub', 'c one', 'y'),
      node('Reshape', 'x shape', 'r'),
      node('Shape', 'r', 's'),
      node('Add', 's count', 't'),
      node('Mul', 't count', 'u'),
      node('Sub', 'u count', 'v'),
      node('Neg', 'v', 'whole'),
    ],
  }
}

/** Initializers in the fields of their types, of every type, read back as float32. */
function typedConstants(): OnnxGraph {
  const typed = (tensor: OnnxTensor): OnnxTensor => ({ ...tensor, stored: 'typed' })
  const dtypes = [
    'float32',
    'float64',
    'float16',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
    'bool',
  ] as const
  return {
    inputs: [value('x', 'float32', [3])],
    outputs: values('y:1'),
    nodes: [
      ...dtypes.map((dtype) => node('Cast', `w_${dtype}`, `c_${dtype}`, { integers: { to: 1 } })),
      node('Concat', ['x', ...dtypes.map((dtype) => `c_${dtype}`)], 'y', { integers: { axis: 0 } }),
    ],
    initializers: dtypes.map((dtype) => typed(constant(`w_${dtype}`, [3], [1, 0, 1], dtype))),
  }
}

/** Outputs that are an input and an initializer. */
function noSteps(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', [3])],
    outputs: [value('x', 'float32', [3]), value('k', 'float32', [2])],
    nodes: [],
    initializers: [constant('k', [2], [1, 2])],
  }
}

/** A node that names an operand twice, and a value that is given twice. */
function twice(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', [4, 4])],
    outputs: values('y:2'),
    nodes: [
      node('MatMul', 'x x', 'a'),
      node('Mul', 'a a', 'b'),
      node('Concat', 'b a b', 'y', { integers: { axis: -1 } }),
    ],
  }
}

/** Two tensors in one file, one in another, from an offset. */
function externalModel(): TestModel {
  const weights = bytesOf(Float32Array.from(createSamples(5).floats(64)))
  const graph: OnnxGraph = {
    inputs: [value('x', 'float32', ['n', 8])],
    outputs: values('y:2'),
    nodes: [node('MatMul', 'x w', 'a'), node('Add', 'a b', 'c'), node('Mul', 'c g', 'y')],
    initializers: [
      {
        ...constant('w', [8, 4], []),
        data: weights.subarray(32, 160),
        stored: { location: 'w.bin', offset: 32 },
      },
      {
        ...constant('b', [4], []),
        data: weights.subarray(16, 32),
        stored: { location: 'w.bin', offset: 16 },
      },
      { ...constant('g', [4], []), data: weights.subarray(0, 16), stored: { location: 'more/g.bin' } },
    ],
  }
  return {
    name: 'external-data',
    load: () => ({
      model: buildModel(graph),
      files: new Map([
        ['w.bin', weights],
        ['more/g.bin', weights.subarray(0, 16)],
      ]),
    }),
    inputs: (seed) => [sample('x', 'float32', [2, 8], createSamples(seed).floats(16))],
    leavesMin: 3,
    native: 1e-5,
  }
}

/** A table of 40 MB in a file of its own: what a step costs whose constant is much larger than its operands. */
function wideGather(): TestModel {
  const bytes = WIDE_ROWS * WIDE_COLUMNS * 4
  return {
    name: 'gather-40mb',
    load: () => {
      const table = new Float32Array(WIDE_ROWS * WIDE_COLUMNS)
      // A short period is enough: what is looked up differs from row to row.
      for (let at = 0; at < table.length; at++) table[at] = ((at * 2654435761) % 65_521) / 65_521
      const graph: OnnxGraph = {
        inputs: [value('x', 'int64', ['n'])],
        outputs: values('y:1'),
        nodes: [
          node('Gather', 'table x', 'rows'),
          node('ReduceMax', 'rows', 'y', { integers: { keepdims: 0, axes: [0] } }),
        ],
        initializers: [
          {
            name: 'table',
            dtype: 'float32',
            dims: [WIDE_ROWS, WIDE_COLUMNS],
            data: new Uint8Array(table.buffer),
            stored: { location: 'table.bin' },
          },
        ],
      }
      return {
        model: buildModel(graph),
        files: new Map([['table.bin', new Uint8Array(table.buffer, 0, bytes)]]),
      }
    },
    inputs: (seed) => [sample('x', 'int64', [9], createSamples(seed).integers(9, 0, WIDE_ROWS))],
    leavesMin: 2,
    native: 1e-5,
  }
}
