/** Jobs that are called out: nodes on loopback, with real libp2p, and a requester that knows nobody who could help it. */
import { createHash } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Manifest } from '../../models/manifest/index.ts'
import { createStubRuntime } from '../../models/runtime/index.ts'
import { createMemoryModelStore } from '../../models/store/index.ts'
import { digestTensors, encodeTensors, float32Tensor } from '../../models/tensor/index.ts'
import type { Host } from '../../peers/host/index.ts'
import { loadOrCreateIdentity } from '../../peers/identity/index.ts'
import { createSigner, type Signer } from '../../protocols/envelope/index.ts'
import { encodeFrame, FramedStream, SYSTEM_CLOCK } from '../../protocols/framing/index.ts'
import { INFERENCE_PROTOCOL, type InferenceAnswer } from '../../protocols/inference/index.ts'
import { decodeRequest, encodeReply } from '../../protocols/inference/messages.ts'
import { OPEN_CALL_TOPIC, openCallId, sealOffer, sendOffers } from '../../protocols/open-call/index.ts'
import { openJob, sealReceipt } from '../../protocols/receipt/index.ts'
import { JobError, type SubmitRequest, type VerimeshNode } from '../../src/node/index.ts'
import { meshPeers } from '../fixtures/gossip.ts'
import { testReceipt } from '../fixtures/jobs.ts'
import { scratchDirectory, startNode, stopNodes } from '../fixtures/nodes.ts'
import { until } from '../fixtures/until.ts'

const SIGNATURE: Manifest['signature'] = {
  inputs: [{ name: 'x', dtype: 'float32', dims: ['n'] }],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['n'] }],
}
/** Bytes that occur nowhere by accident. */
const INPUT = float32Tensor('x', [4], new Float32Array([1.2345678, -9.876543, 3.3333333, 7.7777777]))
const OUTPUT = float32Tensor('y', [4], new Float32Array([1, 2, 3, 4]))
const OTHER = encodeTensors([float32Tensor('y', [4], new Float32Array([4, 3, 2, 1]))])

interface Provider {
  readonly node: VerimeshNode
  readonly host: Host
  readonly signer: Signer
}

const store = createMemoryModelStore()
/** Peer ids of those who were given inputs, by model. */
const given = new Map<string, string[]>()
/** What answers in place of a provider's own, by model. */
const answers = new Map<
  string,
  (provider: string, honest: Promise<InferenceAnswer>) => Promise<InferenceAnswer>
>()
/** Everything that came over the topic of calls, at whoever hears it, with what was in it. */
const overheard = new Map<string, Uint8Array>()
const evidence: { provider: string; evidence: string }[] = []
let hosted = 0
/** Hosts nothing; everybody's bootstrap, and the requester's only neighbour. */
let middle: Provider
let providers: readonly Provider[]
let requester: VerimeshNode
/** A model of all three. Its offers hold for some jobs, so that there are no more calls than a node may make. */
let cid: string

test.before(async () => {
  middle = await startProvider()
  providers = await Promise.all([1, 2, 3].map(() => startProvider(middle.node)))
  requester = await startNode({
    bootstrap: [middle.node],
    listen: [],
    ephemeral: true,
    parts: {
      store: createMemoryModelStore(),
      attemptTimeoutMs: 4_000,
      observeMs: 1_000,
      requesterLimits: { patienceMs: 2_000 },
      onHost: findNobody,
      onEvidence: (_job, provider, kind) => void evidence.push({ provider, evidence: kind }),
    },
  })
  cid = await provided('model')
  await until('the mesh for calls has formed', () => meshPeers(middle.host, OPEN_CALL_TOPIC).length === 3)
})
test.before.each(() => {
  given.clear()
  answers.clear()
  evidence.length = 0
})
test.after(stopNodes)

test('a requester that knows nobody and whom the DHT tells nothing is answered by those whom it called', async () => {
  const blind = await failureOf({ model: cid, inputs: [INPUT], replicas: 2 })
  assert.is(blind.failure.code, 'not-enough-providers')
  assert.equal(knownProviders(cid), [])

  const result = await callOut(cid, { replicas: 2, quorum: 2 })
  assert.equal(Buffer.from(encodeTensors(result.outputs)), Buffer.from(encodeTensors([OUTPUT])))
  const { verdict } = await result.closed
  assert.equal([verdict.label, verdict.agreed.length, verdict.asked], ['replicated', 2, 2])
  assert.equal(given.get(cid)?.toSorted(), [...verdict.agreed], 'only who was drawn has the input')
})

