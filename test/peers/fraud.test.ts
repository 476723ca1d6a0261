/** Fraud proofs between real hosts on loopback. A proof is stood in for by a text that says how it will be judged. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Clock, systemClock } from '../../peers/clock/index.ts'
import {
  createFraudService,
  createProofStore,
  type Exposure,
  FRAUD_TOPIC,
  type FraudService,
  type FraudServiceOptions,
  type ProofStore,
  type ProofSummary,
} from '../../peers/fraud/index.ts'
import { createHost, type Host } from '../../peers/host/index.ts'
import { createEphemeralIdentity } from '../../peers/identity/index.ts'
import {
  createProofServer,
  encodeFraudNotice,
  encodeFraudProof,
  type FraudNotice,
  type FraudVerdict,
  fetchFraudProof,
  fraudProofId,
  PROOF_BYTES_MAX,
  PROOF_EXCHANGE_PROTOCOL,
  ProofExchangeError,
  proveEquivocation,
  verifyFraudProof,
} from '../../protocols/fraud/index.ts'
import { sealReceipt } from '../../protocols/receipt/index.ts'
import { testJob, testReceipt } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { until } from '../fixtures/until.ts'

const MODEL = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const log = { debug() {}, info() {}, warn() {} }
const open: { stop(): unknown }[] = []
const directories: string[] = []
test.after.each(async () => {
  for (const one of open.splice(0).reverse()) await one.stop()
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

const key = (seed: number) => seededSigner(seed).peerId

interface Claim extends ProofSummary {
  readonly truth: 'valid' | 'invalid' | 'undecided'
}

function proofOf(claim: Partial<Claim> = {}): Uint8Array {
  const complete: Claim = {
    accused: key(1),
    kind: 'execution',
    model: MODEL,
    jobId: 'job',
    publishable: true,
    truth: 'valid',
    ...claim,
  }
  return new TextEncoder().encode(JSON.stringify(complete))
}

function read(bytes: Uint8Array): Claim | undefined {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

function judgement(claim: Claim | undefined): FraudVerdict {
  switch (claim?.truth) {
    case 'valid':
      return { status: 'valid', ...claim }
    case 'undecided':
      return { status: 'undecided', code: 'unknown-model', message: 'says the proof itself' }
    default:
      return { status: 'invalid', code: 'malformed', message: 'says the proof itself' }
  }
}

const noticeOf = (bytes: Uint8Array, change: Partial<FraudNotice> = {}): FraudNotice => {
  const { accused, kind, model } = read(bytes) ?? read(proofOf())!
  const id = createHash('sha256').update(bytes).digest('hex')
  return { id, accused, kind, model, bytes: bytes.byteLength, ...change }
}

interface FraudNode {
  readonly host: Host
  readonly id: string
  readonly store: ProofStore
  readonly service: FraudService
  readonly exposed: Exposure[]
  /** Proofs that were verified, in order. */
  readonly verified: Claim[]
}

/** A node with a service, connected to `neighbours`. Whatever is not changed concerns it and is believed. */
async function startNode(
  neighbours: readonly { host: Host }[] = [],
  change: Partial<FraudServiceOptions> & { directory?: string } = {},
): Promise<FraudNode> {
  const host = await bareHost()
  const directory = change.directory ?? scratch()
  const store = await createProofStore(directory, { clock: systemClock, log })
  const exposed: Exposure[] = []
  const verified: Claim[] = []
  const service = createFraudService({
    host,
    store,
    verify: async (bytes) => {
      const claim = read(bytes)
      if (claim !== undefined) verified.push(claim)
      return judgement(claim)
    },
    concerns: () => true,
    onExposed: (exposure) => exposed.push(exposure),
    clock: systemClock,
    random: () => 0.5,
    log,
    ...change,
  })
  await service.start()
  open.push(service)
  for (const neighbour of neighbours) await host.dial(neighbour.host.getMultiaddrs())
  return { host, id: host.peerId.toString(), store, service, exposed, verified }
}

