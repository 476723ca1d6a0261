import { randomBytes, randomInt } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { peerIdFromString } from '@libp2p/peer-id'
import { sourceOf } from '../../models/catalogue/index.ts'
import {
  createExactRuntime,
  createNativeRuntime,
  type ExactRuntime,
  exactRuntimeInfo,
  type Lane,
  type ModelRuntime,
} from '../../models/runtime/index.ts'
import { openModelStore, type StoredModel } from '../../models/store/index.ts'
import {
  decodeTensors,
  digestTensorsInBackground,
  encodeTensors,
  SALT_BYTES,
} from '../../models/tensor/index.ts'
import { systemClock } from '../../peers/clock/index.ts'
import { createEphemeralIdentity, loadOrCreateIdentity } from '../../peers/identity/index.ts'
import { joinMesh } from '../../peers/mesh/index.ts'
import { createOpenCalls, type OpenCalls } from '../../peers/open-calls/index.ts'
import { createDisputeClient, createDisputeServer } from '../../protocols/dispute/index.ts'
import { createSigner } from '../../protocols/envelope/index.ts'
import { createInferenceClient, createInferenceServer } from '../../protocols/inference/index.ts'
import { createModelFilesServer, fetchModelBlocks } from '../../protocols/model-files/index.ts'
import { createProvider } from '../provider/index.ts'
import { createRequester } from '../requester/index.ts'
import { createRandom } from '../routing/index.ts'
import { createCanaries } from './canaries.ts'
import { now } from './clock.ts'
import type { NodeConfig } from './config.ts'
import {
  ALIVE_TIMEOUT_MS,
  DESCRIBE_CALLED,
  DRAIN_DEFAULT_MS,
  FLUSH_MS,
  MODEL_MEMORY_PART,
  REMEMBERED_SHOWN_MAX,
  REPLAYER_IDLE_MS,
} from './constants.ts'
import { createDescriber } from './describing.ts'
import { createDisputing } from './disputing.ts'
import { createExactLanes, isKeptWarm } from './exact-lanes.ts'
import { createFinder } from './finding.ts'
import { JobError, NodeError, type NodeStatus, type PeerStatus, type VerimeshNode } from './node.ts'
import { createOpenCalling } from './open-calling.ts'
import { absentPeer, briefly } from './peer-status.ts'
import { openProofs, type ProvenKey } from './proofs.ts'
import { createProviderDriver, type ProviderDriver } from './provider-driver.ts'
import { createReceiptDatabase } from './receipt-database.ts'
import { createRechecking } from './rechecking.ts'
import { createReplaying, runAlone } from './replaying.ts'
import { openNodeReputation } from './reputation.ts'
import { createRequesterDriver } from './requester-driver.ts'
import { createTracing, type TraceableModel } from './tracing.ts'
import { VERSION } from './version.ts'

/**
 * Starts a node: joins the mesh, takes jobs for what it provides, sends jobs for whoever holds it. Resolves once it
 * listens; bootstraps are dialled behind it, for ever. Throws HostError, IdentityError or StoreError; nothing keeps
 * running then.
 */
export async function createNode(config: NodeConfig): Promise<VerimeshNode> {
  const opened: Closer[] = []
  try {
    return await openNode(config, opened)
  } catch (error) {
    for (const close of opened.toReversed()) {
      try {
        await close()
      } catch (cause) {
        // Why there is no node is what the caller has to know.
        config.log.warn('a part of a node that did not start could not be closed', { error: String(cause) })
      }
    }
    throw error
  }
}

/** Closes a part of a node, which would keep the process alive. */
type Closer = () => unknown

