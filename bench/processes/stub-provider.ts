import { setTimeout as delay } from 'node:timers/promises'
import { createStubRuntime } from '../../models/runtime/index.ts'
import { importPackageModel } from '../../models/source/index.ts'
import { openModelStore } from '../../models/store/index.ts'
import { createLog, createNode, type VerimeshNode } from '../../src/node/index.ts'
import { serveParent } from './channel.ts'

/** Joins the mesh and serves stubs: models that take a set time and compute next to nothing. Answered by `StubsProvided`. */
export interface ProvideStubsRequest {
  readonly type: 'provide'
  readonly directory: string
  readonly bootstrap: readonly string[]
  /** Directory of `NAME.onnx` files, one a stub; they are read for their signature alone. */
  readonly models: string
  /** What an execution takes, by name. */
  readonly serviceMs: Readonly<Record<string, number>>
  /** Answers are multiplied by a number that depends on this: all honest ones have the same. */
  readonly seed: number
}

export interface StubsProvided {
  readonly multiaddr: string
  readonly peerId: string
  /** CIDs by name. */
  readonly models: Readonly<Record<string, string>>
}

let node: VerimeshNode | undefined

serveParent<ProvideStubsRequest>(provide, async () => node?.stop({ drainMs: 0 }))

async function provide(request: ProvideStubsRequest): Promise<StubsProvided> {
  const { directory, bootstrap, serviceMs, seed } = request
  const store = await openModelStore(directory)
  const names = Object.keys(serviceMs)
  const models: Record<string, string> = {}
  for (const name of names) {
    const imported = await importPackageModel(
      {
        package: { name: 'bench', version: '1.0.0' },
        folder: '.',
        model: `${name}.onnx`,
        others: [],
        declared: { name, tau: 1e-4, independent: false },
      },
      { workDirectory: store.workDirectory, packageDirectory: request.models },
    )
    models[name] = (await store.add(imported)).cid
  }
  node = await createNode({
    dataDirectory: directory,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap,
    mdns: false,
    exactLane: false,
    exemptPrivateAddresses: true,
    log: createLog({ level: 'warn', json: false, write: (line) => console.error(line) }),
    parts: {
      createRuntime: ({ manifest }) =>
        createStubRuntime({
          seed,
          signature: manifest.signature,
          serviceMs: serviceMs[manifest.name] ?? 0,
          delay: (ms, signal) => delay(ms, undefined, { signal }),
        }),
    },
  })
  for (const cid of Object.values(models)) await node.provide(cid)
  const [multiaddr] = node.multiaddrs()
  if (multiaddr === undefined) throw new Error('the node listens nowhere')
  return { multiaddr, peerId: node.peerId, models }
}
