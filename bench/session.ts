import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Workload } from './workloads.ts'

/** The model in this process: what the direct target and the HTTP servers call. */
export interface Session {
  run(input: Uint8Array, dims: readonly number[]): Promise<Uint8Array>
  close(): Promise<void>
}

export async function createSession(workload: Workload, threads: number): Promise<Session> {
  const session = await InferenceSession.create(workload.modelPath, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // As the provider's: the transports are compared, not the settings of the engine.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  })
  const inputName = workload.input.name
  const outputName = session.outputNames[0] ?? ''
  return {
    async run(input, dims) {
      const results = await session.run({ [inputName]: new Tensor('float32', floats(input), dims) })
      const data = results[outputName]?.data
      if (!(data instanceof Float32Array)) throw new TypeError(`output "${outputName}" is not float32`)
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    },
    close: () => session.release(),
  }
}

/** Looks into `bytes` where they are aligned; a body out of a pooled buffer may not be. */
export function floats(bytes: Uint8Array): Float32Array {
  if (bytes.byteOffset % 4 === 0)
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
  return new Float32Array(new Uint8Array(bytes).buffer)
}
