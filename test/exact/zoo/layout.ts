/** Operators that choose, move and repeat elements without computing with them. */
import type { DType } from '../../../models/tensor/index.ts'
import { constant } from '../models/model.ts'
import { type Case, type Cases, exactly, given, isFloat, longs, some, told, type Zoo } from './case.ts'

const plain: Cases = (_, dtype) => [
  given(some(dtype, [])),
  given(some(dtype, [3, 1, 7])),
  given(some(dtype, [0, 2])),
]

export const LAYOUT_ZOO: Zoo = {
  CenterCropPad: (_, dtype) => [
    given(some(dtype, [5, 7]), longs(8, 4)),
    told({ integers: { axes: [-1] } }, some(dtype, [3, 5]), longs(9)),
  ],
  Compress: (_, dtype) => [
    told({ integers: { axis: -1 } }, some(dtype, [3, 5]), exactly('bool', [4], [1, 0, 1, 1])),
    given(some(dtype, [3, 5]), exactly('bool', [7], [1, 0, 1, 1, 0, 0, 1])),
  ],
  Concat: (_, dtype) => [
    told({ integers: { axis: 0 } }, some(dtype, [2, 3]), some(dtype, [5, 3], { seed: 1 })),
    told(
      { integers: { axis: 1 } },
      some(dtype, [3, 1, 2]),
      some(dtype, [3, 4, 2], { seed: 1 }),
      some(dtype, [3, 0, 2]),
    ),
  ],
  ConstantOfShape: () => [
    given(longs(3, 5)),
    given(longs(2, 0)),
    ...(
      [
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
    ).map((dtype) => told({ tensors: { value: constant('', [1], [1], dtype) } }, longs(2, 3))),
  ],
  DepthToSpace: (opset, dtype) => [
    told({ integers: { blocksize: 2 } }, some(dtype, [1, 8, 3, 5])),
    ...(opset >= 11
      ? [told({ integers: { blocksize: 3 }, strings: { mode: 'CRD' } }, some(dtype, [2, 9, 1, 3]))]
      : []),
  ],
  Expand: (_, dtype) => [
    given(some(dtype, [3, 1]), longs(2, 1, 6)),
    given(some(dtype, []), longs(5)),
    given(some(dtype, [4, 1, 3]), longs(1, 7, 1)),
  ],
  EyeLike: (_, dtype) => [
    given(some(dtype, [3, 5])),
    told({ integers: { k: 1 } }, some(dtype, [4, 3])),
    ...[1, 6, 7, 9, 11].map((to) => told({ integers: { dtype: to, k: -1 } }, some(dtype, [3, 3]))),
  ],
  Flatten: (_, dtype) => [
    given(some(dtype, [2, 3, 5])),
    told({ integers: { axis: 0 } }, some(dtype, [2, 3])),
  ],
  Gather: (_, dtype) => [
    given(some(dtype, [5, 3]), longs(4, 0, 2)),
    told({ integers: { axis: -1 } }, some(dtype, [3, 7]), exactly('int32', [2, 2], [6, 0, 3, 1])),
    given(some(dtype, [5]), exactly('int64', [], [3])),
  ],
  GatherElements: (opset, dtype) => [
    told({ integers: { axis: 1 } }, some(dtype, [3, 4]), exactly('int64', [3, 2], [0, 3, 1, 1, 2, 0])),
    given(some(dtype, [7]), exactly('int32', [3], opset >= 11 ? [-1, 2, 0] : [1, 2, 0])),
  ],
  GatherND: (opset, dtype) => [
    given(some(dtype, [3, 4, 2]), exactly('int64', [2, 2], [2, 3, 0, 1])),
    ...(opset >= 12
      ? [told({ integers: { batch_dims: 1 } }, some(dtype, [2, 5]), exactly('int64', [2, 1], [4, 0]))]
      : []),
  ],
  GridSample: gridSample,
  Identity: plain,
  OneHot: (_, dtype) =>
    ONE_HOT.filter((types) => types.includes(dtype)).flatMap(([indices, depth, values]) => [
      given(
        some(indices, [3, 2], { least: 0, end: 4 }),
        exactly(depth, [], [4]),
        exactly(values, [2], [0, 5]),
      ),
      told(
        { integers: { axis: 0 } },
        some(indices, [5], { least: 0, end: 4 }),
        exactly(depth, [1], [4]),
        exactly(values, [2], [1, 2]),
      ),
    ]),
  Pad: pad,
  Range: (_, dtype) => {
    const [from, until, by] = [1, 12, 3].map((one) => exactly(dtype, [], [one]))
    return [given(from, until, by), given(from, from, by)]
  },
  Reshape: (_, dtype) => [
    given(some(dtype, [3, 4]), longs(2, -1)),
    given(some(dtype, [2, 3, 5]), longs(0, 15)),
    given(some(dtype, []), longs(1, 1)),
  ],
  Resize: resize,
  ReverseSequence: (_, dtype) => [
    told({ integers: { batch_axis: 1, time_axis: 0 } }, some(dtype, [5, 3]), longs(2, 5, 1)),
    told({ integers: { batch_axis: 0, time_axis: 1 } }, some(dtype, [2, 4, 3]), longs(4, 3)),
  ],
  ScatterElements: (_, dtype) => [
    given(
      some(dtype, [3, 3]),
      exactly('int64', [2, 3], [1, 0, 2, 0, 2, 1]),
      some(dtype, [2, 3], { seed: 1 }),
    ),
    told(
      { integers: { axis: 1 } },
      some(dtype, [1, 5]),
      exactly('int32', [1, 2], [1, 3]),
      some(dtype, [1, 2], { seed: 1 }),
    ),
  ],
  ScatterND: (_, dtype) => [
    given(some(dtype, [8]), exactly('int64', [4, 1], [4, 3, 1, 7]), some(dtype, [4], { seed: 1 })),
    given(some(dtype, [4, 3, 2]), exactly('int64', [2, 1], [0, 2]), some(dtype, [2, 3, 2], { seed: 1 })),
  ],
  Shape: (opset, dtype) => [
    ...plain(opset, dtype),
    ...(opset >= 15 ? [told({ integers: { start: 1, end: -1 } }, some(dtype, [3, 5, 7, 1]))] : []),
  ],
  Size: plain,
  Slice: slice,
  SpaceToDepth: (_, dtype) => [told({ integers: { blocksize: 2 } }, some(dtype, [2, 3, 4, 6]))],
  Split: split,
  Squeeze: (opset, dtype) => [
    given(some(dtype, [3, 1, 5, 1])),
    opset >= 13
      ? given(some(dtype, [3, 1, 5]), longs(opset >= 11 ? -2 : 1))
      : told({ integers: { axes: [1] } }, some(dtype, [3, 1, 5])),
  ],
  Tile: (_, dtype) => [
    given(some(dtype, [2, 3]), longs(3, 2)),
    given(some(dtype, [5]), longs(1)),
    given(some(dtype, [2, 1, 3]), longs(1, 4, 0)),
  ],
  Transpose: (_, dtype) => [
    given(some(dtype, [3, 5])),
    told({ integers: { perm: [2, 0, 1] } }, some(dtype, [3, 17, 5])),
    told({ integers: { perm: [0, 2, 3, 1] } }, some(dtype, [1, 3, 5, 7])),
  ],
  Trilu: (_, dtype) => [
    given(some(dtype, [3, 5])),
    told({ integers: { upper: 0 } }, some(dtype, [2, 4, 3]), exactly('int64', [], [-1])),
  ],
  Unsqueeze: (opset, dtype) =>
    opset >= 13
      ? [given(some(dtype, [3, 5]), longs(0, -1)), given(some(dtype, []), longs(0))]
      : [told({ integers: { axes: [0, 3] } }, some(dtype, [3, 5]))],
  Upsample: (opset, dtype) =>
    ['nearest', ...(dtype === 'float32' || dtype === 'int32' || dtype === 'uint8' ? ['linear'] : [])].map(
      (mode) => {
        const x = some(dtype, [1, 2, 3, 5])
        const scales = [1, 1, 2, 3]
        return opset >= 9
          ? told({ strings: { mode } }, x, exactly('float32', [4], scales))
          : told({ strings: { mode }, floats: { scales } }, x)
      },
    ),
}

/** Element types of indices, depth and values for which the engine has the operator. */
const ONE_HOT: readonly (readonly [DType, DType, DType])[] = [
  ['int64', 'int64', 'int64'],
  ['float32', 'int64', 'int64'],
  ['int64', 'int64', 'float32'],
  ['float32', 'float32', 'float32'],
  ['int64', 'int32', 'float32'],
  ['int64', 'float32', 'int32'],
  ['int64', 'float32', 'float32'],
  ['int32', 'float32', 'float32'],
  ['int32', 'int32', 'float32'],
  ['float32', 'int64', 'float32'],
]

function gridSample(opset: number, dtype: DType): readonly Case[] {
  const [linear, cubic] = opset >= 20 ? ['linear', 'cubic'] : ['bilinear', 'bicubic']
  const x = some(dtype, [1, 2, 5, 7])
  const grid = some(dtype, [1, 3, 4, 2], { least: -1.4, end: 1.4, seed: 1 })
  const cases = [linear!, cubic!, 'nearest'].flatMap((mode) =>
    ['zeros', 'border', 'reflection'].flatMap((padding_mode) =>
      [0, 1].map((align_corners) =>
        told({ strings: { mode, padding_mode }, integers: { align_corners } }, x, grid),
      ),
    ),
  )
  if (opset < 20) return cases
  const deep = some(dtype, [1, 2, 3, 4, 5])
  return [...cases, given(deep, some(dtype, [1, 2, 3, 2, 3], { least: -1, end: 1, seed: 2 }))]
}

function pad(opset: number, dtype: DType): readonly Case[] {
  const cases: Case[] = []
  for (const mode of ['constant', 'reflect', 'edge', ...(opset >= 19 ? ['wrap'] : [])]) {
    for (const [dims, pads] of [
      [
        [4, 5],
        [1, 2, 0, 3],
      ],
      [[7], [2, 3]],
    ] as const) {
      const x = some(dtype, dims)
      if (opset < 11) {
        cases.push(told({ strings: { mode }, integers: { pads }, floats: { value: 1.5 } }, x))
        continue
      }
      cases.push(told({ strings: { mode } }, x, longs(...pads)))
      if (mode === 'constant') {
        cases.push(told({ strings: { mode } }, x, longs(...pads), exactly(dtype, [], [1])))
        cases.push(given(x, longs(...pads.map((one, at) => (at === 0 ? -1 : one)))))
      }
    }
  }
  if (opset >= 18) cases.push(given(some(dtype, [3, 4]), longs(1, 2), exactly(dtype, [], [1]), longs(-1)))
  return cases
}

function resize(opset: number, dtype: DType): readonly Case[] {
  const modes = ['nearest', 'linear', ...(isFloat(dtype) && opset >= 11 ? ['cubic'] : [])]
  const scales = exactly('float32', [4], [1, 1, 1.7, 0.6])
  const cases: Case[] = []
  for (const mode of modes) {
    const x = some(dtype, [1, 2, 5, 7])
    if (opset < 11) {
      cases.push(told({ strings: { mode } }, x, scales))
      continue
    }
    for (const coordinate_transformation_mode of [
      'half_pixel',
      'asymmetric',
      'align_corners',
      'pytorch_half_pixel',
    ]) {
      const strings = { mode, coordinate_transformation_mode }
      cases.push(told({ strings }, x, opset >= 13 ? undefined : exactly('float32', [0], []), scales))
    }
    const none = exactly('float32', [0], [])
    cases.push(told({ strings: { mode } }, x, none, none, longs(1, 2, 8, 3)))
    if (opset >= 18) {
      const strings = { mode, keep_aspect_ratio_policy: 'not_larger' }
      cases.push(told({ strings, integers: { axes: [2, 3] } }, x, undefined, undefined, longs(9, 9)))
      if (mode !== 'nearest' && isFloat(dtype))
        cases.push(
          told(
            { strings: { mode }, integers: { antialias: 1 } },
            x,
            undefined,
            exactly('float32', [4], [1, 1, 0.5, 0.6]),
          ),
        )
    }
  }
  return cases
}

function slice(opset: number, dtype: DType): readonly Case[] {
  const x = some(dtype, [5, 9])
  if (opset < 10) {
    return [
      told({ integers: { starts: [1, -4], ends: [4, 100] } }, x),
      told({ integers: { starts: [2], ends: [-1], axes: [1] } }, x),
    ]
  }
  return [
    given(x, longs(1, -4), longs(4, 100)),
    given(x, longs(-1), longs(-100), longs(1), longs(-2)),
    given(x, longs(3), longs(3), longs(0)),
    given(
      x,
      exactly('int32', [1], [1]),
      exactly('int32', [1], [8]),
      exactly('int32', [1], [opset >= 10 ? -1 : 1]),
      exactly('int32', [1], [3]),
    ),
  ]
}

function split(opset: number, dtype: DType): readonly Case[] {
  const x = some(dtype, [3, 8])
  const even: Readonly<Record<string, number>> = opset >= 18 ? { axis: 1, num_outputs: 3 } : { axis: 1 }
  const parts =
    opset >= 13
      ? told({ integers: { axis: -1 } }, x, longs(1, 5, 2))
      : told({ integers: { axis: 1, split: [1, 5, 2] } }, x)
  return [
    { ...parts, outputs: 3 },
    { ...told({ integers: even }, opset >= 18 ? x : some(dtype, [3, 9])), outputs: 3 },
  ]
}
