/** Open calls between real hosts on loopback, honest and otherwise. */
import { type TopicValidatorFn, TopicValidatorResult } from '@libp2p/gossipsub'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Lane } from '../../models/runtime/index.ts'
import { type Clock, systemClock } from '../../peers/clock/index.ts'
import { createHost, type Host } from '../../peers/host/index.ts'
import { createEphemeralIdentity } from '../../peers/identity/index.ts'
import {
  type CallTerms,
  createOpenCalls,
  type OpenCalls,
  OpenCallsError,
  type OpenCallsErrorCode,
  type OpenCallsOptions,
  type ReceivedOffer,
} from '../../peers/open-calls/index.ts'
import { createSigner, type Signer } from '../../protocols/envelope/index.ts'
import { encodeFrame } from '../../protocols/framing/index.ts'
import {
  encodeOpenCall,
  OFFER_PROTOCOL,
  OPEN_CALL_TOPIC,
  openCallId,
  sealOffer,
} from '../../protocols/open-call/index.ts'
import { untilMeshed } from '../fixtures/gossip.ts'
import { MODEL } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { until } from '../fixtures/until.ts'

const log = { debug() {}, info() {}, warn() {} }
const TERMS: CallTerms = {
  model: MODEL,
  lane: undefined,
  replicas: 2,
  referee: false,
  publicDisputes: false,
  timeoutMs: 30_000,
  windowMs: 10_000,
}
/** For what does not depend on anything that comes within it. */
const SHORT = { ...TERMS, windowMs: 400 }
const SIGNAL = new AbortController().signal
const open: { stop(): unknown }[] = []
test.after.each(async () => {
  for (const one of open.splice(0).reverse()) await one.stop()
})

interface Node {
  readonly host: Host
  readonly id: string
  readonly signer: Signer
  readonly calls: OpenCalls
  /** Calls that it was asked about, in order. */
  readonly heard: string[]
  /** Who offered itself for calls of this node, in order. */
  readonly offered: string[]
  /** Makes a call, and closes its window once the condition holds, however long that takes. */
  callUntil(condition: (offered: readonly string[]) => boolean): Promise<readonly ReceivedOffer[]>
}

/** A node that is connected to `neighbours` and serves nothing unless `lanes` says so. */
async function startNode(
  neighbours: readonly { readonly host: Host }[] = [],
  { lanes, listen = true, ...change }: Partial<OpenCallsOptions> & { lanes?: Lane[]; listen?: boolean } = {},
): Promise<Node> {
  const { host, signer } = await bareHost(listen)
  const heard: string[] = []
  const offered: string[] = []
  const windows: (() => void)[] = []
  const clock: Clock = {
    now: systemClock.now,
    // The end of a window is the test's.
    after(delayMs, task) {
      if (delayMs !== TERMS.windowMs) return systemClock.after(delayMs, task)
      windows.push(task)
      return () => {}
    },
  }
  const calls = createOpenCalls({
    host,
    signer,
    lanesFor: (_call, caller) => {
      heard.push(caller)
      return lanes
    },
    hears: true,
    clock,
    random: () => 0,
    log: {
      ...log,
      debug: (_message, fields) => void (fields?.provider && offered.push(String(fields.provider))),
    },
    ...change,
  })
  await calls.start()
  open.push(calls)
  for (const neighbour of neighbours) await connect(host, neighbour.host)
  const callUntil = async (condition: (offered: readonly string[]) => boolean) => {
    const calling = calls.call(TERMS, SIGNAL)
    await until('the window is open', () => windows.length > 0)
    await until('the offers have come', () => condition(offered))
    windows.shift()?.()
    return calling
  }
  return { host, id: host.peerId.toString(), signer, calls, heard, offered, callUntil }
}

const some = (count: number) => (offered: readonly string[]) => offered.length >= count

async function bareHost(listen = true): Promise<{ host: Host; signer: Signer }> {
  const { privateKey, rawPrivateKey } = await createEphemeralIdentity()
  // No servers of the DHT: they would find and dial each other, and nobody were two hops away from anybody.
  const host = await createHost({ privateKey, listen: listen ? ['/ip4/127.0.0.1/tcp/0'] : [], dht: 'client' })
  open.push(host)
  return { host, signer: createSigner(rawPrivateKey) }
}

async function connect(host: Host, neighbour: Host): Promise<void> {
  await host.dial(neighbour.getMultiaddrs())
  await untilMeshed(host, neighbour, OPEN_CALL_TOPIC)
}

const demeritsOf = (of: Host, at: Host) => at.services.demerits.of(of.peerId.toString(), systemClock.now())

