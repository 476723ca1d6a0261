/**
 * The compliance suite over real nodes and real libp2p, on loopback. The nodes are shared: a scenario is a model of its
 * own, and a node behaves by the model that it is asked for.
 */
import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'uvu'
import type { Manifest } from '../../models/manifest/index.ts'
import { createStubRuntime, type ModelRuntime } from '../../models/runtime/index.ts'
import { createMemoryModelStore } from '../../models/store/index.ts'
import { digestTensors, encodeTensors, float32Tensor, SALT_BYTES } from '../../models/tensor/index.ts'
import type { Host } from '../../peers/host/index.ts'
import { loadOrCreateIdentity } from '../../peers/identity/index.ts'
import { createSigner, type Signer } from '../../protocols/envelope/index.ts'
import { INFERENCE_PROTOCOL, type InferenceAnswer } from '../../protocols/inference/index.ts'
import { openReceipt, sealReceipt } from '../../protocols/receipt/index.ts'
import {
  createLyingRuntime,
  createSilentRuntime,
  createSlowRuntime,
  randomNoise,
} from '../../src/adversary/index.ts'
import type { NodeParts } from '../../src/node/config.ts'
import { JobError, type VerimeshNode } from '../../src/node/index.ts'
import { scratchDirectory, startNode, stopNodes, untilKnown } from '../fixtures/nodes.ts'
import {
  type Behaviour,
  type ComplianceJob,
  type ComplianceOutcome,
  type CreateMesh,
  type MeshTimes,
  SCENARIOS,
} from './suite.ts'

/** An honest answer takes milliseconds; a machine that is busy with other tests must not make it late. */
const TIMES: MeshTimes = {
  attemptTimeoutMs: 1_000,
  patienceMs: 500,
  slowMs: 1_400,
  observeMs: 1_500,
  timeoutMs: 15_000,
}
/** What a run of the model takes: long enough for a refusal to arrive before the answers of the others. */
const SERVICE_MS = 30
const PROVIDERS = 5

const SIGNATURE: Manifest['signature'] = {
  inputs: [{ name: 'x', dtype: 'float32', dims: ['n'] }],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['n'] }],
}
const INPUT = float32Tensor('x', [4], new Float32Array([1, -2, 3, 0.5]))

interface Peer {
  readonly node: VerimeshNode
  /** By model. */
  readonly behaviours: Map<string, Behaviour>
}

const store = createMemoryModelStore()
const evidence = new Map<string, ComplianceOutcome['evidence'][number][]>()
let requester: VerimeshNode
let providers: readonly Peer[]
let right: Uint8Array

test.before(async () => {
  const first = await startProvider([])
  const others = Array.from({ length: PROVIDERS - 1 }, () => startProvider([first.node]))
  providers = [first, ...(await Promise.all(others))]
  requester = await startNode({
    bootstrap: [first.node],
    listen: [],
    parts: {
      store: createMemoryModelStore(),
      requesterLimits: { patienceMs: TIMES.patienceMs },
      attemptTimeoutMs: TIMES.attemptTimeoutMs,
      observeMs: TIMES.observeMs,
      onEvidence: (jobId, provider, kind) => {
        const soFar = evidence.get(jobId) ?? []
        evidence.set(jobId, [...soFar, { provider, evidence: kind }])
      },
    },
  })
  right = await honestOutputs()
})
test.after(stopNodes)

let meshes = 0
const createMesh: CreateMesh = async (behaviours) => {
  const { cid } = await addModel(`scenario-${++meshes}`)
  const peers = await Promise.all(
    behaviours.map(async (behaviour, index) => {
      // Who is going to die takes nobody else's scenario along.
      const peer = behaviour === 'crashing' ? await startProvider([providers[0]!.node]) : providers[index]!
      peer.behaviours.set(cid, behaviour)
      await peer.node.provide(cid)
      return peer.node.peerId
    }),
  )
  await requester.describe(cid)
  await untilKnown(requester, cid, peers)
  return {
    providers: peers,
    submit: (job) => submit(cid, job),
    stop: async () => {
      for (const peer of providers) peer.behaviours.delete(cid)
    },
  }
}

async function submit(model: string, { replicas, timeoutMs }: ComplianceJob): Promise<ComplianceOutcome> {
  let jobId = ''
  const startedAtMs = performance.now()
  try {
    const result = await requester.submit({
      model,
      inputs: [INPUT],
      replicas,
      timeoutMs,
      onProgress: (progress) => {
        jobId = progress.jobId
      },
    })
    const elapsedMs = performance.now() - startedAtMs
    const { verdict } = await result.closed
    return {
      isRight: Buffer.compare(encodeTensors(result.outputs), right) === 0,
      verdict,
      failure: undefined,
      evidence: evidence.get(jobId) ?? [],
      elapsedMs,
    }
  } catch (error) {
    if (!(error instanceof JobError)) throw error
    return {
      isRight: undefined,
      verdict: undefined,
      failure: error.failure,
      evidence: evidence.get(jobId) ?? [],
      elapsedMs: performance.now() - startedAtMs,
    }
  }
}

