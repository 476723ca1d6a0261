/** Operators on quantised numbers, of ONNX' own domain and of Microsoft's. */
import type { DType } from '../../../models/tensor/index.ts'
import { type Case, exactly, given, isFloat, type Operand, some, told, type Zoo } from './case.ts'

const BYTES = ['uint8', 'int8'] as const
type Byte = (typeof BYTES)[number]

function isByte(dtype: DType): dtype is Byte {
  return dtype === 'uint8' || dtype === 'int8'
}

const bytes = (dtype: DType, dims: readonly number[], seed: number): Operand =>
  some(dtype, dims, dtype === 'uint8' ? { least: 0, end: 256, seed } : { least: -128, end: 128, seed })

const scale = (value: number, of: DType = 'float32') => exactly(of, [], [value])

/** Pairs of element types of which one is `dtype`. */
const pairs = (dtype: DType): readonly (readonly [Byte, Byte])[] =>
  isByte(dtype)
    ? BYTES.flatMap((other) => [[dtype, other] as const, [other, dtype] as const])
    : [['uint8', 'int8']]

export const QUANTISED_ZOO: Zoo = {
  ConvInteger: (_, dtype) =>
    pairs(dtype).flatMap(([left, right]) => {
      const [x, w] = [bytes(left, [1, 2, 9, 7], 1), bytes(right, [3, 2, 3, 3], 2)]
      const integers = { pads: [1, 0, 1, 1], strides: [2, 1] }
      return [
        given(x, w),
        told({ integers }, x, w, exactly(left, [], [3])),
        given(x, w, exactly(left, [], [3]), exactly(right, [], [0])),
      ]
    }),
  DequantizeLinear: dequantise,
  DynamicQuantizeLinear: () => [
    { ...given(some('float32', [3, 17])), outputs: 3 },
    { ...given(some('float32', [5], { least: 1, end: 9 })), outputs: 3 },
    { ...given(exactly('float32', [4], [0, 0, 0, 0])), outputs: 3 },
  ],
  MatMulInteger: (_, dtype) =>
    pairs(dtype).flatMap(([left, right]) => {
      const [a, b] = [bytes(left, [3, 17], 1), bytes(right, [17, 5], 2)]
      const wide = given(bytes(left, [2, 3, 33], 3), bytes(right, [2, 33, 7], 4), exactly(left, [], [3]))
      return [given(a, b), given(a, b, exactly(left, [], [3]), exactly(right, [], [1])), wide]
    }),
  QLinearConv: (_, dtype) =>
    pairs(dtype).flatMap(([left, right]) => {
      const head = [bytes(left, [1, 2, 9, 7], 1), scale(0.02), exactly(left, [], [3])] as const
      const weights = [bytes(right, [4, 2, 3, 3], 2), scale(0.01), exactly(right, [], [0])] as const
      const tail = [scale(0.5), exactly(left, [], [5])] as const
      const bias = some('int32', [4], { least: -900, end: 900 })
      const channelwise = [
        exactly('float32', [4], [0.01, 0.02, 0.015, 0.03]),
        exactly(right, [4], [0, 0, 0, 0]),
      ]
      return [
        given(...head, ...weights, ...tail),
        told({ integers: { pads: [1, 1, 1, 1] } }, ...head, ...weights, ...tail, bias),
        given(...head, weights[0], ...channelwise, ...tail, bias),
      ]
    }),
  QLinearMatMul: (_, dtype) =>
    pairs(dtype).map(([left, right]) =>
      given(
        bytes(left, [3, 17], 1),
        scale(0.02),
        exactly(left, [], [3]),
        bytes(right, [17, 5], 2),
        scale(0.01),
        exactly(right, [], [0]),
        scale(0.4),
        exactly(left, [], [5]),
      ),
    ),
  QuantizeLinear: quantise,
}

function dequantise(opset: number, dtype: DType): readonly Case[] {
  // Of a float type: the scale's.
  const of = isFloat(dtype) ? 'uint8' : dtype
  const float = isFloat(dtype) ? dtype : 'float32'
  const zero = of === 'int32' ? 0 : 2
  const x = some(of, [3, 5, 7], { least: of.startsWith('u') ? 0 : -100, end: 100 })
  const cases = [given(x, scale(0.02, float)), given(x, scale(0.02, float), exactly(of, [], [zero]))]
  if (opset >= 13) {
    const scales = some(float, [5], { least: 0.01, end: 0.1 })
    cases.push(told({ integers: { axis: 1 } }, x, scales, exactly(of, [5], Array(5).fill(zero))))
    cases.push(told({ integers: { axis: -2 } }, x, scales))
  }
  if (opset >= 21) {
    const scales = some(float, [3, 3, 7], { least: 0.01, end: 0.1 })
    cases.push(told({ integers: { axis: 1, block_size: 2 } }, x, scales))
  }
  return cases
}

function quantise(opset: number, dtype: DType): readonly Case[] {
  const float = dtype === 'float16' ? 'float16' : 'float32'
  const target = isFloat(dtype) ? 'uint8' : dtype
  const x = some(float, [3, 5, 7], { least: -9, end: 9 })
  const zero = exactly(target, [], [3])
  const cases = [given(x, scale(0.05, float), zero)]
  if (target === 'uint8') cases.push(given(x, scale(0.05, float)))
  if (opset >= 13) {
    const scales = some(float, [5], { least: 0.01, end: 0.1 })
    cases.push(told({ integers: { axis: 1 } }, x, scales, exactly(target, [5], [1, 2, 3, 4, 5])))
  }
  if (opset >= 21) {
    const scales = some(float, [3, 3, 7], { least: 0.01, end: 0.1 })
    cases.push(
      told({ integers: { axis: 1, block_size: 2 } }, x, scales, some(target, [3, 3, 7], { least: 0 })),
    )
    if (isFloat(dtype)) cases.push(told({ integers: { output_dtype: 4 } }, x, scale(0.05, float)))
  }
  return cases
}

/** Blocks of 32 along K; the columns are N. */
export const MICROSOFT_ZOO: Zoo = {
  MatMulNBits: (_, dtype) => {
    const of: DType = dtype === 'float16' ? 'float16' : 'float32'
    const [K, N, block] = [70, 5, 32]
    const blocks = Math.ceil(K / block)
    const a = some(of, [3, K])
    const b = bytes('uint8', [N, blocks, block / 2], 1)
    const scales = some(of, [N * blocks], { least: 0.01, end: 0.1 })
    const zeros = bytes('uint8', [N * Math.ceil(blocks / 2)], 2)
    const order = exactly(
      'int32',
      [blocks * block],
      Array.from({ length: blocks * block }, (_, at) => Math.floor(at / block)),
    )
    const integers = { K, N, bits: 4, block_size: block }
    const cases = [0, 1].flatMap((accuracy_level) => [
      told({ integers: { ...integers, accuracy_level } }, a, b, scales),
      told({ integers: { ...integers, accuracy_level } }, a, b, scales, zeros),
    ])
    if (dtype === 'int32') return [told({ integers }, a, b, scales, zeros, order)]
    return cases
  },
}
