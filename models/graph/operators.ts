/**
 * The operators that the exact lane executes: those whose outputs follow, bit by bit, from their operands and attributes,
 * when the pinned engine runs them alone and on one thread. An entry is earned by being re-executed so
 * (`bench/exact/operators.ts` does it, for every version and every element type); take out what fails.
 *
 * Each has the versions of its domain's operator set that it is listed for, as a model imports them, and the element types
 * that any of its operands may have. `Constant` needs no entry: it is no step. What is random, keeps state or works on
 * sequences, maps, optionals or text has none, and a reason in `REFUSED` where people will ask.
 */
import type { DType } from '../tensor/index.ts'

export interface ListedOperator {
  readonly opsetFirst: number
  readonly opsetLast: number
  readonly dtypes: ReadonlySet<DType>
}

/** The entry of an operator; ONNX' own domain is the empty one. */
export function listedOperator(domain: string, type: string): ListedOperator | undefined {
  const table = TABLES.get(domain)
  if (table === undefined || !Object.hasOwn(table, type)) return undefined
  const [opsetFirst, opsetLast, ...dtypes] = table[type]!
  return { opsetFirst, opsetLast, dtypes: new Set(dtypes) }
}

/** Every entry, for whoever earns the list. */
export function listedOperators(): (ListedOperator & { readonly domain: string; readonly type: string })[] {
  return [...TABLES].flatMap(([domain, table]) =>
    Object.keys(table).map((type) => ({ domain, type, ...listedOperator(domain, type)! })),
  )
}

/** Why an operator that is not listed never will be; undefined where it merely is not listed. */
export function refusalOf(domain: string, type: string): string | undefined {
  if (domain !== '') return undefined
  return REFUSED.find(([types]) => types.includes(type))?.[1]
}

type Row = readonly [opsetFirst: number, opsetLast: number, ...dtypes: readonly DType[]]

/** The engine computes halves in single precision, one operator at a time. */
const HALF_SINGLE = ['float16', 'float32'] as const
const FLOATS = [...HALF_SINGLE, 'float64'] as const
const WORDS = ['int32', 'int64'] as const
const BYTES = ['int8', 'uint8'] as const
const UNSIGNED = ['uint8', 'uint16', 'uint32', 'uint64'] as const
const INTEGERS = ['int8', 'int16', ...WORDS, ...UNSIGNED] as const
const NUMBERS = [...FLOATS, ...INTEGERS] as const
const ANY = [...NUMBERS, 'bool'] as const

