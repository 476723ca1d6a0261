/** The models, run right here: what an answer of the mesh is held against. */
import { createNativeRuntime } from '../../models/runtime/index.ts'
import type { StoredModel } from '../../models/store/index.ts'
import {
  decodeTensors,
  digestTensors,
  encodeTensors,
  SALT_BYTES,
  type Tensor,
} from '../../models/tensor/index.ts'
import { compareTensors } from '../verification/index.ts'
import type { DemoJob } from './reading.ts'

export interface LocalRuntime {
  run(inputs: readonly Tensor[], signal: AbortSignal): Promise<readonly Tensor[]>
  close(): Promise<void>
}

/** Nobody sees these digests. */
const SALT = new Uint8Array(SALT_BYTES)

export async function createLocalRuntime({ modelPath, manifest }: StoredModel): Promise<LocalRuntime> {
  const runtime = createNativeRuntime({ modelPath, signature: manifest.signature, batching: false })
  return {
    async run(inputs, signal) {
      const payload = encodeTensors(inputs)
      const execution = { inputs: payload, salt: SALT, inputDigest: digestTensors(SALT, payload) }
      const [outcome] = await runtime.execute([execution], signal)
      if (outcome === undefined || !outcome.ok)
        throw outcome?.error ?? new Error('the runtime answered nothing')
      return decodeTensors(outcome.value.outputs)
    },
    close: () => runtime.close(),
  }
}

/** How many accepted answers differ from a local run of the same model by more than its tolerance. */
export async function countWrong(
  jobs: readonly DemoJob[],
  models: readonly StoredModel[],
  signal: AbortSignal,
): Promise<number> {
  let wrong = 0
  for (const model of models) {
    const accepted = jobs.filter((job) => job.model === model.cid && job.outputs !== undefined)
    if (accepted.length === 0) continue
    const runtime = await createLocalRuntime(model)
    try {
      for (const { inputs, outputs } of accepted) {
        const expected = encodeTensors(await runtime.run(inputs, signal))
        if (!compareTensors(expected, encodeTensors(outputs!), model.manifest.tolerance.tau)) wrong++
      }
    } finally {
      await runtime.close()
    }
  }
  return wrong
}