/** A connected stranger that says what it likes, to `victim`, which it can hear too. */
async function stranger(victim: Node) {
  const { host, signer } = await bareHost()
  const heard: { author: string; data: Uint8Array }[] = []
  const { gossip } = host.services
  gossip.topicValidators.set(OPEN_CALL_TOPIC, (_neighbour, message) => {
    if (message.type === 'signed') heard.push({ author: message.from.toString(), data: message.data })
    return TopicValidatorResult.Ignore
  })
  gossip.subscribe(OPEN_CALL_TOPIC)
  await connect(host, victim.host)
  return {
    host,
    signer,
    heard,
    gossip: (data: Uint8Array) => gossip.publish(OPEN_CALL_TOPIC, data),
    /** A stream for offers to the victim. */
    stream: () => host.getConnections(victim.host.peerId)[0]!.newStream(OFFER_PROTOCOL),
    demerits: () => demeritsOf(host, victim.host),
  }
}

test('an offer comes back the way of its call, over nodes that do not serve the model, to a caller that nobody can dial', async () => {
  const far = await startNode([], { lanes: ['native', 'exact'] })
  const second = await startNode([far])
  const first = await startNode([second])
  const caller = await startNode([first], { listen: false, hears: false })
  const offers = await caller.callUntil(some(1))
  assert.equal(
    offers.map(({ provider, lanes }) => ({ provider, lanes })),
    [{ provider: far.id, lanes: ['native', 'exact'] }],
  )
  const [address] = offers[0]!.multiaddrs
  assert.is(address, `${far.host.getMultiaddrs()[0]}`)
  assert.equal([first.heard, second.heard], [[caller.id], [caller.id]])
  // Nobody was dialled for it.
  assert.equal(
    [caller, first, second, far].map(({ host }) => host.getConnections().length),
    [1, 2, 2, 1],
  )
})

test('every provider offers itself once, and who does not serve the model not at all', async () => {
  const middle = await startNode()
  const hosts = await Promise.all([1, 2, 3].map(() => startNode([middle], { lanes: ['native'] })))
  await startNode([middle])
  await startNode([middle], { lanes: [] })
  const caller = await startNode([middle], { listen: false, hears: false })
  const all = hosts.map(({ id }) => id).sort()
  // A second call is another call.
  for (const times of [1, 2]) {
    const offers = await caller.callUntil(some(3 * times))
    assert.equal(offers.map(({ provider }) => provider).sort(), all)
  }
})

test('a call takes its whole window, and what comes after it is not taken', async () => {
  const late = Promise.withResolvers<() => void>()
  const slow = heldBack(late.resolve)
  const middle = await startNode()
  const host = await startNode([middle], { lanes: ['native'], clock: slow })
  const caller = await startNode([middle], { listen: false, hears: false })
  const startedAtMs = systemClock.now()
  const offers = await caller.calls.call(SHORT, SIGNAL)
  assert.equal(offers, [])
  assert.ok(systemClock.now() - startedAtMs >= SHORT.windowMs)
  const offer = await late.promise
  offer()
  const idle = () => host.host.getConnections().every(({ streams }) => streams.every(isNoOffer))
  await until('the late offer was sent', idle)
  assert.equal(offers, [])
  assert.is(demeritsOf(host.host, middle.host), 0, 'being late is no fault')
})

test('a call is passed on at once, whatever the node itself makes of it', async () => {
  const never: Clock = { ...systemClock, after: () => () => {} }
  const far = await startNode([], { lanes: ['native'] })
  // It wants the job too, and its own moment never comes.
  const middle = await startNode([far], { lanes: ['native'], clock: never })
  const caller = await startNode([middle], { listen: false, hears: false })
  const offers = await caller.callUntil(some(1))
  assert.equal(
    offers.map(({ provider }) => provider),
    [far.id],
  )
})

test('a caller that others can reach over a connection of their own has the offer from there', async () => {
  const caller = await startNode()
  const relay = await startNode([caller])
  const host = await startNode([relay, caller], { lanes: ['native'] })
  let relayed = 0
  await relay.host.unhandle(OFFER_PROTOCOL)
  await relay.host.handle(OFFER_PROTOCOL, () => void relayed++)
  const offers = await caller.callUntil(some(1))
  assert.equal(
    offers.map(({ provider }) => provider),
    [host.id],
  )
  assert.is(relayed, 0)
})