test('nothing that follows from the input is in what everybody hears: not its bytes, its digest, or the job', async () => {
  const secret = await provided('private')
  overheard.clear()
  const result = await callOut(secret)
  await result.closed
  assert.ok(overheard.size > 0)
  const payload = Buffer.from(encodeTensors([INPUT]))
  const heard = Buffer.concat([...overheard.values()])
  for (let at = 0; at + 4 <= INPUT.data.byteLength; at += 4) {
    assert.is(heard.indexOf(INPUT.data.subarray(at, at + 4)), -1, `four bytes of the input at ${at}`)
  }
  assert.is(heard.indexOf(payload.subarray(0, 8)), -1)
  assert.is(heard.indexOf(Buffer.from(result.jobId, 'hex').subarray(0, 8)), -1, 'the commitment of the job')
  assert.is(heard.indexOf(createHash('sha256').update(payload).digest().subarray(0, 8)), -1)
  // Whoever was not drawn has heard no more than that.
  assert.is(given.get(secret)?.length, 2)
  assert.ok(heard.includes(secret), 'this is the call')
})

test('jobs about one model that are submitted at once are called out together, and each is drawn for itself', async () => {
  overheard.clear()
  const results = await Promise.all(Array.from({ length: 12 }, () => callOut(cid)))
  for (const result of results) assert.is((await result.closed).verdict.agreed.length, 2)
  assert.ok(overheard.size <= 2, `${overheard.size} calls`)
  const drawn = new Set(given.get(cid))
  assert.is(drawn.size, 3, 'twelve draws of two of three')
})

test('no answer is asked for before all that were asked have committed to theirs', async () => {
  const slow = Promise.withResolvers<void>()
  const ready: string[] = []
  answers.set(cid, async (provider, honest) => {
    ready.push(provider)
    if (ready.length === 2) await slow.promise
    return honest
  })
  let answered = 0
  const asking = callOut(cid, {
    onProgress: (progress) => (answered = Math.max(answered, progress.answered)),
  })
  await until('both are at work', () => ready.length === 2)
  // A whole job of its own meanwhile: the quick one's answer would long be here.
  await (await callOut(cid)).closed
  assert.is(answered, 0)
  slow.resolve()
  assert.is((await (await asking).closed).verdict.agreed.length, 2)
})

test('one that is silent holds the others up for its window and no longer, and that it was silent is told', async () => {
  let silent: string | undefined
  answers.set(cid, (provider, honest) => {
    silent ??= provider
    return provider === silent ? new Promise(() => {}) : honest
  })
  const startedAtMs = performance.now()
  const result = await callOut(cid, { replicas: 3, quorum: 2 })
  const elapsedMs = performance.now() - startedAtMs
  const { verdict } = await result.closed
  assert.is(verdict.agreed.length, 2)
  assert.not(verdict.agreed.includes(silent!))
  // Three quarters of the 4 s that one provider is waited for.
  assert.ok(elapsedMs >= 3_000, `${elapsedMs} ms`)
  assert.equal(
    evidence.filter((entry) => entry.evidence !== 'agreed'),
    [{ provider: silent!, evidence: 'timed-out' }],
  )
})

test('a busy provider costs another one a place, and is held against nobody', async () => {
  let busy: string | undefined
  answers.set(cid, async (provider, honest) => {
    busy ??= provider
    if (provider !== busy) return honest
    return { kind: 'refused', code: 'busy', message: 'not now', retryAfterMs: 20_000 }
  })
  const { verdict } = await (await callOut(cid)).closed
  assert.equal([verdict.agreed.length, verdict.asked], [2, 3])
  assert.ok(evidence.every((entry) => entry.evidence === 'agreed'))
})

