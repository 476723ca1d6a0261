import type { OnnxModel } from '../graph/index.ts'
import type { Signature } from '../manifest/index.ts'
import { digestOutcomes, verifyInputDigests } from './digests.ts'
import type { ExactRuntime } from './exact.ts'
import type { Answer, Ask } from './exact-answers.ts'
import type { ExternalFiles, HostedExactModel, HostOptions } from './exact-loader.ts'
import { exactRequests, exactRuntimeInfo } from './exact-runtime.ts'
import { executeBatch } from './host-execution.ts'
import { type ModelRuntime, RuntimeError } from './runtime.ts'

export interface InProcessExactOptions extends HostOptions {
  /** Default: what the model says of itself. */
  readonly signature?: Signature
  readonly external?: ExternalFiles
}

/**
 * A model in the exact lane in this process, for tests and for research: the same engine and interpreter, but every
 * request stops this process's thread until it is done, none can be interrupted, and what breaks the engine may break the
 * process. `bytes` is an `.onnx` file.
 */
export function createInProcessExactRuntime(
  bytes: Uint8Array,
  { signature, external = new Map(), ...options }: InProcessExactOptions = {},
): ExactRuntime {
  let read: { model: OnnxModel; signature: Signature } | undefined
  let hosted: Promise<HostedExactModel> | undefined
  let isClosed = false

  async function host(signal?: AbortSignal): Promise<HostedExactModel> {
    verifyOpen(signal)
    hosted ??= start()
    const found = await hosted
    if (!found.isSpent()) return found
    hosted = undefined
    return host(signal)
  }

  async function start(): Promise<HostedExactModel> {
    try {
      // Loaded when it is needed: whoever has models run in processes of their own needs neither here.
      const [{ modelSignature, readModel }, { hostExactModel }] = await Promise.all([
        import('../graph/index.ts'),
        import('./exact-loader.ts'),
      ])
      const model = read?.model ?? readModel(bytes)
      read ??= { model, signature: signature ?? modelSignature(model) }
      return await hostExactModel(model, external, read.signature, options)
    } catch (cause) {
      hosted = undefined
      throw new RuntimeError('load-failed', `the model does not load: ${(cause as Error).message}`, { cause })
    }
  }

  function verifyOpen(signal: AbortSignal | undefined): void {
    if (isClosed) throw new RuntimeError('closed', 'the runtime was closed')
    if (signal?.aborted)
      throw new RuntimeError('aborted', 'the execution was aborted', { cause: signal.reason })
  }

  const runtime: Required<ModelRuntime> = {
    info: exactRuntimeInfo(),
    async execute(batch, signal) {
      const { run } = await host(signal)
      const model = { run, signature: read!.signature, batching: false, now: () => performance.now() }
      const { outcomes } = await executeBatch(
        model,
        batch.map(({ inputs }) => inputs),
      )
      const undigested = outcomes.map((outcome) =>
        outcome.ok ? { ...outcome, outputs: new Uint8Array(Buffer.concat(outcome.outputs)) } : outcome,
      )
      return digestOutcomes(batch, verifyInputDigests(batch), undigested)
    },
    async load(signal) {
      await host(signal)
    },
    async close() {
      isClosed = true
      hosted = undefined
    },
  }

  async function ask(asked: Ask, signal: AbortSignal): Promise<Answer> {
    const { payload, leaves, serviceMs } = (await host(signal)).answer(asked)
    return { payload: new Uint8Array(Buffer.concat(payload)), leaves, serviceMs }
  }

  return exactRequests(runtime, ask)
}
