/** What a model of the exact lane's test set is, and how its graphs and samples are written down. */
import type { DType, Tensor } from '../../../models/tensor/index.ts'
import {
  buildModel,
  elementBytes,
  type OnnxDims,
  type OnnxDType,
  type OnnxGraph,
  type OnnxModelOptions,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  tensorOf,
} from '../../fixtures/onnx-builder.ts'

export interface TestModel {
  readonly name: string
  /** Made or read anew with each call; the largest has 40 MB. */
  load(): ModelFiles
  /** Inputs that follow from the seed, in the order of the graph. Every seed is a valid one; they may take different ways. */
  inputs(seed: number): readonly Tensor[]
  /** A trace with inputs of seed 1 has at least so many leaves. */
  readonly leavesMin: number
  /**
   * How far onnxruntime-node may be off, beside 1e-6, as a share of each output's largest magnitude. `refused` where it
   * refuses to load the model; `broken` where it does not, and then crashes or computes something else than the standard
   * says, so that there is nothing to compare with.
   */
  readonly native: number | 'refused' | 'broken'
}

export interface ModelFiles {
  /** The `.onnx` file. */
  readonly model: Uint8Array
  /** External data by location. */
  readonly files: ReadonlyMap<string, Uint8Array>
}

/** A model of the test set from a graph; `options` of the file as well as what the test expects of it. */
export function graphModel(
  name: string,
  graph: () => OnnxGraph,
  inputs: (random: SampleSource, seed: number) => readonly Tensor[],
  options: OnnxModelOptions & Partial<Pick<TestModel, 'leavesMin' | 'native'>> = {},
): TestModel {
  const { leavesMin = 1, native = 1e-5 } = options
  return {
    name,
    load: () => ({ model: buildModel(graph(), options), files: new Map() }),
    inputs: (seed) => inputs(createSamples(seed), seed),
    leavesMin,
    native,
  }
}

export function node(
  operator: string,
  inputs: string | readonly string[],
  outputs: string | readonly string[],
  rest: Omit<OnnxNode, 'operator' | 'inputs' | 'outputs'> = {},
): OnnxNode {
  const names = (list: string | readonly string[]): readonly string[] =>
    typeof list === 'string' ? list.split(' ').map((name) => (name === '-' ? '' : name)) : list
  return { operator, inputs: names(inputs), outputs: names(outputs), ...rest }
}

export function value(name: string, dtype: OnnxDType, dims?: OnnxDims): OnnxValue {
  return dims === undefined ? { name, dtype } : { name, dtype, dims }
}

/** Values of a stated rank, as `y:1 z:2:int64`; float32 unless said otherwise, each dimension free. */
export function values(list: string): OnnxValue[] {
  return list.split(' ').map((item) => {
    const [name, rank, dtype = 'float32'] = item.split(':')
    const dims = Array.from({ length: Number(rank) }, (_, axis) => `${name}${axis}`)
    return { name: name!, dtype: dtype as OnnxDType, dims }
  })
}

/** A tensor of the model, float32 unless said otherwise. */
export function constant(
  name: string,
  dims: readonly number[],
  elements: readonly (number | bigint)[],
  dtype: OnnxDType = 'float32',
): OnnxTensor {
  return tensorOf(name, dtype, dims, elements)
}

/** A tensor that is fed. */
export function sample(
  name: string,
  dtype: DType,
  dims: readonly number[],
  elements: readonly (number | bigint)[],
): Tensor {
  return { name, dtype, dims, data: elementBytes(dtype, elements) }
}

export interface SampleSource {
  /** `count` numbers in [-scale, scale). */
  floats(count: number, scale?: number): number[]
  /** `count` whole numbers from `least` to below `end`. */
  integers(count: number, least: number, end: number): number[]
}

/** Numbers that follow from a seed. */
export function createSamples(seed: number): SampleSource {
  let state = Math.imul(seed + 1, 2654435761) || 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  return {
    floats: (count, scale = 1) => Array.from({ length: count }, () => (next() * 2 - 1) * scale),
    integers: (count, least, end) =>
      Array.from({ length: count }, () => least + Math.floor(next() * (end - least))),
  }
}