/** What somebody does who offers itself, is drawn, and does not keep to the protocol. */
const CHEATS: readonly (readonly [string, (framed: FramedStream, cheat: Cheat) => unknown, string])[] = [
  [
    'shows another answer than it had committed to',
    async (framed, { commit, show }) => {
      commit()
      await framed.readFrame(64)
      show()
    },
    'violated-protocol',
  ],
  ['answers at once where it must commit', (_framed, { show }) => show(), 'violated-protocol'],
  [
    'commits and then refuses to show its answer',
    async (framed, { commit }) => {
      commit()
      await framed.readFrame(64)
      framed.write(
        encodeFrame(encodeReply({ kind: 'refused', code: 'busy', message: 'after all', retryAfterMs: 1 })),
      )
    },
    'timed-out',
  ],
]
for (const [what, act, expected] of CHEATS) {
  test(`one that ${what} is replaced, and it is told what it did: ${expected}`, async () => {
    const cheated = await provided(`cheated: ${what}`, providers.slice(0, 2))
    const cheat = await startCheat(cheated, act)
    // Drawn in two of three jobs.
    for (let job = 0; job < 30 && !evidence.some(({ provider }) => provider === cheat.peerId); job++) {
      const { verdict } = await (await callOut(cheated)).closed
      assert.equal(
        [...verdict.agreed],
        providers
          .slice(0, 2)
          .map(({ node }) => node.peerId)
          .sort(),
      )
    }
    assert.equal(
      evidence.filter((entry) => entry.evidence !== 'agreed'),
      [{ provider: cheat.peerId, evidence: expected }],
    )
    await cheat.stop()
  })
}

test('one that offers what it does not host is found out when it is drawn, costs a place, and is not drawn again', async () => {
  const hostless = await provided('not hosted', providers.slice(0, 2))
  let asked = 0
  const liar = await startCheat(hostless, (framed) => {
    asked++
    framed.write(
      encodeFrame(
        encodeReply({
          kind: 'refused',
          code: 'unknown-model',
          message: 'never heard of it',
          retryAfterMs: 0,
        }),
      ),
    )
  })
  for (let job = 0; job < 30 && asked === 0; job++) {
    const { verdict } = await (await callOut(hostless)).closed
    assert.is(verdict.agreed.length, 2)
  }
  assert.is(asked, 1, 'drawn in two of three jobs')
  for (let job = 0; job < 10; job++) await (await callOut(hostless)).closed
  assert.is(asked, 1)
  assert.ok(
    evidence.every((entry) => entry.evidence === 'agreed'),
    'a refusal is no evidence',
  )
  await liar.stop()
})

test('a mesh in which nobody hosts the model says so, in time', async () => {
  const { cid: nowhere } = await addModel('hosted by nobody')
  const startedAtMs = performance.now()
  const { failure } = await failureOf({ model: nowhere, inputs: [INPUT], openCall: true })
  assert.equal([failure.code, failure.found], ['not-enough-providers', 0])
  assert.ok(performance.now() - startedAtMs < 30_000)
})

test.run()

function callOut(model: string, change: Partial<SubmitRequest> = {}) {
  return requester.submit({ model, inputs: [INPUT], replicas: 2, quorum: 2, openCall: true, ...change })
}

function knownProviders(model: string): string[] {
  return requester
    .peers()
    .filter(({ models }) => models.some((known) => known.cid === model))
    .map(({ peerId }) => peerId)
}

async function failureOf(request: SubmitRequest): Promise<JobError> {
  try {
    await requester.submit(request)
  } catch (error) {
    assert.instance(error, JobError)
    return error as JobError
  }
  throw new Error('the job was answered')
}

/** Whatever the DHT knows, this node is not told. */
function findNobody(host: Host): void {
  host.services.dht.findProviders = async function* () {}
}

async function provided(name: string, by = providers): Promise<string> {
  const added = await addModel(name)
  await Promise.all(by.map(({ node }) => node.provide(added.cid)))
  return added.cid
}

