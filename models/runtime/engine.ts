import { createRequire } from 'node:module'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import type { Signature, ValueSignature } from '../manifest/index.ts'
import { type DType, isDType, type Tensor } from '../tensor/index.ts'
import type { RunModel } from './host-execution.ts'

export interface LoadedModel {
  readonly run: RunModel
}

/**
 * Loads a model into onnxruntime-node, in this process. Rejects with the engine's error, or with one that says where
 * the model's inputs or outputs are not those of `signature`.
 */
export async function loadModel(path: string, signature: Signature, threads: number): Promise<LoadedModel> {
  // With it, onnxruntime-node hands float16 tensors over as a type that its native half does not know.
  Reflect.deleteProperty(globalThis, 'Float16Array')
  const require = createRequire(import.meta.url)
  const ort = require('onnxruntime-node') as typeof import('onnxruntime-node')
  const session = await ort.InferenceSession.create(path, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Threads that spin between operators take the processor from the node and from other models: text recognition
    // on two threads costs 27 ms of processor time a run with it, 15 without, at no gain in time.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  })
  verifySignature('input', signature.inputs, session.inputMetadata)
  verifySignature('output', signature.outputs, session.outputMetadata)
  const names = signature.outputs.map((output) => output.name)
  return {
    async run(inputs) {
      const feeds: Record<string, OrtTensor> = {}
      for (const input of inputs) feeds[input.name] = toEngine(ort.Tensor, input)
      const results = await session.run(feeds, names)
      return names.map((name) => fromEngine(name, results[name]))
    },
  }
}

function verifySignature(
  side: 'input' | 'output',
  expected: readonly ValueSignature[],
  given: readonly InferenceSession.ValueMetadata[],
): void {
  for (const value of expected) {
    const found = given.find(({ name }) => name === value.name)
    const names = given.map(({ name }) => `"${name}"`).join(', ')
    if (found === undefined) {
      throw new Error(`the manifest names the ${side} "${value.name}", but the model has ${names || 'none'}`)
    }
    const type = found.isTensor ? found.type : 'no tensor'
    if (type !== value.dtype) {
      throw new Error(
        `the manifest says that ${side} "${value.name}" is ${value.dtype}; the model says ${type}`,
      )
    }
  }
  if (side === 'input' && given.length > expected.length) {
    const missing = given.find(({ name }) => !expected.some((value) => value.name === name))
    throw new Error(`the model needs the input "${missing?.name}", which the manifest does not name`)
  }
}

type Elements = { readonly BYTES_PER_ELEMENT: number } & (new (
  buffer: ArrayBufferLike,
  at: number,
  length: number,
) => OrtTensor.DataTypeMap[DType])

const ELEMENTS = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float16: Uint16Array,
  float64: Float64Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
} as unknown as Readonly<Record<DType, Elements>>

/** The engine's view of the same bytes, or of a copy where they are not aligned. */
function toEngine(EngineTensor: typeof OrtTensor, tensor: Tensor): OrtTensor {
  const Type = ELEMENTS[tensor.dtype]
  const aligned = tensor.data.byteOffset % Type.BYTES_PER_ELEMENT === 0
  const data = aligned ? tensor.data : new Uint8Array(tensor.data)
  const elements = new Type(data.buffer, data.byteOffset, data.byteLength / Type.BYTES_PER_ELEMENT)
  return new EngineTensor(tensor.dtype, elements, tensor.dims)
}

function fromEngine(name: string, tensor: OrtTensor | undefined): Tensor {
  if (tensor === undefined) throw new Error(`the engine gave no output "${name}"`)
  if (!isDType(tensor.type)) throw new Error(`output "${name}" is ${tensor.type}, which cannot travel`)
  const elements = tensor.data as Float32Array
  const data = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength)
  return { name, dtype: tensor.type, dims: tensor.dims, data }
}
