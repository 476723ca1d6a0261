/** Numbers that are awkward: not a number, halves, whole numbers that are quantised, recurrences. */
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../fixtures/onnx-builder.ts'
import { constant, createSamples, graphModel, node, sample, type TestModel, value, values } from './model.ts'

/** Weights of the model itself: the same whatever the inputs are. */
const weights = (name: string, dims: readonly number[], scale = 1, seed = 7): OnnxTensor =>
  constant(name, dims, createSamples(seed + name.length).floats(product(dims), scale))

export const NUMBER_MODELS: readonly TestModel[] = [
  graphModel('nan', notNumbers, (random) => [sample('x', 'float32', [9], withNaNs(random.floats(9, 3)))], {
    opset: 17,
    leavesMin: 25,
  }),
  graphModel(
    'nan-double',
    () => nanOf('float64'),
    (random) => [sample('x', 'float64', [9], withNaNs(random.floats(9, 3)))],
  ),
  graphModel(
    'nan-half',
    () => nanOf('float16'),
    (random) => [sample('x', 'float16', [9], withNaNs(random.floats(9, 3)))],
    { native: 2e-3 },
  ),
  graphModel('half', halves, (random) => [sample('x', 'float16', [3, 33], random.floats(99, 2))], {
    opset: 17,
    leavesMin: 10,
    // onnxruntime keeps single precision between two operators on halves; the exact lane rounds after each.
    native: 1e-2,
  }),
  graphModel('lstm', lstm, (random) => [sample('x', 'float32', [5, 2, 3], random.floats(30))], {
    opset: 14,
    leavesMin: 4,
  }),
  graphModel('gru', gru, (random) => [sample('x', 'float32', [5, 2, 3], random.floats(30))], {
    opset: 14,
    leavesMin: 2,
  }),
  graphModel(
    'dynamic-quantised',
    dynamicQuantised,
    (random) => [sample('x', 'float32', [3, 37], random.floats(111, 2))],
    { leavesMin: 5, native: 0.1 },
  ),
  graphModel('quantised', quantised, (random) => [sample('x', 'float32', [3, 37], random.floats(111, 2))], {
    leavesMin: 3,
    native: 0.1,
  }),
  graphModel(
    'convolution-integer',
    convolutionInteger,
    (random) => [sample('x', 'uint8', [1, 2, 9, 7], random.integers(126, 0, 256))],
    { leavesMin: 1 },
  ),
]

/** An ordinary list with both infinities, a zero of either sign and both kinds of NaN in it. */
function withNaNs(numbers: number[]): number[] {
  return numbers
    .with(1, Number.POSITIVE_INFINITY)
    .with(2, Number.NEGATIVE_INFINITY)
    .with(4, 0)
    .with(5, -0)
    .with(7, Number.NaN)
}

/** What makes a NaN, and what one passes through. */
function notNumbers(): OnnxGraph {
  const nodes: OnnxNode[] = [
    node('Sub', 'x x', 'difference'),
    node('Mul', 'x zero', 'nothing'),
    node('Div', 'nothing nothing', 'quotient'),
    node('Sqrt', 'x', 'root'),
    node('Log', 'x', 'logarithm'),
    node('Neg', 'quotient', 'negative'),
    node('Max', 'x quotient', 'most'),
    node('Min', 'quotient x', 'least'),
    node('IsNaN', 'root', 'isNaN'),
    node('Where', 'isNaN negative x', 'chosen'),
    node('Cast', 'chosen', 'wide', { integers: { to: 11 } }),
    node('Cast', 'wide', 'half', { integers: { to: 10 } }),
    node('Cast', 'half', 'back', { integers: { to: 1 } }),
    node('TopK', 'back four', 'largest places', { integers: { sorted: 1 } }),
    node('Pow', 'x power', 'powered'),
    node('Sin', 'x', 'sine'),
    node('Clip', 'negative low high', 'clipped'),
    node('Relu', 'negative', 'rectified'),
    node('Sigmoid', 'negative', 'squashed'),
    node('ReduceMax', 'powered', 'peak', { integers: { keepdims: 0 } }),
    node('Softmax', 'x', 'shares'),
    node('Tanh', 'chosen', 'tangent'),
    node('Abs', 'negative', 'size'),
    node('Mod', 'x zero', 'rest', { integers: { fmod: 1 } }),
    node('Concat', 'difference quotient root logarithm negative most least', 'y', { integers: { axis: 0 } }),
    node('Concat', 'chosen largest sine clipped rectified squashed shares tangent size rest', 'z', {
      integers: { axis: 0 },
    }),
  ]
  return {
    inputs: [value('x', 'float32', ['n'])],
    outputs: values('y:1 z:1 places:1:int64 peak:0'),
    nodes,
    initializers: [
      constant('zero', [], [0]),
      constant('four', [1], [4], 'int64'),
      constant('power', [], [0.5]),
      constant('low', [], [-1]),
      constant('high', [], [1]),
    ],
  }
}

function nanOf(dtype: 'float64' | 'float16'): OnnxGraph {
  return {
    inputs: [value('x', dtype, ['n'])],
    outputs: values(`y:1:${dtype} z:1:${dtype}`),
    nodes: [
      node('Sub', 'x x', 'a'),
      node('Neg', 'a', 'b'),
      node('Sqrt', 'x', 'c'),
      node('Concat', 'a b c x', 'y', { integers: { axis: 0 } }),
      node('Identity', 'x', 'z'),
    ],
  }
}