async function startProvider(bootstrap?: VerimeshNode): Promise<Provider> {
  const dataDirectory = await scratchDirectory()
  const signer = createSigner((await loadOrCreateIdentity(dataDirectory)).rawPrivateKey)
  let host: Host | undefined
  const node = await startNode({
    dataDirectory,
    bootstrap: bootstrap === undefined ? [] : [bootstrap],
    parts: {
      store,
      onHost: (created) => {
        host = created
      },
      createRuntime: () => createStubRuntime({ seed: 1, signature: SIGNATURE, transform: () => [OUTPUT] }),
      wrapHandler: (answer) => (request, signal) => {
        const { model } = request.job
        given.set(model, [...(given.get(model) ?? []), node.peerId])
        const honest = answer(request, signal)
        return answers.get(model)?.(node.peerId, honest) ?? honest
      },
    },
  })
  const { topicValidators } = host!.services.gossip
  const validate = topicValidators.get(OPEN_CALL_TOPIC)!
  topicValidators.set(OPEN_CALL_TOPIC, (peer, message) => {
    overheard.set(Buffer.from(message.data).toString('hex'), message.data)
    return validate(peer, message)
  })
  return { node, host: host!, signer }
}

interface Cheat {
  /** To an answer of its own. */
  commit(): void
  /** An answer that it had not committed to, with a good receipt. */
  show(): void
}

/** Somebody who hosts nothing, offers itself for the model, and acts when it is asked. It can describe the model. */
async function startCheat(
  model: string,
  act: (framed: FramedStream, cheat: Cheat) => unknown,
): Promise<{ peerId: string; stop(): Promise<void> }> {
  const { node, host, signer } = await startProvider(middle.node)
  const { topicValidators } = host.services.gossip
  const validate = topicValidators.get(OPEN_CALL_TOPIC)!
  topicValidators.set(OPEN_CALL_TOPIC, (neighbour, message) => {
    if (message.type === 'signed' && Buffer.from(message.data).includes(model)) {
      const call = openCallId(message.from.toString(), message.data)
      const multiaddrs = host.getMultiaddrs().map(String)
      const offers = [sealOffer(signer, { call, lanes: ['native'], multiaddrs })]
      sendOffers(host.getConnections(neighbour)[0]!, () => offers.shift()).catch(() => 'it may be gone')
    }
    return validate(neighbour, message)
  })
  await host.unhandle(INFERENCE_PROTOCOL)
  await host.handle(INFERENCE_PROTOCOL, async (stream) => {
    const framed = new FramedStream(stream, SYSTEM_CLOCK)
    try {
      for (;;) {
        const { job: envelope, salt, inputBytes } = decodeRequest(await framed.readFrame(2000))
        await framed.readBytes(new Uint8Array(inputBytes))
        const { commitment: jobCommitment } = openJob(envelope)
        const receipt = sealReceipt(
          signer,
          testReceipt(jobCommitment, OTHER, { outputDigest: digestTensors(salt, OTHER) }),
        )
        await act(framed, {
          commit: () => {
            const commitment = createHash('sha256').update('something else').digest()
            framed.write(encodeFrame(encodeReply({ kind: 'committed', jobCommitment, commitment })))
          },
          show: () => {
            const shown = { kind: 'result', jobCommitment, outputBytes: OTHER.byteLength } as const
            const blinding = new Uint8Array(32).fill(1)
            framed.write(encodeFrame(encodeReply({ ...shown, blinding })), OTHER, encodeFrame(receipt))
          },
        })
      }
    } catch (error) {
      framed.abort(error instanceof Error ? error : new Error('closed'))
    }
  })
  await until('it hears calls', () => meshPeers(middle.host, OPEN_CALL_TOPIC).includes(node.peerId))
  return { peerId: node.peerId, stop: () => node.stop({ drainMs: 0 }) }
}

function addModel(name: string): Promise<{ cid: string }> {
  const file = new TextEncoder().encode('a stub runs instead')
  const sha256 = createHash('sha256').update(file).digest('hex')
  return store.addFiles(
    {
      verimesh: 1,
      name: `${++hosted} ${name}`,
      model: 'model.onnx',
      files: [{ path: 'model.onnx', bytes: file.byteLength, sha256 }],
      signature: SIGNATURE,
      lanes: ['native'],
      tolerance: { tau: 1e-5 },
      batching: { independent: false },
    },
    new Map([['model.onnx', file]]),
  )
}