async function bareHost(): Promise<Host> {
  const { privateKey } = await createEphemeralIdentity()
  // No servers of the DHT: they would find and dial each other, and nobody were two hops away from anybody.
  const host = await createHost({ privateKey, listen: ['/ip4/127.0.0.1/tcp/0'], dht: 'client' })
  open.push(host)
  return host
}

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'verimesh-fraud-'))
  directories.push(directory)
  return directory
}

const publish = (node: FraudNode, proof: Uint8Array) =>
  node.service.publish(proof, new AbortController().signal)

/** A neighbour of `victim` that says and serves what it likes, and counts how often it was asked. */
async function hostileNeighbour(victim: FraudNode, served: readonly Uint8Array[] = []) {
  const host = await bareHost()
  const byId = new Map(served.map((bytes) => [noticeOf(bytes).id, bytes]))
  const asked: string[] = []
  const server = createProofServer({
    libp2p: host,
    proofOf: (id) => {
      asked.push(id)
      const bytes = byId.get(id)
      return bytes === undefined ? undefined : { bytes: bytes.byteLength, read: async () => bytes }
    },
  })
  await server.start()
  // A validator that takes nothing: without one, everything on the topic would be passed on.
  host.services.gossip.subscribe(FRAUD_TOPIC)
  await host.dial(victim.host.getMultiaddrs())
  const { gossip } = host.services
  await until('the victim listens', () => gossip.getSubscribers(FRAUD_TOPIC).length > 0)
  const say = async (data: Uint8Array) => {
    // For some ms a subscriber has no stream yet.
    await until('said', async () => (await gossip.publish(FRAUD_TOPIC, data)).recipients.length > 0)
  }
  const demerits = () => victim.host.services.demerits.of(host.peerId.toString(), systemClock.now())
  /** Whether a proof was asked for, and nothing of it is on its way any more. */
  const isFetched = () =>
    asked.length > 0 &&
    host
      .getConnections()
      .flatMap(({ streams }) => streams)
      .every(({ protocol }) => protocol !== PROOF_EXCHANGE_PROTOCOL)
  return {
    host,
    asked,
    isFetched,
    say,
    demerits,
    tell: (notice: FraudNotice) => say(encodeFraudNotice(notice)),
  }
}

/** Runs `act` and resolves when the victim's validator has judged so many messages since. */
async function heard(victim: FraudNode, count: number, act: () => Promise<unknown>): Promise<void> {
  const { topicValidators } = victim.host.services.gossip
  const validator = topicValidators.get(FRAUD_TOPIC)!
  let judged = 0
  topicValidators.set(FRAUD_TOPIC, (peer, message) => {
    judged++
    return validator(peer, message)
  })
  await act()
  await until(`${count} messages were heard`, () => judged >= count)
  topicValidators.set(FRAUD_TOPIC, validator)
}

test('a proof goes from who made it through who verified it to who is no neighbour of it, once each', async () => {
  const accuser = await startNode()
  const middle = await startNode([accuser])
  const far = await startNode([middle])
  const proof = proofOf()
  const published = await publish(accuser, proof)
  assert.is(published.verdict.status, 'valid')
  assert.ok(published.told)
  await until('the far node knows', () => far.exposed.length === 1)
  for (const node of [middle, far]) {
    assert.equal(
      node.exposed.map(({ accused, origin }) => [accused, origin]),
      [[key(1), 'gossip']],
    )
    assert.is(node.verified.length, 1)
    assert.equal(Buffer.from((await node.store.get(key(1)))!), Buffer.from(proof))
  }
  assert.equal(accuser.exposed, [], 'who made it knows already')
  assert.is(accuser.store.find(key(1))?.origin, 'own')
})

test('who comes later is told, by who made the proof and by who only verified it, after a restart too', async () => {
  const directory = scratch()
  const accuser = await startNode([], { directory })
  const second = await startNode([accuser])
  for (const seed of [1, 2, 3]) await publish(accuser, proofOf({ accused: key(seed) }))
  await until('verified', () => second.exposed.length === 3)
  await accuser.service.stop()
  await accuser.host.stop()
  const late = await startNode([second])
  await until('told by who verified it', () => late.exposed.length === 3)

  const again = await startNode([], { directory })
  assert.ok(again.store.has(key(1)))
  const later = await startNode([again])
  await until('told after a restart', () => later.exposed.length === 3)
})

