/** Products, convolutions, pooling, recurrence and normalisation: the operators that sum up. */
import type { DType } from '../../../models/tensor/index.ts'
import { type Case, type Cases, exactly, given, longs, type Operand, some, told, type Zoo } from './case.ts'

const convolution = (weights: (dtype: DType) => readonly [Operand, Operand, Operand][]): Cases => {
  const forms: Readonly<Record<string, readonly number[]>>[] = [
    {},
    { strides: [2, 1], pads: [1, 0, 2, 1] },
    { dilations: [2, 2], pads: [2, 2, 2, 2] },
  ]
  return (_, dtype) => [
    ...weights(dtype).flatMap(([x, w, b]) =>
      forms.flatMap((integers) => [told({ integers }, x, w), told({ integers }, x, w, b)]),
    ),
  ]
}

export const NEURAL_ZOO: Zoo = {
  AveragePool: (opset, dtype) => [
    ...pool(
      opset,
      dtype,
      [0, 1].map((count_include_pad) => ({ count_include_pad })),
    ),
    ...(opset >= 19
      ? [told({ integers: { kernel_shape: [2, 2], dilations: [2, 1] } }, some(dtype, [1, 2, 7, 5]))]
      : []),
  ],
  BatchNormalization: (_, dtype) =>
    [
      [2, 3, 5, 7],
      [3, 5],
      [1, 3, 67],
    ].map((dims) => {
      const channels = dims[1]!
      const of = (seed: number) => some(dtype, [channels], { seed, least: 0.1, end: 2 })
      return told({ floats: { epsilon: 1e-3 } }, some(dtype, dims), of(1), of(2), of(3), of(4))
    }),
  Conv: (opset, dtype) => [
    ...convolution((of) => [
      [some(of, [1, 3, 9, 7]), some(of, [5, 3, 3, 3], { seed: 1 }), some(of, [5], { seed: 2 })],
      [some(of, [2, 4, 8, 8]), some(of, [8, 4, 1, 1], { seed: 1 }), some(of, [8], { seed: 2 })],
    ])(opset, dtype),
    told(
      { integers: { group: 4, pads: [1, 1, 1, 1] } },
      some(dtype, [1, 4, 9, 9]),
      some(dtype, [4, 1, 3, 3], { seed: 1 }),
    ),
    told({ integers: { group: 2 } }, some(dtype, [1, 4, 11]), some(dtype, [6, 2, 3], { seed: 1 })),
    told(
      { strings: { auto_pad: 'SAME_UPPER' } },
      some(dtype, [1, 2, 3, 4, 5]),
      some(dtype, [3, 2, 2, 2, 2], { seed: 1 }),
    ),
  ],
  ConvTranspose: (_, dtype) => [
    given(some(dtype, [1, 3, 5, 7]), some(dtype, [3, 2, 3, 3], { seed: 1 })),
    told(
      { integers: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] } },
      some(dtype, [1, 3, 5, 7]),
      some(dtype, [3, 4, 3, 3], { seed: 1 }),
      some(dtype, [4], { seed: 2 }),
    ),
    told(
      { integers: { group: 2, strides: [3] } },
      some(dtype, [2, 4, 5]),
      some(dtype, [4, 1, 2], { seed: 1 }),
    ),
  ],
  Dropout: (opset, dtype) => {
    const x = some(dtype, [3, 7])
    const ratio = exactly('float32', [], [0.3])
    const cases = [
      { ...given(x), outputs: 1 },
      { ...given(x), outputs: 2 },
    ]
    if (opset >= 12) cases.push({ ...given(x, ratio), outputs: 1 })
    return cases
  },
  Einsum: (_, dtype) => [
    told({ strings: { equation: 'ij,jk->ik' } }, some(dtype, [3, 5]), some(dtype, [5, 7], { seed: 1 })),
    told(
      { strings: { equation: 'bij,bkj->bik' } },
      some(dtype, [2, 3, 5]),
      some(dtype, [2, 4, 5], { seed: 1 }),
    ),
    told({ strings: { equation: 'ii->i' } }, some(dtype, [5, 5])),
    told({ strings: { equation: 'ij->' } }, some(dtype, [3, 7])),
    told({ strings: { equation: 'i,j->ij' } }, some(dtype, [3]), some(dtype, [17], { seed: 1 })),
  ],
  GRU: recurrent(3),
  Gemm: (opset, dtype) => {
    const forms: Case[] = []
    for (const [transA, transB] of [
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ] as const) {
      const a = some(dtype, transA === 1 ? [17, 5] : [5, 17])
      const b = some(dtype, transB === 1 ? [7, 17] : [17, 7], { seed: 1 })
      const node = { integers: { transA, transB }, floats: { alpha: 0.5, beta: 2 } }
      for (const dims of [[7], [5, 1], [], [5, 7]])
        forms.push(told(node, a, b, some(dtype, dims, { seed: 2 })))
      if (opset >= 11) forms.push(told(node, a, b))
    }
    return forms
  },
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GroupNormalization: (_, dtype) => [
    told(
      { integers: { num_groups: 2 } },
      some(dtype, [2, 4, 5]),
      some(dtype, [4], { seed: 1 }),
      some(dtype, [4], { seed: 2 }),
    ),
  ],
  InstanceNormalization: (_, dtype) => [
    given(some(dtype, [2, 3, 5, 7]), some(dtype, [3], { seed: 1 }), some(dtype, [3], { seed: 2 })),
    told(
      { floats: { epsilon: 1e-2 } },
      some(dtype, [1, 2, 67]),
      some(dtype, [2], { seed: 1 }),
      some(dtype, [2], { seed: 2 }),
    ),
  ],
  LRN: (_, dtype) => [
    told({ integers: { size: 3 } }, some(dtype, [1, 5, 3, 7])),
    told({ integers: { size: 1 }, floats: { alpha: 0.01, beta: 0.5, bias: 2 } }, some(dtype, [2, 4, 3, 3])),
  ],
  LSTM: recurrent(4),
  LayerNormalization: (_, dtype) => {
    const x = some(dtype, [3, 5, 7])
    const [scale, shift] = [some(dtype, [7], { seed: 1 }), some(dtype, [7], { seed: 2 })]
    return [
      given(x, scale),
      { ...given(x, scale, shift), outputs: 1 },
      told({ integers: { axis: 1 }, floats: { epsilon: 1e-3 } }, x, some(dtype, [5, 7], { seed: 1 })),
    ]
  },
  LpNormalization: (_, dtype) =>
    [1, 2].flatMap((p) => [
      told({ integers: { p } }, some(dtype, [3, 7])),
      told({ integers: { p, axis: 0 } }, some(dtype, [5, 3])),
    ]),
  LpPool: (opset, dtype) =>
    pool(
      opset,
      dtype,
      [1, 2].map((p) => ({ p })),
      false,
    ),
  MatMul: (_, dtype) => [
    given(some(dtype, [3, 17]), some(dtype, [17, 5], { seed: 1 })),
    given(some(dtype, [2, 1, 3, 9]), some(dtype, [4, 9, 7], { seed: 1 })),
    given(some(dtype, [13]), some(dtype, [13, 6], { seed: 1 })),
    given(some(dtype, [33]), some(dtype, [33], { seed: 1 })),
    given(some(dtype, [67, 65]), some(dtype, [65, 1], { seed: 1 })),
  ],
  MaxPool: (opset, dtype) => [
    ...pool(opset, dtype, [{}]),
    ...(opset >= 8
      ? [{ ...told({ integers: { kernel_shape: [2, 3] } }, some(dtype, [1, 2, 5, 7])), outputs: 2 }]
      : []),
    ...(opset >= 10
      ? [told({ integers: { kernel_shape: [2, 2], dilations: [2, 1] } }, some(dtype, [1, 2, 7, 5]))]
      : []),
  ],
  MeanVarianceNormalization: (_, dtype) => [
    given(some(dtype, [2, 3, 5, 7])),
    told({ integers: { axes: [0, 2, 3] } }, some(dtype, [2, 3, 4, 5])),
    told({ integers: { axes: [1] } }, some(dtype, [3, 17])),
  ],
  RNN: recurrent(1),
  RoiAlign: (opset, dtype) => {
    const of: DType = dtype === 'int64' ? 'float32' : dtype
    const x = some(of, [2, 3, 9, 11])
    const boxes = exactly(of, [3, 4], [0, 0, 7, 5, 1.5, 2, 9, 8, 3, 3, 4, 4])
    const node = { integers: { output_height: 3, output_width: 2 }, floats: { spatial_scale: 0.9 } }
    const cases = ['avg', 'max'].map((mode) => told({ ...node, strings: { mode } }, x, boxes, longs(0, 1, 0)))
    if (opset >= 16)
      cases.push(
        told(
          { ...node, strings: { coordinate_transformation_mode: 'output_half_pixel' } },
          x,
          boxes,
          longs(1, 0, 1),
        ),
      )
    return cases
  },
}

