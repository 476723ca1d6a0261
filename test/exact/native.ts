/** onnxruntime-node in this process, without the node around it. */
import type { ELEMENT_BYTES, Tensor } from '../../models/tensor/index.ts'
import type { ModelFiles } from './models/index.ts'

export interface NativeModel {
  run(inputs: readonly Tensor[]): Promise<Tensor[]>
  release(): Promise<void>
}

/** Rejects with what the engine says of a model that it does not load. */
export async function openNative(
  { model, files }: ModelFiles,
  threads: number,
  graphOptimizationLevel: 'all' | 'disabled' = 'all',
): Promise<NativeModel> {
  const ort = await engine()
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel,
    logSeverityLevel: 4,
    ...(files.size > 0 && { externalData: [...files].map(([path, data]) => ({ path, data })) }),
  })
  return {
    async run(inputs) {
      const feeds = inputs.map(({ name, dtype, dims, data }) => {
        const elements = new ELEMENTS[dtype](new Uint8Array(data).buffer as ArrayBuffer)
        return [name, new ort.Tensor(dtype, elements as never, dims)] as const
      })
      const results = await session.run(Object.fromEntries(feeds))
      return session.outputNames.map((name) => {
        const { type, dims, data } = results[name]!
        const { buffer, byteOffset, byteLength } = data as Uint8Array
        return {
          name,
          dtype: type as Tensor['dtype'],
          dims,
          data: new Uint8Array(buffer, byteOffset, byteLength),
        }
      })
    },
    release: () => session.release(),
  }
}

const ELEMENTS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} satisfies Record<keyof typeof ELEMENT_BYTES, unknown>

let started: Promise<typeof import('onnxruntime-node')> | undefined

/** Says nothing to anybody outside, and takes halves as bits. */
function engine(): Promise<typeof import('onnxruntime-node')> {
  process.env.ORT_DISABLE_TELEMETRY = '1'
  // With Node's own Float16Array in sight the binding refuses halves ("not enough space").
  Reflect.deleteProperty(globalThis, 'Float16Array')
  started ??= import('onnxruntime-node')
  return started
}
