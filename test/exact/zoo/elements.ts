/** Operators that work on each element by itself. */
import {
  awkward,
  type Case,
  type Cases,
  exactly,
  given,
  isFloat,
  type Operand,
  some,
  told,
  type Zoo,
} from './case.ts'

/** One operand: a scalar, an odd length, one below and one above a SIMD register, more than one axis. */
function unary(node?: Case['node'], range: { least?: number; end?: number } = {}): Cases {
  return (_, dtype) =>
    [
      some(dtype, [], range),
      some(dtype, [3], range),
      some(dtype, [5, 1, 7], range),
      some(dtype, [67], range),
      ...(range.least === undefined ? [awkward(dtype, 19)] : []),
    ].map((operand) => (node === undefined ? given(operand) : told(node, operand)))
}

/** Two operands that are broadcast against each other in every way. */
function binary(node?: Case['node'], second: { least?: number; end?: number } = {}): Cases {
  return (_, dtype) => {
    const pairs: [Operand, Operand][] = [
      [some(dtype, [3, 1, 17]), some(dtype, [5, 1], { ...second, seed: 1 })],
      [some(dtype, []), some(dtype, [7], { ...second, seed: 1 })],
      [some(dtype, [2, 19]), some(dtype, [19], { ...second, seed: 1 })],
      [some(dtype, [13]), some(dtype, [13], { ...second, seed: 1 })],
      [some(dtype, [0, 3]), some(dtype, [1], { ...second, seed: 1 })],
    ]
    if (isFloat(dtype)) pairs.push([awkward(dtype, 19), some(dtype, [], { ...second, seed: 2 })])
    return pairs.map((pair) => (node === undefined ? given(...pair) : told(node, ...pair)))
  }
}

/** Any number of operands. */
const variadic: Cases = (_, dtype) => [
  given(some(dtype, [9])),
  given(some(dtype, [3, 5]), some(dtype, [5], { seed: 1 })),
  given(some(dtype, [2, 1, 7]), some(dtype, [3, 1], { seed: 1 }), some(dtype, [], { seed: 2 })),
  ...(isFloat(dtype) ? [given(awkward(dtype, 11), some(dtype, [11], { seed: 3 }))] : []),
]

const logic: Cases = (_, dtype) => [
  given(some(dtype, [3, 1, 5]), some(dtype, [5, 1], { seed: 1 })),
  given(some(dtype, [17]), some(dtype, [], { seed: 2 })),
]

const bits = binary()
const compare = binary()
const activation = (floats: Readonly<Record<string, number>>): Cases => {
  const [plain, tuned] = [unary(), unary({ floats })]
  return (opset, dtype) => [...plain(opset, dtype), ...tuned(opset, dtype)]
}

export const ELEMENT_ZOO: Zoo = {
  Abs: unary(),
  Add: binary(),
  BitShift: (opset, dtype) =>
    ['LEFT', 'RIGHT'].flatMap((direction) =>
      binary({ strings: { direction } }, { least: 0, end: 4 })(opset, dtype),
    ),
  BitwiseAnd: bits,
  BitwiseNot: unary(),
  BitwiseOr: bits,
  BitwiseXor: bits,
  Ceil: unary(),
  Clip: clip,
  Div: binary(undefined, { least: 1, end: 5 }),
  Exp: unary(),
  Floor: unary(),
  Log: unary(),
  Max: variadic,
  Mean: variadic,
  Min: variadic,
  Mod: (opset, dtype) =>
    binary({ integers: { fmod: isFloat(dtype) ? 1 : 0 } }, { least: 1, end: 5 })(opset, dtype),
  Mul: binary(),
  Neg: unary(),
  Pow: power,
  Reciprocal: unary(),
  Round: unary(),
  Sign: unary(),
  Sqrt: unary(),
  Sub: binary(),
  Sum: variadic,

  Acos: unary(),
  Acosh: unary(),
  Asin: unary(),
  Asinh: unary(),
  Atan: unary(),
  Atanh: unary(),
  Cos: unary(),
  Cosh: unary(),
  Sin: unary(),
  Sinh: unary(),
  Tan: unary(),
  Tanh: unary(),

  And: logic,
  Equal: compare,
  Greater: compare,
  GreaterOrEqual: compare,
  IsInf: (opset, dtype) => [
    ...unary()(opset, dtype),
    ...unary({ integers: { detect_negative: 0 } })(opset, dtype),
  ],
  IsNaN: unary(),
  Less: compare,
  LessOrEqual: compare,
  Not: unary(),
  Or: logic,
  Where: (_, dtype) => [
    given(
      some('bool', [3, 1, 5]),
      some(dtype, [5]),
      some(dtype, [7, 1], { seed: 1 }).dims.length === 2 ? some(dtype, [3, 1, 1], { seed: 1 }) : undefined,
    ),
    given(some('bool', [17]), some(dtype, [17]), some(dtype, [], { seed: 1 })),
    given(some('bool', [19]), awkward(dtype, 19), some(dtype, [19], { seed: 2 })),
  ],
  Xor: logic,

  Celu: activation({ alpha: 0.7 }),
  Elu: activation({ alpha: 0.7 }),
  Erf: unary(),
  Gelu: (opset, dtype) => [
    ...unary()(opset, dtype),
    ...unary({ strings: { approximate: 'tanh' } })(opset, dtype),
  ],
  HardSigmoid: activation({ alpha: 0.3, beta: 0.4 }),
  HardSwish: unary(),
  LeakyRelu: activation({ alpha: 0.2 }),
  Mish: unary(),
  PRelu: binary(),
  Relu: unary(),
  Selu: activation({ alpha: 1.5, gamma: 1.1 }),
  Sigmoid: unary(),
  Softplus: unary(),
  Softsign: unary(),
  ThresholdedRelu: activation({ alpha: 0.5 }),

  Cast: (_, dtype) => CAST_TARGETS.map((to) => told({ integers: { to } }, some(dtype, [2, 9]))),
  CastLike: (_, dtype) => [
    ...(['float16', 'float32', 'float64', 'int8', 'int32', 'int64', 'uint8', 'uint64', 'bool'] as const).map(
      (like) => given(some(dtype, [3, 5], { least: 0 }), some(like, [1])),
    ),
  ],
}

/** Every element type that travels, by ONNX' number. */
const CAST_TARGETS = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13]

function clip(opset: number, dtype: Parameters<Cases>[1]): readonly Case[] {
  const operands = [some(dtype, [5, 7]), awkward(dtype, 17)]
  if (opset < 11) return operands.map((one) => told({ floats: { min: 0.5, max: 3 } }, one))
  const [least, most] = [exactly(dtype, [], [1]), exactly(dtype, [], [4])]
  return operands.flatMap((one) => [
    given(one, least, most),
    given(one, undefined, most),
    given(one, least),
    given(one),
  ])
}

function power(opset: number, dtype: Parameters<Cases>[1]): readonly Case[] {
  const least = isFloat(dtype) ? 0.25 : 0
  const cases = [...binary(undefined, { least, end: 3 })(opset, dtype)]
  for (const exponent of [2, 3, 0, 1]) cases.push(given(some(dtype, [11]), exactly(dtype, [], [exponent])))
  if (isFloat(dtype)) cases.push(given(some(dtype, [11]), exactly(dtype, [1], [0.5])))
  if (opset >= 12) cases.push(given(some(dtype, [9]), exactly('float32', [], [2])))
  return cases
}