test('who begins to care later is told by the heartbeat, in turn, and in between nobody speaks', async () => {
  const clock = new HandClock()
  const accuser = await startNode([], { clock })
  let cares = false
  const late = await startNode([accuser], { concerns: () => cares })
  const { gossip } = accuser.host.services
  const publishNow = gossip.publish.bind(gossip)
  let told = 0
  let reached = 0
  gossip.publish = async (...message) => {
    told++
    const result = await publishNow(...message)
    reached += result.recipients.length
    return result
  }
  for (const seed of [1, 2]) await publish(accuser, proofOf({ accused: key(seed) }))
  let before = -1
  await until('both are told, and nothing is due any more', () => {
    const isQuiet = reached >= 2 && before === told
    before = told
    clock.advance(3_000)
    return isQuiet
  })
  assert.equal(late.exposed, [])
  cares = true
  before = told
  clock.advance(15_000)
  assert.is(told, before)
  for (const count of [1, 2]) {
    clock.advance(33_000)
    await until('one more is told', () => late.exposed.length === count)
  }
  assert.equal(late.exposed.map(({ accused }) => accused).sort(), [key(1), key(2)].sort())
})

test('whom a proof does not concern fetches nothing and passes nothing on', async () => {
  const accuser = await startNode()
  const middle = await startNode([accuser], { concerns: ({ model }) => model !== MODEL })
  const far = await startNode([middle])
  await heard(middle, 1, () => publish(accuser, proofOf()))
  await publish(accuser, proofOf({ accused: key(2), model: 'bafkother' }))
  await until('the far node hears what concerns the middle', () => far.exposed.length === 1)
  assert.is(far.exposed[0]?.accused, key(2))
  assert.equal(
    middle.verified.map(({ accused }) => accused),
    [key(2)],
  )
})

test('a proof about a private job is kept and neither told nor served; nor is one that the owner holds back', async () => {
  const accuser = await startNode([], { publishable: ({ accused }) => accused !== key(2) })
  const neighbour = await startNode([accuser])
  const hidden = [proofOf({ publishable: false }), proofOf({ accused: key(2) })]
  for (const proof of hidden) {
    const { exposure, told } = await publish(accuser, proof)
    assert.not(told)
    assert.ok(exposure !== undefined && accuser.store.isHeld(exposure.accused))
    await fetchFraudProof(neighbour.host, accuser.id, noticeOf(proof)).then(
      () => assert.unreachable('it was served'),
      (error: unknown) => assert.ok(error instanceof ProofExchangeError && error.code === 'unknown-proof'),
    )
  }
  await publish(accuser, proofOf({ accused: key(3) }))
  await until('what may be told is told', () => neighbour.exposed.length > 0)
  assert.equal(
    neighbour.exposed.map(({ accused }) => accused),
    [key(3)],
  )
})

test('a node tells nobody of a proof of its own that is not valid', async () => {
  const accuser = await startNode()
  for (const truth of ['invalid', 'undecided'] as const) {
    const published = await publish(accuser, proofOf({ truth }))
    assert.equal(published, {
      verdict: judgement(read(proofOf({ truth }))),
      exposure: undefined,
      told: false,
    })
  }
  assert.is((await publish(accuser, Buffer.from('no proof'))).verdict.status, 'invalid')
  assert.equal(accuser.store.list(), [])
})

