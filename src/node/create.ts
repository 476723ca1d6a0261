import { randomInt } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import {
  createExactRuntime,
  createNativeRuntime,
  type ExactRuntime,
  type ModelRuntime,
} from '../../models/runtime/index.ts'
import { openModelStore, type StoredModel } from '../../models/store/index.ts'
import { systemClock } from '../../peers/clock/index.ts'
import { createEphemeralIdentity, loadOrCreateIdentity } from '../../peers/identity/index.ts'
import { joinMesh } from '../../peers/mesh/index.ts'
import { createSigner } from '../../protocols/envelope/index.ts'
import { createInferenceClient, createInferenceServer } from '../../protocols/inference/index.ts'
import { createModelFilesServer, fetchModelBlocks } from '../../protocols/model-files/index.ts'
import { createProvider } from '../provider/index.ts'
import { createRequester } from '../requester/index.ts'
import { createRandom } from '../routing/index.ts'
import { now } from './clock.ts'
import type { NodeConfig } from './config.ts'
import { DRAIN_DEFAULT_MS, FLUSH_MS, MODEL_MEMORY_PART } from './constants.ts'
import { createDescriber } from './describing.ts'
import { createExactLanes } from './exact-lanes.ts'
import { createFinder } from './finding.ts'
import { JobError, NodeError, type NodeStatus, type VerimeshNode } from './node.ts'
import { createProviderDriver } from './provider-driver.ts'
import { createRequesterDriver } from './requester-driver.ts'
import { VERSION } from './version.ts'

/**
 * Starts a node: joins the mesh, takes jobs for what it provides, sends jobs for whoever holds it. Resolves once it
 * listens; bootstraps are dialled behind it, for ever. Throws HostError, IdentityError or StoreError; nothing keeps
 * running then.
 */
