import { basename, dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { importPackageModel } from '../../models/source/index.ts'
import { openModelStore } from '../../models/store/index.ts'
import { createLog, createNode, prepareHeap, type VerimeshNode } from '../../src/node/index.ts'
import type { Workload } from '../workloads.ts'
import { serveParent } from './channel.ts'

/** Joins the mesh, adds the workload's model to the node's store and serves it. Answered by `Provided`. */
export interface ProvideRequest {
  readonly type: 'provide'
  readonly workload: Workload
  readonly threads: number
  readonly directory: string
  readonly bootstrap: readonly string[]
}

export interface Provided {
  readonly multiaddr: string
  /** Its CID. */
  readonly model: string
}

/** How many others this node knows to host `model`. Answered by a number. */
export interface ProvidersRequest {
  readonly type: 'providers'
  readonly model: string
}

prepareHeap()
let node: VerimeshNode | undefined

serveParent<ProvideRequest | ProvidersRequest>(
  async (request) => (request.type === 'provide' ? await provide(request) : countProviders(request)),
  async () => node?.stop({ drainMs: 1_000 }),
)

async function provide(request: ProvideRequest): Promise<Provided> {
  const { workload, threads, directory, bootstrap } = request
  const model = await addModel(workload, directory)
  node = await createNode({
    dataDirectory: directory,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap,
    mdns: false,
    threads,
    // All of the mesh is on one machine.
    exemptPrivateAddresses: true,
    log: createLog({ level: 'warn', json: false, write: (line) => console.error(line) }),
  })
  await node.provide(model)
  // The exact lane is checked behind it, for seconds and on both cores: measuring begins when that is over.
  while (!isExactLaneReady(node, model)) await sleep(20)
  const [multiaddr] = node.multiaddrs()
  if (multiaddr === undefined) throw new Error('the node listens nowhere')
  return { multiaddr, model }
}

/** As `verimesh models add` does, but with a declared tolerance, and rows declared independent. */
async function addModel(
  { name, modelPath, tau, independentRows }: Workload,
  directory: string,
): Promise<string> {
  const store = await openModelStore(directory)
  const imported = await importPackageModel(
    {
      package: { name: 'bench', version: '1.0.0' },
      folder: '.',
      model: basename(modelPath),
      others: [],
      declared: { name, tau, independent: independentRows },
    },
    { workDirectory: store.workDirectory, packageDirectory: dirname(modelPath) },
  )
  return (await store.add(imported)).cid
}

function countProviders({ model }: ProvidersRequest): number {
  const peers = node?.peers() ?? []
  return peers.filter((peer) => peer.models.some(({ cid }) => cid === model)).length
}

/** Whether the exact lane of a model is provided, or the model has none. */
function isExactLaneReady(node: VerimeshNode, cid: string): boolean {
  return node.status().models.some((model) => model.cid === cid && model.lane === 'exact')
}