/** Each tells of something false and serves what it says. None of it may expose anybody; each costs its score. */
const LIES: readonly (readonly [string, Uint8Array, Partial<FraudNotice>, 'asked' | 'not asked'])[] = [
  ["a slanderer's invalid proof", proofOf({ truth: 'invalid' }), {}, 'asked'],
  ['a notice of another accused than the proof’s', proofOf(), { accused: key(2) }, 'asked'],
  ['a notice of another kind', proofOf(), { kind: 'wiring' }, 'asked'],
  ['a notice of another model', proofOf(), { model: 'bafkother' }, 'asked'],
  ['bytes that are no proof', Buffer.from('nothing of the sort'), {}, 'asked'],
  ['a notice of another length', proofOf(), { bytes: 1 }, 'asked'],
  ['a proof about a private job', proofOf({ publishable: false }), {}, 'asked'],
]
for (const [what, proof, change] of LIES) {
  test(`${what} exposes nobody, is not passed on and costs its teller the score`, async () => {
    const victim = await startNode()
    const witness = await startNode([victim])
    const liar = await hostileNeighbour(victim, [proof])
    await liar.tell(noticeOf(proof, change))
    await until('the liar lost its score', () => liar.demerits() > 80)
    assert.equal(victim.store.list(), [])
    assert.equal(witness.verified, [])
    assert.equal(victim.exposed, [])

    // What is true is still believed, from somebody else, also about the same key.
    await publish(witness, proofOf({ accused: change.accused ?? key(1) }))
    await until('the truth came', () => victim.exposed.length === 1)
  })
}

test('bytes that are not those of the id cost the score', async () => {
  const victim = await startNode()
  const liar = await bareHost()
  const server = createProofServer({
    libp2p: liar,
    proofOf: () => ({ bytes: proofOf().byteLength, read: async () => new Uint8Array(proofOf().byteLength) }),
  })
  await server.start()
  await liar.dial(victim.host.getMultiaddrs())
  const { gossip } = liar.services
  await until(
    'said',
    async () =>
      (await gossip.publish(FRAUD_TOPIC, encodeFraudNotice(noticeOf(proofOf())))).recipients.length > 0,
  )
  const { demerits } = victim.host.services
  await until('noticed', () => demerits.of(liar.peerId.toString(), systemClock.now()) > 80)
  assert.equal(victim.verified, [])
})

test('what is undecided or not served exposes nobody and costs nobody a score; who does serve it is heard', async () => {
  const victim = await startNode()
  const undecided = proofOf({ truth: 'undecided' })
  const honest = await hostileNeighbour(victim, [undecided])
  await honest.tell(noticeOf(undecided))
  await until('looked at', () => victim.verified.length === 1)
  await honest.tell(noticeOf(proofOf({ accused: key(2) })))
  await until('asked in vain', () => honest.asked.length === 2)
  assert.is(honest.demerits(), 0)
  assert.equal(victim.store.list(), [])

  const other = await hostileNeighbour(victim, [undecided])
  await heard(victim, 1, () => other.tell(noticeOf(undecided)))
  await publish(await startNode([victim]), proofOf({ accused: key(2) }))
  await until('fetched from who has it', () => victim.exposed.length === 1)
  assert.equal(other.asked, [], 'what was undecided is not looked at again so soon')
})

test('a flood of false notices costs the flooder its score and us one verification', async () => {
  const victim = await startNode()
  const lies = Array.from({ length: 60 }, (_, index) =>
    proofOf({ jobId: `${index}`, accused: key(index + 1), truth: 'invalid' }),
  )
  const flooder = await hostileNeighbour(victim, lies)
  await heard(victim, 30, async () => {
    for (const lie of lies) await flooder.tell(noticeOf(lie))
  })
  await until('the flooder lost its score', () => flooder.demerits() > 80)
  await publish(await startNode([victim]), proofOf({ accused: key(99) }))
  await until('the truth came', () => victim.exposed.length === 1)
  assert.is(victim.verified.filter(({ truth }) => truth === 'invalid').length, 1)
  assert.ok(flooder.asked.length <= 1, `asked ${flooder.asked.length} times`)
  assert.is(victim.store.list().length, 1)
})

