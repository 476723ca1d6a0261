/** A model as the exact lane's process holds it, from its bytes to what can be asked of it. */
import { lstatSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, normalize } from 'node:path'
import {
  externalDataLocations,
  modelSignature,
  type OnnxModel,
  prepareExactModel,
  readModel,
} from '../graph/index.ts'
import type { Signature } from '../manifest/index.ts'
import { encodePlan } from '../plan/index.ts'
import { WASM_HEAP_BYTES_KEPT, WASM_HEAP_BYTES_MAX } from './constants.ts'
import type { Ask } from './exact-answers.ts'
import { createExactExecutor } from './exact-execution.ts'
import type { HostedAnswer, HostedModel } from './host-loop.ts'
import { createWasmEngine, type WasmEngine } from './wasm-engine.ts'
import { createWasmMachine, type WasmMachineOptions } from './wasm-machine.ts'

/** Files outside the `.onnx` that hold tensors, by their location as the model writes it. */
export type ExternalFiles = ReadonlyMap<string, Uint8Array>

export interface HostOptions extends WasmMachineOptions {
  /** Default: a new one. Models may share one that is not spent, as long as they run one after the other. */
  readonly supplyEngine?: () => Promise<WasmEngine>
}

export interface HostedExactModel extends HostedModel {
  answer(ask: Ask): HostedAnswer
  isSpent(): boolean
}

/**
 * Reads a model and the files it names beside it, which must be plain files: behind a link may lie anything, and a device has
 * no end. Throws GraphError or what the file system says.
 */
export function readModelFiles(modelPath: string): { model: OnnxModel; external: ExternalFiles } {
  const model = readModel(readFileSync(modelPath))
  const external = new Map<string, Uint8Array>()
  let bytes = 0
  for (const location of externalDataLocations(model)) {
    const path = normalize(location)
    if (isAbsolute(path) || path.startsWith('..'))
      throw new Error(`it keeps tensors outside its directory: ${location}`)
    const file = join(dirname(modelPath), path)
    const status = lstatSync(file)
    if (!status.isFile()) throw new Error(`it keeps tensors in what is no plain file: ${location}`)
    bytes += status.size
    if (bytes > WASM_HEAP_BYTES_MAX)
      throw new Error(`it keeps ${bytes} bytes and more beside it; there is no room`)
    external.set(location, readFileSync(file))
  }
  return { model, external }
}

/**
 * Prepares a model on an engine. Without a signature the model's own counts. Rejects with GraphError for what the exact lane
 * does not know, with RuntimeError `load-failed`, or with an error that says where the model is not what `signature` says.
 */
export async function hostExactModel(
  model: OnnxModel,
  external: ExternalFiles,
  declared: Signature | undefined,
  { supplyEngine = createWasmEngine, ...options }: HostOptions = {},
): Promise<HostedExactModel> {
  const own = modelSignature(model)
  if (declared !== undefined) verifySignature(declared, own)
  const signature = declared ?? own
  const exact = prepareExactModel(model, external)
  const engine = await supplyEngine()
  const machine = createWasmMachine(exact, engine, options)
  const executor = createExactExecutor(exact.plan, machine, signature, () => performance.now())
  return {
    signature,
    run: async (inputs) => executor.run(inputs),
    answer({ what, position, digests, payload }) {
      switch (what) {
        case 'plan':
          return { payload: [encodePlan(exact.plan)], leaves: [], serviceMs: 0 }
        case 'trace': {
          const { outputs, leaves, serviceMs } = executor.trace(payload)
          return { payload: outputs, leaves, serviceMs }
        }
        case 'operands':
          return { payload: executor.operands(payload, position), leaves: [], serviceMs: 0 }
        case 'step': {
          const { outputs, serviceMs } = executor.runStep(position, digests, payload)
          return { payload: outputs, leaves: [], serviceMs }
        }
        default:
          what satisfies never
          throw new Error('asked for what nobody knows')
      }
    },
    isSpent: () => engine.isSpent() || engine.heapBytes() > WASM_HEAP_BYTES_KEPT,
  }
}

function verifySignature(expected: Signature, given: Signature): void {
  for (const side of ['inputs', 'outputs'] as const) {
    const [wanted, found] = [expected, given].map((signature) =>
      signature[side].map(({ name, dtype }) => `${name} ${dtype}`).sort(),
    )
    if (wanted!.join() !== found!.join()) {
      throw new Error(
        `the manifest says that its ${side} are ${wanted!.join(', ')}; the model has ${found!.join(', ')}`,
      )
    }
  }
}
