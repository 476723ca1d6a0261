/** Operators that make less of much, search and sort. */
import type { DType } from '../../../models/tensor/index.ts'
import {
  awkward,
  type Case,
  type Cases,
  exactly,
  given,
  isFloat,
  longs,
  some,
  told,
  type Zoo,
} from './case.ts'

/** `axesFrom` is the version from which the axes are an operand; before, an attribute. */
function reduction(axesFrom: number): Cases {
  return (opset, dtype) => {
    const shapes = [[3, 5, 7], [67], [2, 1, 33]]
    const cases: Case[] = []
    for (const dims of shapes) {
      const x = some(dtype, dims)
      for (const keepdims of [0, 1]) {
        cases.push(told({ integers: { keepdims } }, x))
        for (const axes of [
          [-1],
          [0],
          ...(dims.length === 3
            ? [
                [0, 2],
                [1, -1],
              ]
            : []),
        ]) {
          cases.push(
            opset >= axesFrom
              ? told({ integers: { keepdims } }, x, longs(...axes))
              : told({ integers: { keepdims, axes } }, x),
          )
        }
      }
    }
    if (opset >= axesFrom) cases.push(told({ integers: { noop_with_empty_axes: 1 } }, some(dtype, [3, 4])))
    if (isFloat(dtype)) cases.push(given(awkward(dtype, 19)))
    return cases
  }
}

const arg: Cases = (opset, dtype) =>
  [[3, 5, 7], [67]].flatMap((dims) =>
    [-1, 0].flatMap((axis) =>
      [0, 1].flatMap((flag) => [
        told({ integers: { axis, keepdims: flag } }, some(dtype, dims, { end: 3 })),
        ...(opset >= 12
          ? [told({ integers: { axis, select_last_index: flag } }, some(dtype, dims, { end: 3 }))]
          : []),
      ]),
    ),
  )

const share: Cases = (_, dtype) => [
  given(some(dtype, [3, 7])),
  told({ integers: { axis: 0 } }, some(dtype, [5, 3])),
  told({ integers: { axis: 1 } }, some(dtype, [2, 5, 3])),
  told({ integers: { axis: -1 } }, some(dtype, [3, 67])),
  told({ integers: { axis: -1 } }, awkward(dtype, 19)),
]

export const REDUCTION_ZOO: Zoo = {
  ArgMax: arg,
  ArgMin: arg,
  CumSum: (_, dtype) => {
    // The axis is a whole number; the type under test may be the axis' own.
    const axis = (at: number) => exactly(dtype === 'int32' ? 'int32' : 'int64', [], [at])
    return [0, 1].flatMap((exclusive) =>
      [0, 1].flatMap((reverse) => [
        told({ integers: { exclusive, reverse } }, some(dtype, [3, 7]), axis(1)),
        told({ integers: { exclusive, reverse } }, some(dtype, [5, 2, 3]), axis(-3)),
      ]),
    )
  },
  Hardmax: share,
  LogSoftmax: share,
  NonMaxSuppression: () => {
    const boxes = exactly(
      'float32',
      [1, 5, 4],
      [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, -0.1, 1, 0.9, 0, 10, 1, 11, 0, 10.1, 1, 11.1],
    )
    const scores = exactly('float32', [1, 2, 5], [0.9, 0.75, 0.6, 0.95, 0.5, 0.3, 0.9, 0.9, 0.1, 0.95])
    const score = exactly('float32', [1], [0.2])
    return [
      given(boxes, scores, longs(3), exactly('float32', [1], [0.5]), score),
      told({ integers: { center_point_box: 1 } }, boxes, scores, longs(2), exactly('float32', [1], [0.4])),
      given(boxes, scores, longs(1)),
    ]
  },
  NonZero: (_, dtype) => [
    given(some(dtype, [5, 7], { least: 0, end: 2 })),
    given(some(dtype, [17], { least: 0, end: 2 })),
    given(exactly(dtype, [1], [1])),
  ],
  ReduceL1: reduction(18),
  ReduceL2: reduction(18),
  ReduceLogSum: (opset, dtype) => reduction(18)(opset, dtype).map(positive),
  ReduceLogSumExp: reduction(18),
  ReduceMax: reduction(18),
  ReduceMean: reduction(18),
  ReduceMin: reduction(18),
  ReduceProd: reduction(18),
  ReduceSum: reduction(13),
  ReduceSumSquare: reduction(18),
  Softmax: share,
  TopK: topK,
  Unique: (_, dtype) =>
    [0, 1].flatMap((sorted) => [
      { ...told({ integers: { sorted } }, some(dtype, [17], { least: 0, end: 5 })), outputs: 4 },
      { ...told({ integers: { sorted, axis: 0 } }, some(dtype, [6, 2], { least: 0, end: 2 })), outputs: 4 },
    ]),
}

/** The logarithm of a sum wants one above zero. */
function positive(one: Case): Case {
  const [x, ...rest] = one.operands
  return { ...one, operands: [some(x!.dtype, x!.dims, { least: 1, end: 6 }), ...rest] }
}

function topK(opset: number, dtype: DType): readonly Case[] {
  const cases: Case[] = []
  for (const [dims, axis, k] of [
    [[3, 17], -1, 4],
    [[7, 2], 0, 7],
    [[5, 4, 3], 1, 1],
  ] as const) {
    const x = some(dtype, dims, { end: 4 })
    if (opset < 10) cases.push({ ...told({ integers: { axis, k } }, x), outputs: 2 })
    else if (opset < 11) cases.push({ ...told({ integers: { axis } }, x, longs(k)), outputs: 2 })
    else {
      for (const [largest, sorted] of [
        [0, 1],
        [1, 0],
        [1, 1],
      ] as const) {
        cases.push({ ...told({ integers: { axis, largest, sorted } }, x, longs(k)), outputs: 2 })
      }
    }
  }
  if (opset >= 11 && isFloat(dtype)) cases.push({ ...given(awkward(dtype, 19), longs(6)), outputs: 2 })
  return cases
}
