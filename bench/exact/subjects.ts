/** What the exact lane is measured on: real models with inputs as large as in life, and a few of the test set. */
import type { Tensor } from '../../models/tensor/index.ts'
import { TEST_SET, type TestModel } from '../../test/exact/models/index.ts'
import { createSamples, sample } from '../../test/exact/models/model.ts'

const IMAGES: Readonly<Record<string, readonly [height: number, width: number]>> = {
  'ocr-detection': [640, 640],
  'ocr-recognition': [48, 320],
  'ocr-classification': [48, 192],
}

const OTHERS = ['silero-vad', 'loop-long', 'half', 'lstm', 'dynamic-quantised', 'gather-40mb']

export interface Subject {
  readonly model: TestModel
  readonly inputs: readonly Tensor[]
}

export function subjects(only: readonly string[] | undefined): Subject[] {
  return TEST_SET.filter(({ name }) => only?.includes(name) ?? (name in IMAGES || OTHERS.includes(name))).map(
    (model) => {
      const size = IMAGES[model.name]
      if (size === undefined) return { model, inputs: model.inputs(1) }
      const dims = [1, 3, ...size]
      const count = dims.reduce((all, dim) => all * dim, 1)
      return { model, inputs: [sample('x', 'float32', dims, createSamples(1).floats(count))] }
    },
  )
}