/** `opened` takes how to close what is open, in the order of opening, for when the rest fails. */
async function openNode(config: NodeConfig, opened: Closer[]): Promise<VerimeshNode> {
  const { dataDirectory, log, parts = {} } = config
  const startedAtMs = performance.now()
  // A key and people's inputs lie there.
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 })
  const store = parts.store ?? (await openModelStore(config.storeDirectory ?? dataDirectory))
  const identity = config.ephemeral
    ? await createEphemeralIdentity()
    : await loadOrCreateIdentity(dataDirectory)
  const signer = createSigner(identity.rawPrivateKey)

  const lanes = createExactLanes({
    store,
    // Beside the models: nodes that share them share what was measured of them.
    dataDirectory: config.storeDirectory ?? dataDirectory,
    create: createExact,
    log,
  })
  const stopping = new AbortController()
  /** Whoever is found out before there is anything that could rest on its word is met again below. */
  let isReady = false
  const reputation = await openNodeReputation({
    dataDirectory,
    log,
    onFoundOut: distrust,
    ...(parts.reputation === undefined ? {} : { params: parts.reputation }),
  })
  opened.push(() => reputation.close())
  const proofs = await openProofs({ dataDirectory, lanes, log, concerns, onExposed: expose })
  opened.push(() => proofs.stop())
  let openCalls: OpenCalls | undefined
  let freeLanes: ProviderDriver['freeLanes'] = () => []

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
    onHost: async (libp2p) => {
      parts.onHost?.(libp2p)
      await proofs.start(libp2p)
      openCalls = createOpenCalls({
        ...{ host: libp2p, signer, log, random: Math.random },
        // Wall time, which calls are judged by: it goes on while the machine sleeps.
        clock: systemClock,
        lanesFor: ({ model, lane }) => {
          const free = freeLanes(model)
          return lane === undefined || free.includes(lane) ? free : []
        },
        hears: config.ephemeral !== true,
      })
      opened.push(() => openCalls?.stop())
      await openCalls.start()
    },
  })
  opened.push(async () => {
    // What speaks through the host ends before it does.
    await openCalls?.stop()
    await proofs.stop()
    await mesh.stop()
  })
  const { host, book } = mesh
  const finder = createFinder({ mesh, reputation, isExposed: proofs.isExposed, log })

  const openCalling = createOpenCalling({
    mesh,
    calls: openCalls!,
    isExposed: proofs.isExposed,
    exemptPrivate: config.exemptPrivateAddresses ?? true,
    ...(parts.offerWindowMs === undefined ? {} : { windowMs: parts.offerWindowMs }),
    log,
  })

  const client = createInferenceClient({
    libp2p: {
      getConnections: (peer) => host.getConnections(peer),
      // By the addresses in the book, which come from gossip too.
      dial: (peer, options) => mesh.connect(String(peer), options?.signal ?? stopping.signal),
    },
  })
  const rechecking = createRechecking({
    again,
    index: createReceiptDatabase(dataDirectory, { log }),
    suffices: reputation.suffices,
    onRecheck: (recheck) => config.onRecheck?.(recheck),
    log,
  })
  opened.push(() => rechecking.close())
  const replaying = createReplaying({
    store,
    create: (model) => parts.createRuntime?.(model) ?? createNative(model, REPLAYER_IDLE_MS),
    log,
  })
  const disputing = createDisputing({
    client: createDisputeClient({ libp2p: host }),
    lanes,
    laneId: exactRuntimeInfo().version,
    replaying,
    signer,
    log,
    isAlive: async (peer, signal) => {
      try {
        const bounded = AbortSignal.any([signal, AbortSignal.timeout(ALIVE_TIMEOUT_MS)])
        await host.services.ping.ping(peerIdFromString(peer), { signal: bounded })
        return true
      } catch {
        return false
      }
    },
    onProof: proofs.publish,
    proofPath: proofs.pathOf,
  })
  const requester = createRequesterDriver({
    machine: createRequester({
      random: createRandom(randomInt(2 ** 32)),
      reputation: reputation.params,
      ...(parts.requesterLimits === undefined ? {} : { limits: parts.requesterLimits }),
    }),
    parts,
    client,
    signer,
    book,
    find: finder.find,
    openCalling,
    disputing,
    reputation,
    onClosed: rechecking.settled,
    log,
  })
  isReady = true
  for (const provider of reputation.condemned()) requester.exposed(provider)
  for (const proven of proofs.exposed()) expose(proven)
  const canaries = createCanaries({
    rate: config.canaryRate ?? 0,
    submit: (request, manifest) => requester.submit(request, manifest, { isBackground: true }),
    holds: lanes.holds,
    run: runHere,
    random: { next: () => randomInt(2 ** 32) / 2 ** 32 },
    newKey: () => randomBytes(32),
    onCanary: (report) => config.onCanary?.(report),
    log,
  })
  const loading = new Map<string, { name: string; state: 'loading' | 'failed' }>()
  const instructionSets = new Map<string, string>()
  const provider = createProviderDriver({
    machine: createProvider({}),
    signer,
    log,
    announce: (model, lanes, load) =>
      mesh.serve(model, {
        lanes,
        // The exact lane may be ready first, and has one of its own.
        instructionSet: instructionSets.get(model) ?? exactRuntimeInfo().instructionSet,
        ...load,
      }),
  })
  freeLanes = provider.freeLanes
  /** Which exact lanes may be asked for traces. */
  const traceable = new Map<string, TraceableModel>()
  const disputed = { traced: 0, untraced: 0 }
  const tracing = createTracing({
    signer,
    modelOf: (cid) =>
      traceable.get(cid) ?? { refused: 'cannot-trace', reason: 'no exact lane of it runs here' },
  })
  const disputeServer = createDisputeServer({
    libp2p: host,
    signer,
    handler: async (demand, signal) => {
      const answer = await tracing(demand, signal)
      disputed[answer.kind === 'committed' ? 'traced' : 'untraced'] += 1
      return answer
    },
    onError: (peer, error) => log.warn('a peer broke the dispute protocol', { peer, error }),
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
  await disputeServer.start()
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

  /** From the store, else from whom the person wants to be asked. */
  const describeBy: VerimeshNode['describe'] = (cid, signal, { openCall = false } = {}) =>
    describe(
      cid,
      signal,
      openCall ? (search) => openCalling.findAny({ ...search, atLeast: DESCRIBE_CALLED }) : undefined,
    )

  function createNative({ manifest, modelPath }: StoredModel, idleMs?: number) {
    return createNativeRuntime({
      modelPath,
      signature: manifest.signature,
      batching: manifest.batching.independent,
      memoryBytesMax: config.modelMemoryBytesMax ?? Math.floor(memoryBytes() * MODEL_MEMORY_PART),
      threads: config.threads ?? Math.max(1, Math.floor(availableParallelism() / 2)),
      ...(idleMs === undefined ? {} : { idleMs }),
      onLog: (level, message) => log[level](message, { model: manifest.name }),
    })
  }

  async function loadNative(model: StoredModel): Promise<ModelRuntime> {
    const runtime = createNative(model)
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
        ...(role === 'provider' ? { isKept: isKeptWarm } : {}),
        onLog: (level, message) => log[level](message, { model: manifest.name, lane: 'exact' }),
      })
    return parts.wrapExact?.(runtime, model, role) ?? runtime
  }

  /** Serves the exact lane of a model, once this machine has shown that it traces alike twice. Resolves with whether it does. */
  async function provideExact(model: StoredModel): Promise<boolean> {
    const { manifest, cid } = model
    traceable.set(cid, { refused: 'busy', reason: 'the exact lane of this machine is being checked' })
    const { ok, reason } = await lanes.judge(model)
    if (stopping.signal.aborted) return false
    if (ok) provider.add(model, lanes.provider(model))
    traceable.set(cid, ok ? { runtime: lanes.provider(model) } : { refused: 'cannot-trace', reason })
    log[ok ? 'info' : 'warn'](ok ? 'providing the exact lane' : 'the exact lane is not provided', {
      model: manifest.name,
      cid,
      reason,
    })
    return ok
  }

  async function provide(cid: string): Promise<void> {
    const model = store.get(cid)
    if (model === undefined) {
      throw new NodeError(
        'unknown-model',
        `${cid} is not in the store of this node: add it with verimesh models add ${sourceOf(cid)}`,
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
      } else await exact
      loading.delete(cid)
      log.info('providing', { model: manifest.name, cid })
      // After what people wait for: a dispute may never come.
      exact
        ?.then((isProvided) => (isProvided ? lanes.warm(model) : undefined))
        .catch((error: unknown) => log.debug('the exact lane was not begun', { cid, error }))
    } catch (error) {
      loading.set(cid, { name: manifest.name, state: 'failed' })
      throw error
    }
  }

  /** Notices about models whose proofs this node can verify: it uses them, or provides them. */
  function concerns({ model }: { readonly model: string }): boolean {
    return store.get(model)?.manifest.plan !== undefined
  }

  /** A proof against a key was verified. */
  function expose({ accused, model, jobId }: ProvenKey): void {
    reputation.proved({ provider: accused, modelClass: model, jobId })
    // Who is known from an earlier run is told to nobody.
    if (isReady) requester.exposed(accused)
  }

  /** Somebody was found out: nothing rests on its word any more, and where that was proved, it is asked no more. */
  function distrust(provider: string, isProved: boolean): void {
    if (!isReady) return
    if (isProved) requester.exposed(provider)
    rechecking.foundOut(provider)
  }

  /** An answer once more, without the exposed: from this machine, where it holds the model. */
  async function again(
    model: string,
    inputs: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ outputs: Uint8Array; by: string }> {
    const runtime = lanes.referee(model)
    if (runtime !== undefined) {
      return { outputs: (await runtime.trace(inputs, signal)).outputs, by: 'this machine' }
    }
    const { manifest } = await describe(model, signal)
    const request = { model, inputs: decodeTensors(inputs), signal }
    const result = await requester.submit(request, manifest, { isBackground: true })
    return { outputs: encodeTensors(result.outputs), by: 'the mesh' }
  }

  /** What this machine's own lane of a model gives; undefined where it has none. */
  async function runHere(
    model: string,
    lane: Lane,
    inputs: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const salt = new Uint8Array(SALT_BYTES)
    const job = { inputs, salt, inputDigest: await digestTensorsInBackground(salt, inputs) }
    if (lane === 'native') return replaying.run(model, job, signal)
    const runtime = lanes.referee(model)
    return runtime && (await runAlone(runtime, job, signal)).outputs
  }

  /** Of the models that are provided, by address, those of which no exact lane runs here. */
  function untraceable(names: ReadonlyMap<string, string>): NodeStatus['standing']['untraceable'] {
    return [...names].flatMap(([cid, name]) => {
      const lane = traceable.get(cid)
      if (lane !== undefined && 'runtime' in lane) return []
      const hasPlan = store.get(cid)?.manifest.plan !== undefined
      const why = hasPlan ? 'its exact lane is switched off (--no-exact)' : 'the model has no exact lane'
      return { cid, name, reason: lane?.reason ?? why }
    })
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
      standing: {
        condemned: proofs.isExposed(host.peerId.toString()),
        ...disputed,
        untraceable: untraceable(new Map([...served, ...pending].map(({ cid, name }) => [cid, name]))),
      },
    }
  }

  function metPeers(): PeerStatus[] {
    return book.peers(now()).map(({ peerId, addresses, connected, rttMs, models, results, disagreed }) => ({
      peerId,
      addresses,
      connected,
      rttMs,
      models: models.map(({ cid, queued, serviceMs }) => ({ cid, queued, serviceMs })),
      results,
      disagreed,
      exposed: proofs.isExposed(peerId),
      standing: briefly(reputation.standing(peerId)),
    }))
  }

  /** Those of whom something was seen once, and who are not about. */
  function rememberedPeers(): PeerStatus[] {
    const met = new Set(book.peers(now()).map(({ peerId }) => peerId))
    const others = reputation.remembered(REMEMBERED_SHOWN_MAX).filter(({ provider }) => !met.has(provider))
    return others.map((standing) => absentPeer(standing, proofs.isExposed(standing.provider)))
  }

  let stopped: Promise<void> | undefined
  const hurry = new AbortController()
  async function stop(drainMs: number): Promise<void> {
    // First no new work, then the work at hand, then the rest; what is served is withdrawn as the mesh is left.
    await provider.stop(drainMs, hurry.signal)
    stopping.abort()
    rechecking.stop()
    canaries.stop()
    requester.stop()
    await disputeServer.stop()
    await proofs.stop()
    await replaying.close()
    await lanes.close()
    finder.stop()
    openCalling.stop()
    await openCalls?.stop()
    await inferenceServer.stop(hurry.signal.aborted ? 0 : Math.min(drainMs, FLUSH_MS))
    await filesServer.stop()
    client.close()
    await mesh.stop()
    await rechecking.idle()
    rechecking.close()
    await reputation.close()
  }

  // A command does its own work first: see `idle`.
  if (!config.ephemeral) rechecking.resume(reputation.foundOut())

  return {
    peerId: host.peerId.toString(),
    multiaddrs: () => host.getMultiaddrs().map(String),
    provide,
    seek: finder.seek,
    describe: describeBy,
    submit: async (request) => {
      const canaryRate = canaries.rateOf(request)
      const { manifest } = await describeBy(request.model, request.signal, request)
      try {
        const result = await requester.submit(request, manifest)
        void result.closed.then(() => canaries.followed(request, manifest, canaryRate))
        return result
      } catch (error) {
        throw provider.models().some(({ cid }) => cid === request.model) ? notOneself(error) : error
      }
    },
    probe: async (request) =>
      canaries.probe(request, (await describe(request.model, request.signal)).manifest),
    status,
    idle: async ({ signal, onWaiting } = {}) => {
      rechecking.resume(reputation.foundOut())
      const waiting = () => ({ canaries: canaries.waiting(), rechecks: rechecking.waiting() })
      if (canaries.waiting() + rechecking.waiting() > 0) onWaiting?.(waiting())
      // What a canary brings to light may put answers in doubt.
      await orAborted(
        canaries.idle().then(() => rechecking.idle()),
        signal,
      )
      return waiting()
    },
    peers: () => [...metPeers(), ...rememberedPeers()],
    standing: reputation.standing,
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

/** Resolves with `work`, or when the signal fires. */
async function orAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work
  const aborted = Promise.withResolvers<void>()
  const onAbort = (): void => aborted.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  await Promise.race([work, aborted.promise])
  signal.removeEventListener('abort', onAbort)
}

/** What the machine has, or the container that this process is in; 0 or a huge number says that there is no limit. */
function memoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
}