const ONNX: Readonly<Record<string, Row>> = {
  // Arithmetic, element by element.
  Abs: [7, 21, ...NUMBERS],
  Add: [7, 21, ...FLOATS, ...WORDS],
  BitShift: [11, 21, 'uint8', 'uint32', 'uint64'],
  BitwiseAnd: [18, 21, ...INTEGERS],
  BitwiseNot: [18, 21, ...INTEGERS],
  BitwiseOr: [18, 21, ...INTEGERS],
  BitwiseXor: [18, 21, ...INTEGERS],
  Ceil: [7, 21, ...FLOATS],
  Clip: [7, 21, ...FLOATS, ...WORDS, ...BYTES, 'uint32', 'uint64'],
  Div: [7, 21, ...FLOATS, ...WORDS],
  Exp: [7, 21, ...FLOATS],
  Floor: [7, 21, ...FLOATS],
  Log: [7, 21, ...FLOATS],
  Max: [8, 21, ...FLOATS, ...WORDS, 'uint32', 'uint64'],
  Mean: [8, 21, ...HALF_SINGLE],
  Min: [8, 21, ...FLOATS, ...WORDS, 'uint32', 'uint64'],
  Mod: [10, 21, ...NUMBERS],
  Mul: [7, 21, ...FLOATS, ...WORDS],
  Neg: [7, 21, ...FLOATS, ...WORDS, 'int8'],
  Pow: [7, 21, ...FLOATS, ...WORDS],
  Reciprocal: [7, 21, ...FLOATS],
  Round: [11, 21, ...FLOATS],
  Sign: [9, 21, ...NUMBERS],
  Sqrt: [7, 21, ...FLOATS],
  Sub: [7, 21, ...FLOATS, ...WORDS],
  Sum: [8, 21, ...FLOATS],

  // Trigonometry.
  Acos: [7, 21, ...HALF_SINGLE],
  Acosh: [9, 21, ...HALF_SINGLE],
  Asin: [7, 21, ...HALF_SINGLE],
  Asinh: [9, 21, ...HALF_SINGLE],
  Atan: [7, 21, ...HALF_SINGLE],
  Atanh: [9, 21, ...HALF_SINGLE],
  Cos: [7, 21, ...FLOATS],
  Cosh: [9, 21, ...HALF_SINGLE],
  Sin: [7, 21, ...FLOATS],
  Sinh: [9, 21, ...HALF_SINGLE],
  Tan: [7, 21, ...HALF_SINGLE],
  Tanh: [7, 21, ...FLOATS],

  // Comparison and logic.
  And: [7, 21, 'bool'],
  Equal: [7, 21, ...FLOATS, ...WORDS, 'bool'],
  Greater: [7, 21, ...FLOATS, ...WORDS],
  GreaterOrEqual: [12, 21, ...FLOATS, ...WORDS],
  IsInf: [10, 21, ...FLOATS],
  IsNaN: [9, 21, ...FLOATS],
  Less: [7, 21, ...FLOATS, ...WORDS],
  LessOrEqual: [12, 21, ...FLOATS, ...WORDS],
  Not: [7, 21, 'bool'],
  Or: [7, 21, 'bool'],
  Where: [9, 21, ...FLOATS, ...WORDS, 'uint8', 'bool'],
  Xor: [7, 21, 'bool'],

  // Activation.
  Celu: [12, 21, 'float32'],
  Elu: [7, 21, ...HALF_SINGLE],
  Erf: [9, 21, ...HALF_SINGLE],
  Gelu: [20, 21, ...HALF_SINGLE],
  HardSigmoid: [7, 21, ...HALF_SINGLE],
  HardSwish: [14, 21, ...HALF_SINGLE],
  Hardmax: [7, 21, ...HALF_SINGLE],
  LeakyRelu: [7, 21, ...HALF_SINGLE],
  LogSoftmax: [7, 21, ...FLOATS],
  Mish: [18, 21, ...HALF_SINGLE],
  PRelu: [7, 21, ...HALF_SINGLE],
  Relu: [7, 21, ...FLOATS, 'int32', 'int8'],
  Selu: [7, 21, ...HALF_SINGLE],
  Sigmoid: [7, 21, ...FLOATS],
  Softmax: [7, 21, ...FLOATS],
  Softplus: [7, 21, ...HALF_SINGLE],
  Softsign: [7, 21, ...HALF_SINGLE],
  ThresholdedRelu: [10, 21, ...HALF_SINGLE],

  // Products, convolution, pooling, recurrence.
  AveragePool: [7, 21, ...HALF_SINGLE],
  Conv: [7, 21, ...HALF_SINGLE],
  ConvTranspose: [7, 21, ...HALF_SINGLE],
  Einsum: [12, 21, ...FLOATS, ...WORDS],
  GRU: [7, 21, ...HALF_SINGLE, 'int32'],
  Gemm: [7, 21, ...FLOATS],
  GlobalAveragePool: [7, 21, ...HALF_SINGLE],
  GlobalMaxPool: [7, 21, ...HALF_SINGLE],
  LSTM: [7, 21, ...HALF_SINGLE, 'int32'],
  LpPool: [7, 21, ...HALF_SINGLE],
  MatMul: [7, 21, ...FLOATS, ...WORDS, 'uint32', 'uint64'],
  MaxPool: [7, 21, ...FLOATS, ...BYTES],
  RNN: [7, 21, ...HALF_SINGLE, 'int32'],
  RoiAlign: [10, 21, ...HALF_SINGLE, 'int64'],

  // Normalisation.
  BatchNormalization: [7, 21, ...FLOATS],
  Dropout: [7, 21, ...FLOATS],
  GroupNormalization: [21, 21, ...HALF_SINGLE],
  InstanceNormalization: [7, 21, ...HALF_SINGLE],
  LRN: [7, 21, ...HALF_SINGLE],
  LayerNormalization: [17, 21, ...FLOATS],
  LpNormalization: [7, 21, ...FLOATS],
  MeanVarianceNormalization: [9, 21, ...HALF_SINGLE],

  // Reduction, search, order.
  ArgMax: [7, 21, ...FLOATS, 'int32', ...BYTES],
  ArgMin: [7, 21, ...FLOATS, 'int32', ...BYTES],
  CumSum: [11, 21, ...FLOATS, ...WORDS],
  NonMaxSuppression: [10, 21, 'float32', 'int64'],
  NonZero: [9, 21, 'float32', ...WORDS, 'uint8', 'bool'],
  ReduceL1: [7, 21, ...HALF_SINGLE, ...WORDS],
  ReduceL2: [7, 21, ...HALF_SINGLE, ...WORDS],
  ReduceLogSum: [7, 21, ...HALF_SINGLE, ...WORDS],
  ReduceLogSumExp: [7, 21, ...FLOATS, ...WORDS],
  ReduceMax: [7, 21, ...FLOATS, ...WORDS, ...BYTES, 'bool'],
  ReduceMean: [7, 21, ...FLOATS, ...WORDS],
  ReduceMin: [7, 21, ...FLOATS, ...WORDS, ...BYTES, 'bool'],
  ReduceProd: [7, 21, ...HALF_SINGLE, ...WORDS],
  ReduceSum: [7, 21, ...FLOATS, ...WORDS],
  ReduceSumSquare: [7, 21, ...FLOATS, ...WORDS],
  TopK: [7, 21, ...FLOATS, ...WORDS],
  Unique: [11, 21, 'float32', 'float64', 'int64', 'int8'],

  // Shape, selection, layout.
  Cast: [7, 21, ...ANY],
  CastLike: [15, 21, ...ANY],
  CenterCropPad: [18, 21, ...FLOATS, ...WORDS, ...BYTES, 'uint32', 'uint64', 'bool'],
  Compress: [9, 21, ...ANY],
  Concat: [7, 21, ...ANY],
  ConstantOfShape: [9, 21, 'int64'],
  DepthToSpace: [7, 21, ...FLOATS, 'uint8'],
  Expand: [8, 21, ...ANY],
  EyeLike: [9, 21, ...FLOATS, ...WORDS, 'uint64'],
  Flatten: [7, 21, ...ANY],
  Gather: [7, 21, ...ANY],
  GatherElements: [11, 21, ...ANY],
  GatherND: [11, 21, ...ANY],
  GridSample: [16, 21, ...HALF_SINGLE],
  Identity: [7, 21, ...ANY],
  OneHot: [9, 21, 'float32', ...WORDS],
  Pad: [7, 21, ...FLOATS, ...WORDS, ...BYTES, 'uint32', 'uint64', 'bool'],
  Range: [11, 21, 'float32', 'float64', 'int16', ...WORDS],
  Reshape: [7, 21, ...ANY],
  Resize: [10, 21, ...HALF_SINGLE, ...WORDS, ...BYTES],
  ReverseSequence: [10, 21, ...ANY],
  ScatterElements: [11, 21, ...ANY],
  ScatterND: [11, 21, ...ANY],
  Shape: [7, 21, ...ANY],
  Size: [7, 21, ...ANY],
  Slice: [7, 21, ...ANY],
  SpaceToDepth: [7, 21, ...FLOATS],
  Split: [7, 21, ...ANY],
  Squeeze: [7, 21, ...ANY],
  Tile: [7, 21, ...ANY],
  Transpose: [7, 21, ...ANY],
  Trilu: [14, 21, ...FLOATS, ...WORDS, 'bool'],
  Unsqueeze: [7, 21, ...ANY],
  Upsample: [7, 9, ...HALF_SINGLE, 'int32', ...BYTES],

  // Quantised to whole numbers, where exactness matters most: the native lane is no help there.
  ConvInteger: [10, 21, ...BYTES],
  DequantizeLinear: [10, 21, ...HALF_SINGLE, ...BYTES, 'int16', 'uint16', 'int32'],
  DynamicQuantizeLinear: [11, 21, 'float32'],
  MatMulInteger: [10, 21, ...BYTES],
  QLinearConv: [10, 21, 'float32', ...BYTES, 'int32'],
  QLinearMatMul: [10, 21, 'float32', ...BYTES],
  QuantizeLinear: [10, 21, ...HALF_SINGLE, ...BYTES, 'int16', 'uint16'],

  // Control flow. `If` and `Loop` are steps that decide; a Scan is executed as a whole.
  If: [7, 21, 'bool'],
  Loop: [7, 21, ...ANY],
  Scan: [9, 21, ...ANY],
}

