import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createInProcessExactRuntime, createStubRuntime } from '../../models/runtime/index.ts'
import { openModelStore } from '../../models/store/index.ts'
import {
  createLyingExactRuntime,
  createLyingRuntime,
  FORGERIES,
  randomNoise,
} from '../../src/adversary/index.ts'
import { createLog, createNode, type NodeParts, type VerimeshNode } from '../../src/node/index.ts'
import { createRandom } from '../../src/routing/index.ts'
import { affineOf, importSetTime } from '../simulator/set-time.ts'
import { createTimedRuntime, type Pace } from '../simulator/timed-runtime.ts'
import { serveParent } from './channel.ts'

/**
 * Joins the mesh and serves a model that takes a set time and computes next to nothing: native answers come from a stub that
 * knows what the model is, traces from the model itself. Answered by `StubProvided`.
 */
export interface ProvideStubRequest {
  readonly type: 'provide'
  readonly directory: string
  readonly bootstrap: readonly string[]
  /** The `.onnx` file, an `affineModel` of `width`. */
  readonly modelPath: string
  readonly width: number
  /** Of the draws of service times. */
  readonly seed: number
  /** Lies in every job, in its traces too; those with the same number tell the same lies. */
  readonly lie?: number
}

export interface StubProvided {
  readonly multiaddr: string
  readonly peerId: string
  /** CID. */
  readonly model: string
}

/** Changes what executions take from now on. */
export interface PaceRequest extends Pace {
  readonly type: 'pace'
}

let node: VerimeshNode | undefined
const pace: Pace = { serviceMs: 0, sigma: 0 }

serveParent<ProvideStubRequest | PaceRequest>(
  async (request) => {
    if (request.type === 'provide') return await provide(request)
    pace.serviceMs = request.serviceMs
    pace.sigma = request.sigma
    return undefined
  },
  async () => node?.stop({ drainMs: 0 }),
)

async function provide(request: ProvideStubRequest): Promise<StubProvided> {
  const { directory, bootstrap, modelPath } = request
  const store = await openModelStore(directory)
  const imported = await importSetTime(store.workDirectory, modelPath)
  const model = (await store.add(imported)).cid
  node = await createNode({
    dataDirectory: directory,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap,
    mdns: false,
    exemptPrivateAddresses: true,
    log: createLog({ level: 'warn', json: false, write: (line) => console.error(line) }),
    parts: await partsOf(request),
  })
  await node.provide(model)
  // Checked behind it; measuring begins when that is over.
  while (!node.status().models.some(({ lane }) => lane === 'exact')) await sleep(20)
  const [multiaddr] = node.multiaddrs()
  if (multiaddr === undefined) throw new Error('the node listens nowhere')
  return { multiaddr, peerId: node.peerId, model }
}

async function partsOf({ modelPath, width, seed, lie }: ProvideStubRequest): Promise<NodeParts> {
  const bytes = new Uint8Array(await readFile(modelPath))
  const lying = { strategy: randomNoise, seed: lie ?? 0 }
  return {
    createRuntime: ({ manifest }) => {
      const stub = createStubRuntime({ seed: 0, signature: manifest.signature, transform: affineOf(width) })
      const timed = createTimedRuntime(stub, pace, createRandom(seed))
      return lie === undefined ? timed : createLyingRuntime(timed, lying)
    },
    createExact: () => createInProcessExactRuntime(bytes),
    wrapExact: (runtime, _model, role) =>
      lie === undefined || role === 'referee'
        ? runtime
        : createLyingExactRuntime(runtime, { ...lying, forgery: FORGERIES[0]! }),
  }
}