test('notices that nobody serves cost a fetch a minute, however many they are', async () => {
  const victim = await startNode()
  const flooder = await hostileNeighbour(victim)
  await heard(victim, 40, async () => {
    for (let index = 0; index < 40; index++)
      await flooder.tell(noticeOf(proofOf({ jobId: `${index}`, accused: key(index + 1) })))
  })
  await until('asked', () => flooder.asked.length > 0)
  await publish(await startNode([victim]), proofOf({ accused: key(99) }))
  await until('the truth came', () => victim.exposed.length === 1)
  assert.is(flooder.asked.length, 1)
  assert.is(flooder.demerits(), 0, 'perhaps a network was cut')
})

test('a liar that is first with a notice of a key, and never serves it, does not keep the truth away', async () => {
  const victim = await startNode()
  const liar = await bareHost()
  const asked = Promise.withResolvers<void>()
  const server = createProofServer({
    libp2p: liar,
    proofOf: () => ({
      bytes: proofOf().byteLength,
      read: () => {
        asked.resolve()
        return new Promise(() => {})
      },
    }),
  })
  await server.start()
  await liar.dial(victim.host.getMultiaddrs())
  const { gossip } = liar.services
  await until(
    'said',
    async () =>
      (await gossip.publish(FRAUD_TOPIC, encodeFraudNotice(noticeOf(proofOf())))).recipients.length > 0,
  )
  await asked.promise
  await publish(await startNode([victim]), proofOf())
  await until('the truth came meanwhile', () => victim.exposed.length === 1)
})

test('one verification runs at a time, however many neighbours tell something new', async () => {
  let running = 0
  let most = 0
  const release = Promise.withResolvers<void>()
  const victim = await startNode([], {
    verify: async (bytes) => {
      most = Math.max(most, ++running)
      await release.promise
      running--
      return judgement(read(bytes))
    },
  })
  const proofs = [1, 2, 3].map((seed) => proofOf({ accused: key(seed) }))
  const tellers = await Promise.all(proofs.map((proof) => hostileNeighbour(victim, [proof])))
  await Promise.all(tellers.map((teller, index) => teller.tell(noticeOf(proofs[index]!))))
  await until('all are fetched', () => tellers.every(({ isFetched }) => isFetched()) && running > 0)
  assert.is(running, 1)
  release.resolve()
  await until('all are verified', () => victim.store.list().length === 3)
  assert.is(most, 1)
})

test('a replay of what is known costs nothing, and nobody the score', async () => {
  const victim = await startNode()
  const proof = proofOf()
  const news = proofOf({ accused: key(2) })
  await publish(victim, proof)
  const replayer = await hostileNeighbour(victim, [proof, news])
  await heard(victim, 20, async () => {
    for (let count = 0; count < 20; count++) await replayer.tell(noticeOf(proof))
  })
  assert.is(victim.verified.length, 1)
  assert.equal(replayer.asked, [])
  assert.is(replayer.demerits(), 0)
  await replayer.tell(noticeOf(news))
  await until('what is new is heard from it all the same', () => victim.exposed.length === 1)
})

test('a notice that is malformed or too long costs its neighbour, and one that another wrote is not followed', async () => {
  const victim = await startNode()
  const hostile = await hostileNeighbour(victim)
  await heard(victim, 3, async () => {
    await hostile.say(new TextEncoder().encode('garbage'))
    await hostile.say(new Uint8Array(2_000))
    await hostile.say(encodeFraudNotice(noticeOf(proofOf())).subarray(0, -1))
  })
  assert.ok(hostile.demerits() > 25)

  const relay = await hostileNeighbour(victim, [proofOf()])
  const author = await bareHost()
  author.services.gossip.subscribe(FRAUD_TOPIC)
  relay.host.services.gossip.topicValidators.set(FRAUD_TOPIC, () => 'accept' as never)
  await author.dial(relay.host.getMultiaddrs())
  const { gossip } = author.services
  await heard(victim, 1, () =>
    until(
      'said',
      async () =>
        (await gossip.publish(FRAUD_TOPIC, encodeFraudNotice(noticeOf(proofOf())))).recipients.length > 0,
    ),
  )
  assert.equal(relay.asked, [])
  assert.is(relay.demerits(), 0)
})