/** Weights in blocks of 4 bits are how language models travel, and no operator of ONNX' own multiplies by them. */
const MICROSOFT: Readonly<Record<string, Row>> = {
  MatMulNBits: [1, 1, ...HALF_SINGLE, 'uint8', 'int32'],
}

const TABLES: ReadonlyMap<string, Readonly<Record<string, Row>>> = new Map([
  ['', ONNX],
  ['com.microsoft', MICROSOFT],
])

const REFUSED: readonly [types: readonly string[], why: string][] = [
  [
    ['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'],
    'it draws random numbers, so that two runs of it differ',
  ],
  [
    [
      'ConcatFromSequence',
      'SequenceAt',
      'SequenceConstruct',
      'SequenceEmpty',
      'SequenceErase',
      'SequenceInsert',
      'SequenceLength',
      'SequenceMap',
      'SplitToSequence',
    ],
    'sequences have no bytes that could be compared',
  ],
  [
    ['Optional', 'OptionalGetElement', 'OptionalHasElement'],
    'optional values have no bytes that could be compared',
  ],
  [
    ['RegexFullMatch', 'StringConcat', 'StringNormalizer', 'StringSplit', 'TfIdfVectorizer', 'ImageDecoder'],
    'it works on text or files, which the exact lane does not know',
  ],
]
