import { type Signature, verifyInputs } from '../manifest/index.ts'
import {
  decodeTensors,
  digestTensors,
  encodeTensors,
  float32Elements,
  float32Tensor,
  type Tensor,
} from '../tensor/index.ts'
import { mismatch } from './digests.ts'
import { toInputError } from './host-execution.ts'
import { type Execution, type ExecutionOutcome, type ModelRuntime, RuntimeError } from './runtime.ts'

export interface StubRuntimeInit {
  /** Two stubs with the same seed give the same outputs. */
  readonly seed: number
  /** Inputs are checked against it; its outputs name the results. Without it nothing is checked but digests. */
  readonly signature?: Signature
  /** Outputs for inputs. Default: every float32 input times and plus a number of the seed, any other input as it is. */
  readonly transform?: (inputs: readonly Tensor[]) => readonly Tensor[]
  /** What one execution takes, whatever the size of its batch; default 0. */
  readonly serviceMs?: number
  /** Waits `ms`; rejects when `signal` aborts. Without it no time passes. */
  readonly delay?: (ms: number, signal: AbortSignal) => Promise<void>
}

/**
 * A model of no weight for tests of machines and for the simulator: checks digests and inputs as the native runtime
 * does, and answers from the inputs and the seed alone.
 */
export function createStubRuntime(init: StubRuntimeInit): ModelRuntime {
  const { seed, serviceMs = 0, signature } = init
  const transform = init.transform ?? ((inputs) => affine(inputs, seed, signature))
  const closing = new AbortController()

  return {
    info: { engine: 'stub', version: '1', lane: 'native', instructionSet: 'none' },
    async execute(batch, signal) {
      verifyOpen(signal)
      if (serviceMs > 0 && init.delay !== undefined) {
        try {
          await init.delay(serviceMs, AbortSignal.any([signal, closing.signal]))
        } catch (error) {
          // Why it ended early stands in the signals; an error of the delay's own is passed on.
          verifyOpen(signal)
          throw error
        }
      }
      verifyOpen(signal)
      return batch.map((execution) => answer(execution, batch.length > 1))
    },
    async close() {
      closing.abort()
    },
  }

  function verifyOpen(signal: AbortSignal): void {
    if (closing.signal.aborted) throw new RuntimeError('closed', 'the runtime was closed')
    if (!signal.aborted) return
    const { reason } = signal
    const isTimeout = reason instanceof Error && reason.name === 'TimeoutError'
    throw new RuntimeError(isTimeout ? 'deadline' : 'aborted', 'the execution was ended', { cause: reason })
  }

  function answer(execution: Execution, batched: boolean): ExecutionOutcome {
    let inputs: readonly Tensor[]
    try {
      const error = mismatch(execution.inputDigest, digestTensors(execution.salt, execution.inputs))
      if (error !== undefined) throw error
      inputs = decodeTensors(execution.inputs)
      if (signature !== undefined) verifyInputs(signature, inputs)
    } catch (error) {
      return { ok: false, error: toInputError(error) }
    }
    const outputs = encodeTensors(transform(inputs))
    const outputDigest = digestTensors(execution.salt, outputs)
    return { ok: true, value: { outputs, outputDigest, batched, serviceMs } }
  }
}

function affine(inputs: readonly Tensor[], seed: number, signature: Signature | undefined): Tensor[] {
  const slope = 0.5 + ((seed * 0.6180339887498949) % 1)
  const offset = (seed * 0.7548776662466927) % 1
  return inputs.map((input, index) => {
    const name = signature?.outputs[index]?.name ?? input.name
    if (input.dtype !== 'float32') return { ...input, name }
    return float32Tensor(
      name,
      input.dims,
      float32Elements(input).map((x) => x * slope + offset),
    )
  })
}