function globalPool(_: number, dtype: DType): readonly Case[] {
  return [
    given(some(dtype, [2, 3, 5, 7])),
    given(some(dtype, [1, 2, 67])),
    given(some(dtype, [1, 1, 3, 3, 3])),
  ]
}

function pool(
  opset: number,
  dtype: DType,
  forms: readonly Readonly<Record<string, number>>[],
  mayCeil = true,
): readonly Case[] {
  return forms.flatMap((form) => [
    told({ integers: { ...form, kernel_shape: [3, 2] } }, some(dtype, [1, 3, 9, 7])),
    told(
      { integers: { ...form, kernel_shape: [3, 3], strides: [2, 2], pads: [1, 0, 1, 1] } },
      some(dtype, [2, 2, 8, 8]),
    ),
    told(
      { integers: { ...form, kernel_shape: [4], strides: [3] }, strings: { auto_pad: 'SAME_LOWER' } },
      some(dtype, [1, 2, 19]),
    ),
    ...(mayCeil && opset >= 10
      ? [
          told(
            { integers: { ...form, kernel_shape: [2, 2], strides: [3, 3], ceil_mode: 1 } },
            some(dtype, [1, 1, 7, 8]),
          ),
        ]
      : []),
  ])
}

/** `gates` rows of weights for each hidden unit; all optional operands in turn. */
function recurrent(gates: 1 | 3 | 4): Cases {
  return (opset, dtype) => {
    // Of lengths: they are the one operand of whole numbers.
    const of: DType = dtype === 'int32' ? 'float32' : dtype
    const [steps, batch, width, hidden] = [5, 2, 3, 4]
    const x = some(of, [steps, batch, width])
    const small = (dims: readonly number[], seed: number) => some(of, dims, { least: -0.5, end: 0.5, seed })
    const w = (n: number) => small([n, gates * hidden, width], 1)
    const r = (n: number) => small([n, gates * hidden, hidden], 2)
    const b = (n: number) => small([n, 2 * gates * hidden], 3)
    const h = (n: number) => small([n, batch, hidden], 4)
    const lengths = exactly('int32', [batch], [5, 3])
    const outputs = gates === 4 ? 3 : 2
    const node = (rest: Readonly<Record<string, number>> = {}) => ({
      integers: { hidden_size: hidden, ...rest },
    })
    const cases: Case[] = []
    if (dtype !== 'int32') {
      cases.push({ ...told(node(), x, w(1), r(1)), outputs })
      cases.push({ ...told({ ...node(), strings: { direction: 'reverse' } }, x, w(1), r(1), b(1)), outputs })
      if (gates === 3) cases.push({ ...told(node({ linear_before_reset: 1 }), x, w(1), r(1), b(1)), outputs })
      if (gates === 4) {
        const peep = small([2, 3 * hidden], 5)
        const both = { ...node(), strings: { direction: 'bidirectional' } }
        cases.push({ ...told(both, x, w(2), r(2), b(2), undefined, h(2), h(2), peep), outputs })
      }
    }
    const both = { ...node(), strings: { direction: 'bidirectional' } }
    cases.push({ ...told(both, x, w(2), r(2), b(2), lengths, h(2)), outputs })
    cases.push({ ...told({ ...node(), floats: { clip: 0.3 } }, x, w(1), r(1), undefined, lengths), outputs })
    return opset >= 7 ? cases : []
  }
}