test('a proof larger than any is not even named', () => {
  assert.throws(() => encodeFraudNotice(noticeOf(proofOf(), { bytes: PROOF_BYTES_MAX + 1 })))
})

test('a verification that never ends is given up, and one that fails is nobody’s fault', async () => {
  const clock = new HandClock()
  let aborted = 0
  const victim = await startNode([], {
    clock,
    verify: (bytes, signal) => {
      if (read(bytes)?.jobId === 'fails') return Promise.reject(new Error('our own fault'))
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          aborted++
          if (read(bytes)?.jobId === 'heeds') resolve(judgement(read(proofOf({ truth: 'undecided' }))))
        })
      })
    },
  })
  const proofs = ['heeds', 'heeds not', 'fails'].map((jobId, seed) => proofOf({ jobId, accused: key(seed) }))
  const tellers = await Promise.all(proofs.map((proof) => hostileNeighbour(victim, [proof])))
  for (const [index, teller] of tellers.entries()) await teller.tell(noticeOf(proofs[index]!))
  await until('all are fetched', () => tellers.every(({ isFetched }) => isFetched()))
  await until('given up', () => {
    clock.advance(10_000)
    return aborted === 2
  })
  for (const teller of tellers) assert.is(teller.demerits(), 0)
  assert.equal(victim.store.list(), [])
})

test('a real proof is made, told, fetched, verified and kept; a slander made of the same statements is not', async () => {
  const laneId = '1.30.0+wasm.0123456789abcdef+trace.1'
  const liar = seededSigner(5)
  const terms = {
    lane: 'exact',
    policy: { replicas: 2, quorum: 2, referee: true, publicDisputes: true },
  } as const
  const job = testJob(seededSigner(6), new Uint8Array(4), terms)
  const receiptOf = (outputs: number, signer = liar) =>
    sealReceipt(
      signer,
      testReceipt(job.commitment, new Uint8Array(4).fill(outputs), {
        runtime: {
          ...{ engine: 'onnxruntime-web', version: laneId, lane: 'exact' },
          ...{ instructionSet: 'wasm32-simd', batched: false },
        },
      }),
    )
  const verifier = { modelOf: () => undefined, laneId }
  const signal = new AbortController().signal
  const { bytes } = await proveEquivocation(
    { job: job.envelope, receipts: [receiptOf(1), receiptOf(2)] },
    verifier,
    signal,
  )
  const verify: FraudServiceOptions['verify'] = (proof, limit) => verifyFraudProof(proof, verifier, limit)
  const accuser = await startNode([], { verify })
  const hearer = await startNode([accuser], { verify })
  assert.ok((await accuser.service.publish(bytes, signal)).told)
  await until('exposed', () => hearer.exposed.length === 1)
  assert.is(hearer.store.find(liar.peerId)?.jobId, Buffer.from(job.commitment).toString('hex'))

  const receipts = [receiptOf(1), receiptOf(2, seededSigner(8))].sort(Buffer.compare) as [
    Uint8Array,
    Uint8Array,
  ]
  const slander = encodeFraudProof({ claim: 'receipts', job: job.envelope, receipts })
  const slanderer = await hostileNeighbour(hearer, [slander])
  const id = fraudProofId(slander)
  const notice = { id, bytes: slander.byteLength, kind: 'equivocation', model: MODEL } as const
  await slanderer.tell({ ...notice, accused: key(8) })
  await until('the slanderer lost its score', () => slanderer.demerits() > 80)
  assert.is(hearer.store.list().length, 1)
})

/** A clock that stands still until it is advanced. */
class HandClock implements Clock {
  #nowMs = 1_000_000
  readonly #timers = new Map<symbol, { atMs: number; task: () => void }>()

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = Symbol('timer')
    this.#timers.set(timer, { atMs: this.#nowMs + delayMs, task })
    return () => this.#timers.delete(timer)
  }

  advance(byMs: number): void {
    this.#nowMs += byMs
    for (const [timer, { atMs, task }] of [...this.#timers]) {
      if (atMs > this.#nowMs || !this.#timers.delete(timer)) continue
      task()
    }
  }
}

test.run()