test('the neighbour that is first with a call may lose the offer: it goes other ways too', async () => {
  const caller = await startNode()
  const honest = await startNode([caller])
  const lossy = await startNode([caller])
  const late = Promise.withResolvers<() => void>()
  const slowly = heldBack(late.resolve)
  const host = await startNode([honest, lossy], { lanes: ['native'], clock: slowly })
  await lossy.host.unhandle(OFFER_PROTOCOL)
  await lossy.host.handle(OFFER_PROTOCOL, (stream) => stream.abort(new Error('lost')))
  // The honest one is always late with a call.
  const { topicValidators } = honest.host.services.gossip
  const validate = topicValidators.get(OPEN_CALL_TOPIC)!
  const slow: TopicValidatorFn = async (neighbour, message) => {
    const before = honest.heard.length
    await until('the provider has heard it', () => host.heard.length > before)
    return validate(neighbour, message)
  }
  topicValidators.set(OPEN_CALL_TOPIC, slow)
  const calling = caller.callUntil(some(1))
  const offer = await late.promise
  await until('the honest one has heard it too', () => honest.heard.length > 0)
  offer()
  assert.equal(
    (await calling).map(({ provider }) => provider),
    [host.id],
  )
})

test('whoever is alone is told that nobody heard it, after a while', async () => {
  let nowMs = systemClock.now()
  const hurried: Clock = {
    now: () => nowMs,
    after(delayMs, task) {
      nowMs += delayMs
      queueMicrotask(task)
      return () => {}
    },
  }
  const alone = await startNode([], { clock: hurried })
  const before = nowMs
  await rejects(alone.calls.call(TERMS, SIGNAL), 'unheard')
  assert.ok(nowMs - before >= 5_000)
})

test('a node calls no more often than others listen', async () => {
  const middle = await startNode()
  const caller = await startNode([middle], { listen: false, hears: false })
  const terms = { ...TERMS, windowMs: 100 }
  for (let call = 0; call < 6; call++) await caller.calls.call(terms, SIGNAL)
  await rejects(caller.calls.call(terms, SIGNAL), 'too-many-calls')
  assert.is(middle.heard.length, 6)
})

test('a call can be given up', async () => {
  const middle = await startNode()
  const caller = await startNode([middle], { listen: false, hears: false })
  const controller = new AbortController()
  const calling = caller.calls.call({ ...TERMS, windowMs: 10_000 }, controller.signal)
  await until('it was heard', () => middle.heard.length > 0)
  controller.abort(new Error('enough'))
  try {
    await calling
    assert.unreachable()
  } catch (error) {
    assert.is((error as Error).message, 'enough')
  }
})

test('calls that no honest node passes on cost their sender, and go no further', async () => {
  const next = await startNode()
  const victim = await startNode([next])
  const liar = await stranger(victim)
  const good = callBytes(liar.host)
  await liar.gossip(good.subarray(0, -1))
  await until('it was blamed', () => liar.demerits() > 0)
  const once = liar.demerits()
  await liar.gossip(Buffer.concat([good, Buffer.alloc(600)]))
  await until('it was blamed again', () => liar.demerits() > once)
  assert.equal([victim.heard, next.heard], [[], []])
})

test('calls from another time are not passed on, and cost nothing', async () => {
  const next = await startNode()
  const victim = await startNode([next])
  const liar = await stranger(victim)
  await liar.gossip(callBytes(liar.host, { issuedAtMs: systemClock.now() - 200_000 }))
  await liar.gossip(callBytes(liar.host, { issuedAtMs: systemClock.now() + 200_000 }))
  await liar.gossip(callBytes(liar.host))
  await until('the good one was heard', () => next.heard.length > 0)
  assert.equal([victim.heard.length, next.heard.length], [1, 1])
  assert.is(liar.demerits(), 0)
})

test('an offer is taken only from who signed it, for this call, and who forges one is blamed', async () => {
  const caller = await startNode()
  const liar = await stranger(caller)
  let isDone = false
  const calling = caller.callUntil(() => isDone)
  await until('the call is heard', () => liar.heard.length > 0)
  const { author, data } = liar.heard[0]!
  const call = openCallId(author, data)
  const offerBy = (signer: Signer, id = call) =>
    sealOffer(signer, { call: id, lanes: ['native'], multiaddrs: [] })

  const stream = await liar.stream()
  // For another call; in the name of the caller itself; its own; its own again.
  const offers = [
    offerBy(seededSigner(1), 'ab'.repeat(32)),
    offerBy(caller.signer),
    offerBy(liar.signer),
    offerBy(liar.signer),
  ]
  for (const sealed of offers) stream.send(encodeFrame(sealed))
  await stream.close()
  assert.is(liar.demerits(), 0, 'none of these is a lie')

  const forged = offerBy(seededSigner(5))
  forged[forged.byteLength - 1]! ^= 1
  const other = await liar.stream()
  const reset = new Promise((resolve) => other.addEventListener('close', resolve))
  other.send(encodeFrame(forged))
  await reset
  await until('the forger is blamed', () => liar.demerits() > 0)
  isDone = true
  assert.equal(
    (await calling).map(({ provider }) => provider),
    [liar.signer.peerId],
  )
})