async function startProvider(bootstrap: readonly VerimeshNode[]): Promise<Peer> {
  const behaviours = new Map<string, Behaviour>()
  const dataDirectory = await scratchDirectory()
  const { rawPrivateKey } = await loadOrCreateIdentity(dataDirectory)
  const crash = (host: Host): void => {
    for (const connection of host.getConnections()) connection.abort(new Error('the provider dies'))
    void node.stop({ drainMs: 0 })
  }
  const parts = misbehaving(behaviours, createSigner(rawPrivateKey), crash)
  const node = await startNode({ dataDirectory, bootstrap, parts })
  return { node, behaviours }
}

/** Parts of a node that behaves as `behaviours` says for each model. `crash` makes it as good as dead. */
function misbehaving(
  behaviours: ReadonlyMap<string, Behaviour>,
  signer: Signer,
  crash: (host: Host) => void,
): NodeParts {
  let host: Host | undefined
  /** Requesters whose answers are sent twice, until they ask for something else. */
  const twice = new Set<string>()
  return {
    store,
    onHost: (started) => {
      host = started
      repeatAnswers(started, twice)
    },
    createRuntime: () =>
      createStubRuntime({
        seed: 1,
        signature: SIGNATURE,
        serviceMs: SERVICE_MS,
        delay: (ms, signal) => wait(ms, undefined, { signal }),
      }),
    wrapRuntime: (runtime, { cid }) => misbehavingRuntime(runtime, behaviours.get(cid), signer.peerId),
    wrapHandler: (answer) => async (request, signal) => {
      const behaviour = behaviours.get(request.job.model)
      if (behaviour === 'answering-twice') twice.add(request.remotePeer)
      else twice.delete(request.remotePeer)
      if (behaviour === 'busy')
        return { kind: 'refused', code: 'busy', message: 'always busy', retryAfterMs: 50 }
      if (behaviour === 'crashing' && host !== undefined) {
        crash(host)
        return new Promise<never>(() => {})
      }
      return tampered(await answer(request, signal), behaviour, signer)
    },
  }
}

/** Whatever the inference protocol sends to one of `twice` goes out two times: small answers leave in one piece. */
function repeatAnswers(host: Host, twice: ReadonlySet<string>): void {
  const handle = host.handle.bind(host)
  host.handle = (protocol, handler, options) =>
    handle(
      protocol,
      (stream, connection) => {
        const send = stream.send.bind(stream)
        stream.send = (data) => {
          const copy = data.slice()
          const more = send(data)
          return protocol === INFERENCE_PROTOCOL && twice.has(String(connection.remotePeer))
            ? send(copy)
            : more
        }
        return handler(stream, connection)
      },
      options,
    )
}

function misbehavingRuntime(
  runtime: ModelRuntime,
  behaviour: Behaviour | undefined,
  peerId: string,
): ModelRuntime {
  switch (behaviour) {
    case 'lying':
      // Each in its own way: these liars do not collude.
      return createLyingRuntime(runtime, {
        strategy: randomNoise,
        seed: createHash('sha256').update(peerId).digest().readUInt32LE(),
      })
    case 'silent':
      return createSilentRuntime(runtime)
    case 'slow':
      return createSlowRuntime(runtime, (signal) => wait(TIMES.slowMs, undefined, { signal }))
    default:
      return runtime
  }
}

function tampered(
  answer: InferenceAnswer,
  behaviour: Behaviour | undefined,
  signer: Signer,
): InferenceAnswer {
  if (answer.kind !== 'result') return answer
  if (behaviour === 'answering-another-job') {
    const { receipt } = openReceipt(answer.receipt)
    const other = { ...receipt, jobCommitment: new Uint8Array(receipt.jobCommitment.byteLength).fill(7) }
    return { ...answer, receipt: sealReceipt(signer, other) }
  }
  if (behaviour === 'badly-signing') {
    const receipt = answer.receipt.slice()
    // The signature stands last in an envelope.
    receipt[receipt.byteLength - 1]! ^= 1
    return { ...answer, receipt }
  }
  return answer
}

function addModel(name: string): Promise<{ cid: string }> {
  const file = new TextEncoder().encode('a stub runs instead')
  const manifest: Manifest = {
    verimesh: 1,
    name,
    model: 'model.onnx',
    files: [
      {
        path: 'model.onnx',
        bytes: file.byteLength,
        sha256: createHash('sha256').update(file).digest('hex'),
      },
    ],
    signature: SIGNATURE,
    lanes: ['native'],
    tolerance: { tau: 1e-5 },
    batching: { independent: false },
  }
  return store.addFiles(manifest, new Map([['model.onnx', file]]))
}

async function honestOutputs(): Promise<Uint8Array> {
  const salt = new Uint8Array(SALT_BYTES)
  const inputs = encodeTensors([INPUT])
  const runtime = createStubRuntime({ seed: 1, signature: SIGNATURE })
  const execution = { inputs, salt, inputDigest: digestTensors(salt, inputs) }
  const [outcome] = await runtime.execute([execution], new AbortController().signal)
  if (!outcome?.ok) throw new Error('the stub must answer')
  return outcome.value.outputs
}

for (const { name, run } of SCENARIOS) test(`over libp2p: ${name}`, () => run(createMesh, TIMES))

test.run()