function halves(): OnnxGraph {
  const half = (name: string, dims: readonly number[], scale = 1): OnnxTensor =>
    constant(name, dims, createSamples(name.length).floats(product(dims), scale), 'float16')
  return {
    inputs: [value('x', 'float16', ['n', 33])],
    outputs: values('y:2:float16'),
    nodes: [
      node('MatMul', 'x weights', 'a'),
      node('Add', 'a bias', 'b'),
      node('Relu', 'b', 'c'),
      node('LayerNormalization', 'c scale shift', 'd'),
      node('Gemm', 'd square shift', 'e', { floats: { alpha: 0.5 }, integers: { transB: 1 } }),
      node('Sigmoid', 'e', 'f'),
      node('Mul', 'e f', 'g'),
      node('Softmax', 'g', 'h'),
      node('ReduceMean', 'h', 'm', { integers: { axes: [-1] } }),
      node('Sub', 'h m', 'i'),
      node('Transpose', 'i', 'j'),
      node('Erf', 'j', 'y'),
    ],
    initializers: [
      half('weights', [33, 17], 0.3),
      half('bias', [17]),
      half('scale', [17]),
      half('shift', [17]),
      half('square', [17, 17], 0.2),
    ],
  }
}

/** Optional operands left out in the middle and at the end; outputs left out in front; both directions. */
function lstm(): OnnxGraph {
  const hidden = { integers: { hidden_size: 4 } }
  const both = { integers: { hidden_size: 4 }, strings: { direction: 'bidirectional' } }
  return {
    inputs: [value('x', 'float32', ['t', 'b', 3])],
    outputs: values('a:4 b:3 c:3 d:4 e:3'),
    nodes: [
      node('LSTM', 'x w r', 'a', hidden),
      node('LSTM', 'x w r bias - - cell', '- b', hidden),
      node('LSTM', 'x w r - lengths', '- - c', hidden),
      node('LSTM', 'x ww rr bbias - - - peep', 'd - e', both),
    ],
    initializers: [
      weights('w', [1, 16, 3]),
      weights('r', [1, 16, 4]),
      weights('bias', [1, 32]),
      weights('cell', [1, 2, 4]),
      weights('ww', [2, 16, 3]),
      weights('rr', [2, 16, 4]),
      weights('bbias', [2, 32]),
      weights('peep', [2, 12]),
      constant('lengths', [2], [5, 3], 'int32'),
    ],
  }
}

function gru(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', ['t', 'b', 3])],
    outputs: values('y:4 z:3 h:3'),
    nodes: [
      node('GRU', 'x w r - - h0', 'y h', { integers: { hidden_size: 4, linear_before_reset: 1 } }),
      node('GRU', 'x w r bias', '- z', {
        integers: { hidden_size: 4 },
        floats: { clip: 0.8 },
        strings: { direction: 'reverse', activations: ['Sigmoid', 'Relu'] },
      }),
    ],
    initializers: [
      weights('w', [1, 12, 3]),
      weights('r', [1, 12, 4]),
      weights('h0', [1, 2, 4]),
      weights('bias', [1, 24]),
    ],
  }
}

function dynamicQuantised(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', ['n', 37])],
    outputs: values('y:2'),
    nodes: [
      node('DynamicQuantizeLinear', 'x', 'q scale zero'),
      node('MatMulInteger', 'q weights zero weightsZero', 'sum'),
      node('Cast', 'sum', 'single', { integers: { to: 1 } }),
      node('Mul', 'scale weightsScale', 'both'),
      node('Mul', 'single both', 'y'),
    ],
    initializers: [
      constant('weights', [37, 11], createSamples(3).integers(407, -127, 128), 'int8'),
      constant('weightsZero', [], [1], 'int8'),
      constant('weightsScale', [], [0.013]),
    ],
  }
}

function quantised(): OnnxGraph {
  return {
    inputs: [value('x', 'float32', ['n', 37])],
    outputs: values('y:2'),
    nodes: [
      node('QuantizeLinear', 'x scale zero', 'q'),
      node('QLinearMatMul', 'q scale zero weights weightsScale weightsZero outScale outZero', 'r'),
      node('DequantizeLinear', 'r outScale outZero', 'y'),
    ],
    initializers: [
      constant('scale', [], [0.016]),
      constant('zero', [], [127], 'uint8'),
      constant('weights', [37, 11], createSamples(3).integers(407, 0, 256), 'uint8'),
      constant('weightsScale', [], [0.008]),
      constant('weightsZero', [], [131], 'uint8'),
      constant('outScale', [], [0.09]),
      constant('outZero', [], [120], 'uint8'),
    ],
  }
}

function convolutionInteger(): OnnxGraph {
  return {
    inputs: [value('x', 'uint8', ['n', 2, 'h', 'w'])],
    outputs: values('y:4:int32'),
    nodes: [
      node('ConvInteger', 'x weights zero', 'y', { integers: { pads: [1, 0, 1, 1], strides: [2, 1] } }),
    ],
    initializers: [
      constant('weights', [3, 2, 3, 3], createSamples(3).integers(54, 0, 256), 'uint8'),
      constant('zero', [], [128], 'uint8'),
    ],
  }
}

function product(dims: readonly number[]): number {
  return dims.reduce((all, dim) => all * dim, 1)
}