test('an offer for an earlier call is none for a later one', async () => {
  const caller = await startNode()
  const liar = await stranger(caller)
  const first = caller.callUntil(some(1))
  await until('the call is heard', () => liar.heard.length > 0)
  const { author, data } = liar.heard[0]!
  const sealed = sealOffer(seededSigner(3), {
    call: openCallId(author, data),
    lanes: ['native'],
    multiaddrs: [],
  })
  const send = async () => {
    const stream = await liar.stream()
    stream.send(encodeFrame(sealed))
    await stream.close()
  }
  await send()
  assert.is((await first).length, 1)
  const second = caller.calls.call(SHORT, SIGNAL)
  await until('the next call is heard', () => liar.heard.length > 1)
  await send()
  assert.equal(await second, [])
  assert.is(caller.offered.length, 1)
})

/** What is no offer, on a stream for offers. */
const GARBAGE: readonly (readonly [string, Uint8Array])[] = [
  ['a frame that is too long', Buffer.from('ffff7f', 'hex')],
  ['an empty frame', Buffer.of(0)],
  ['a frame that is no message', encodeFrame(Buffer.from('ffff', 'hex'))],
]
for (const [what, bytes] of GARBAGE) {
  test(`a neighbour that sends ${what} is blamed, and its stream is reset`, async () => {
    const victim = await startNode()
    const liar = await stranger(victim)
    const stream = await liar.stream()
    const reset = new Promise((resolve) => stream.addEventListener('close', resolve))
    stream.send(bytes)
    await reset
    assert.ok(liar.demerits() > 0)
  })
}

test('a flood of offers is cut off, and a quiet neighbour is served meanwhile', async () => {
  const victim = await startNode()
  const flooder = await stranger(victim)
  const sealed = sealOffer(flooder.signer, { call: 'ab'.repeat(32), lanes: ['native'], multiaddrs: [] })
  const stream = await flooder.stream()
  const reset = new Promise((resolve) => stream.addEventListener('close', resolve))
  for (let count = 0; count < 400; count++) {
    if (stream.status === 'open') stream.send(encodeFrame(sealed))
  }
  await reset
  assert.is(flooder.demerits(), 0, 'too much is no lie')
  const host = await startNode([victim], { lanes: ['native'] })
  const offers = await victim.callUntil(some(1))
  assert.equal(
    offers.map(({ provider }) => provider),
    [host.id],
  )
})

test('a node that stops sends no more offers and leaves no timer behind', async () => {
  const timers = new Set<object>()
  const counted: Clock = {
    now: systemClock.now,
    after(delayMs, task) {
      const timer = {}
      timers.add(timer)
      const cancel = systemClock.after(delayMs, () => {
        timers.delete(timer)
        task()
      })
      return () => {
        timers.delete(timer)
        cancel()
      }
    },
  }
  const caller = await startNode()
  const host = await startNode([caller], { lanes: ['native'], clock: counted, random: () => 0.999 })
  const calling = caller.calls.call({ ...TERMS, windowMs: 2_000 }, SIGNAL)
  await until('the call is heard', () => host.heard.length > 0)
  assert.is(timers.size, 1)
  await host.calls.stop()
  assert.is(timers.size, 0)
  assert.equal(await calling, [])
})

test.run()

function callBytes(host: Host, change: { issuedAtMs?: number } = {}): Uint8Array {
  const nonce = crypto.getRandomValues(new Uint8Array(16))
  const data = encodeOpenCall({ ...TERMS, nonce, issuedAtMs: Math.floor(systemClock.now()), ...change })
  assert.is(openCallId(host.peerId.toString(), data).length, 64)
  return data
}

/** A clock whose timers ring when the test wants it. */
function heldBack(take: (task: () => void) => void): Clock {
  return {
    now: systemClock.now,
    after(_delayMs, task) {
      take(task)
      return () => {}
    },
  }
}

function isNoOffer({ protocol }: { readonly protocol: string }): boolean {
  return protocol !== OFFER_PROTOCOL
}

async function rejects(promise: Promise<unknown>, code: OpenCallsErrorCode): Promise<void> {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof OpenCallsError && error.code === code, String(error))
    return
  }
  assert.unreachable(code)
}