export async function createNode(config: NodeConfig): Promise<VerimeshNode> {
  const { dataDirectory, log, parts = {} } = config
  const startedAtMs = performance.now()
  // A key and people's inputs lie there.
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 })
  const store = parts.store ?? (await openModelStore(config.storeDirectory ?? dataDirectory))
  const identity = config.ephemeral
    ? await createEphemeralIdentity()
    : await loadOrCreateIdentity(dataDirectory)
  const signer = createSigner(identity.rawPrivateKey)

  const mesh = await joinMesh({
    privateKey: identity.privateKey,
    listen: config.listen,
    mdns: config.mdns,
    dht: config.ephemeral ? 'client' : 'server',
    userAgent: `verimesh/${VERSION}`,
    privateAddresses: config.exemptPrivateAddresses ?? true,
    bootstrap: config.bootstrap,
    dataDirectory,
    log,
    clock: { ...systemClock, now },
    onHost: async (libp2p) => parts.onHost?.(libp2p),
  })
  const { host, book } = mesh
  const stopping = new AbortController()
  const finder = createFinder({ mesh, log })

  const client = createInferenceClient({
    libp2p: {
      getConnections: (peer) => host.getConnections(peer),
      // By the addresses in the book, which come from gossip too.
      dial: (peer, options) => mesh.connect(String(peer), options?.signal ?? stopping.signal),
    },
  })
  const requester = createRequesterDriver({
    machine: createRequester({
      random: createRandom(randomInt(2 ** 32)),
      ...(parts.requesterLimits === undefined ? {} : { limits: parts.requesterLimits }),
    }),
    parts,
    client,
    signer,
    book,
    find: finder.find,
    log,
  })
  const loading = new Map<string, { name: string; state: 'loading' | 'failed' }>()
  const instructionSets = new Map<string, string>()
  const provider = createProviderDriver({
    machine: createProvider({}),
    signer,
    log,
    announce: (model, lanes, load) =>
      mesh.serve(model, { lanes, instructionSet: instructionSets.get(model) ?? '', ...load }),
  })
  const inferenceServer = createInferenceServer({
    libp2p: host,
    handler: parts.wrapHandler?.(provider.answer) ?? provider.answer,
    admit: provider.admit,
    onError: (peer, error) => log.warn('a peer broke the inference protocol', { peer, error }),
  })
  const filesServer = createModelFilesServer({
    libp2p: host,
    blocksOf: async (cid) => {
      const model = provider.models().some((served) => served.cid === cid) ? store.get(cid) : undefined
      return model === undefined ? undefined : store.taskBlocks(model)
    },
    onError: (peer, error) => log.debug('a peer broke the model-files protocol', { peer, error }),
  })
  await inferenceServer.start()
  await filesServer.start()

  const describe = createDescriber({
    store,
    finder,
    fetchBlocks: async (peer, cid, signal) => {
      await mesh.connect(peer, signal)
      return fetchModelBlocks(host, peer, cid, signal)
    },
    random: createRandom(randomInt(2 ** 32)),
    log,
  })

  const lanes = createExactLanes({
    store,
    // Beside the models: nodes that share them share what was measured of them.
    dataDirectory: config.storeDirectory ?? dataDirectory,
    create: createExact,
    log,
  })

  async function loadNative({ manifest, modelPath }: StoredModel): Promise<ModelRuntime> {
    const runtime = createNativeRuntime({
      modelPath,
      signature: manifest.signature,
      batching: manifest.batching.independent,
      memoryBytesMax: config.modelMemoryBytesMax ?? Math.floor(memoryBytes() * MODEL_MEMORY_PART),
      threads: config.threads ?? Math.max(1, Math.floor(availableParallelism() / 2)),
      onLog: (level, message) => log[level](message, { model: manifest.name }),
    })
    try {
      await runtime.load(stopping.signal)
      return runtime
    } catch (error) {
      await runtime.close()
      throw error
    }
  }

  function createExact(model: StoredModel, role: 'provider' | 'referee'): ExactRuntime {
    const { manifest, modelPath } = model
    const runtime =
      parts.createExact?.(model, role) ??
      createExactRuntime({
        modelPath,
        signature: manifest.signature,
        memoryBytesMax: config.modelMemoryBytesMax ?? Math.floor(memoryBytes() * MODEL_MEMORY_PART),
        onLog: (level, message) => log[level](message, { model: manifest.name, lane: 'exact' }),
      })
    return parts.wrapExact?.(runtime, model, role) ?? runtime
  }

  /** Serves the exact lane of a model, once this machine has shown that it traces alike twice. */
  async function provideExact(model: StoredModel): Promise<void> {
    const { ok, reason } = await lanes.judge(model)
    if (stopping.signal.aborted) return
    const { manifest, cid } = model
    if (ok) provider.add(model, lanes.provider(model))
    log[ok ? 'info' : 'warn'](ok ? 'providing the exact lane' : 'the exact lane is not provided', {
      model: manifest.name,
      cid,
      reason,
    })
  }

  async function provide(cid: string): Promise<void> {
    const model = store.get(cid)
    if (model === undefined) {
      throw new NodeError(
        'unknown-model',
        `${cid} is not in the store of this node: add it with verimesh models add SOURCE`,
      )
    }
    const { manifest } = model
    loading.set(cid, { name: manifest.name, state: 'loading' })
    try {
      await store.verify(cid)
      const wanted = manifest.plan !== undefined && config.exactLane !== false
      const exact = wanted ? provideExact(model) : undefined
      if (manifest.lanes.includes('native')) {
        const runtime = parts.createRuntime?.(model) ?? (await loadNative(model))
        instructionSets.set(cid, runtime.info.instructionSet)
        provider.add(model, parts.wrapRuntime?.(runtime, model) ?? runtime)
        exact?.catch((error: unknown) => log.debug('the exact lane was not begun', { cid, error }))
      } else await exact
      loading.delete(cid)
      log.info('providing', { model: manifest.name, cid })
    } catch (error) {
      loading.set(cid, { name: manifest.name, state: 'failed' })
      throw error
    }
  }

  function status(): NodeStatus {
    const served = provider.models().map(({ cid, name, lane, load, served: done, refused, backingOff }) => ({
      cid,
      name,
      lane,
      state: backingOff ? ('backing-off' as const) : ('ready' as const),
      running: load.running,
      queued: load.queued,
      served: done,
      refused,
      serviceMs: load.serviceMs,
    }))
    const pending = [...loading].map(([cid, { name, state }]) => ({
      cid,
      name,
      lane: 'native' as const,
      state,
      ...{ running: 0, queued: 0, served: 0, refused: 0, serviceMs: 0 },
    }))
    return {
      peerId: host.peerId.toString(),
      multiaddrs: host.getMultiaddrs().map(String),
      version: VERSION,
      uptimeMs: performance.now() - startedAtMs,
      connections: host.getConnections().length,
      bootstrap: mesh.bootstrap(),
      models: [...served, ...pending],
      jobs: requester.counts(),
    }
  }

  let stopped: Promise<void> | undefined
  const hurry = new AbortController()
  async function stop(drainMs: number): Promise<void> {
    // First no new work, then the work at hand, then the rest; what is served is withdrawn as the mesh is left.
    await provider.stop(drainMs, hurry.signal)
    stopping.abort()
    await lanes.close()
    requester.stop()
    finder.stop()
    await inferenceServer.stop(hurry.signal.aborted ? 0 : Math.min(drainMs, FLUSH_MS))
    await filesServer.stop()
    client.close()
    await mesh.stop()
  }

  return {
    peerId: host.peerId.toString(),
    multiaddrs: () => host.getMultiaddrs().map(String),
    provide,
    describe,
    submit: async (request) => {
      const { manifest } = await describe(request.model, request.signal)
      try {
        return await requester.submit(request, manifest)
      } catch (error) {
        throw provider.models().some(({ cid }) => cid === request.model) ? notOneself(error) : error
      }
    },
    status,
    peers: () =>
      book.peers(now()).map(({ peerId, addresses, connected, rttMs, models, results, disagreed }) => ({
        peerId,
        addresses,
        connected,
        rttMs,
        models: models.map(({ cid, queued, serviceMs }) => ({ cid, queued, serviceMs })),
        results,
        disagreed,
      })),
    stop: ({ drainMs = DRAIN_DEFAULT_MS } = {}) => {
      if (drainMs === 0) hurry.abort()
      stopped ??= stop(drainMs)
      return stopped
    },
  }
}

/** A volunteer who tries its own node is told why that finds nobody. */
function notOneself(error: unknown): unknown {
  if (!(error instanceof JobError) || error.failure.code !== 'not-enough-providers') return error
  return new JobError({
    ...error.failure,
    message: `${error.failure.message} This node provides the model itself, but does not count itself: its own word would check nothing.`,
  })
}

/** What the machine has, or the container that this process is in; 0 or a huge number says that there is no limit. */
function memoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
}
