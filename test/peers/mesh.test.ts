import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createAnnouncements, type ModelOffer, modelTopic } from '../../peers/announcements/index.ts'
import { Book } from '../../peers/book/index.ts'
import { type Clock, systemClock } from '../../peers/clock/index.ts'
import { createHost, type Host } from '../../peers/host/index.ts'
import { createEphemeralIdentity } from '../../peers/identity/index.ts'
import { joinMesh, type Mesh } from '../../peers/mesh/index.ts'
import { type Announcement, encodeAnnouncement } from '../../protocols/announcement/index.ts'

const MODELS = [
  'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
  'bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
] as const
const [MODEL] = MODELS
const offer: ModelOffer = {
  lanes: ['native'],
  instructionSet: 'x64-avx2',
  running: 0,
  queued: 0,
  capacity: 8,
  serviceMs: 5,
}
const log = { debug() {}, info() {}, warn() {} }
const open: { stop(): Promise<void> | void }[] = []
test.after.each(async () => {
  await Promise.all(open.splice(0).map((one) => one.stop()))
})

/** A node whose news can be waited for. */
interface Watched {
  readonly mesh: Mesh
  /** Resolves once `condition` holds; it is looked at after each news. A condition that never holds fails the test. */
  until(what: string, condition: () => boolean): Promise<void>
}

async function joinWatched(
  bootstrap: readonly Mesh[],
  change: { listen?: string[]; dataDirectory?: string } = {},
): Promise<Watched> {
  const { privateKey } = await createEphemeralIdentity()
  const waiting = new Set<() => void>()
  const mesh = await joinMesh({
    privateKey,
    listen: change.listen ?? ['/ip4/127.0.0.1/tcp/0'],
    bootstrap: bootstrap.flatMap(({ host }) => host.getMultiaddrs().map(String)),
    dataDirectory: change.dataDirectory,
    log,
    onModelNews: () => {
      for (const check of waiting) check()
    },
  })
  open.push(mesh)
  const until = (what: string, condition: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`never: ${what}`)), 8_000)
      const check = () => {
        if (!condition()) return
        clearTimeout(timer)
        waiting.delete(check)
        resolve()
      }
      waiting.add(check)
      check()
    })
  return { mesh, until }
}

const loaded = ({ book }: Mesh, model: string) =>
  book.candidates(model, Date.now()).filter(({ load }) => load !== undefined)
const idOf = ({ host }: Mesh) => host.peerId.toString()

test('five nodes with one bootstrap learn of all models of all others, and hear when one leaves', async () => {
  const first = await joinWatched([])
  const others = await Promise.all([1, 2, 3, 4].map(() => joinWatched([first.mesh])))
  const all = [first, ...others]
  for (const { mesh } of all) for (const model of MODELS) mesh.serve(model, offer)
  await Promise.all(
    all.map(({ mesh, until }, index) =>
      until(`node ${index} knows everybody`, () => MODELS.every((model) => loaded(mesh, model).length === 4)),
    ),
  )

  const [leaver, ...staying] = others
  await leaver!.mesh.stop()
  await Promise.all(
    [first, ...staying].map(({ mesh, until }, index) =>
      until(`node ${index} knows who left`, () => loaded(mesh, MODEL).length === 3),
    ),
  )
})

test('what others say of a peer does not keep it from being reached where it said itself', async () => {
  const [target, asker] = await Promise.all([joinWatched([]), joinWatched([], { listen: [] })])
  const { host } = target.mesh
  const peerId = host.peerId.toString()
  const own = host.getMultiaddrs().map(String)
  // Each takes a connection and never says anything.
  const tarpits = await Promise.all(
    [1, 2, 3].map(async () => {
      const sockets = new Set<Socket>()
      const tarpit = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1')
      open.push({
        stop() {
          tarpit.close()
          for (const socket of sockets) socket.destroy()
        },
      })
      await once(tarpit, 'listening')
      return `/ip4/127.0.0.1/tcp/${(tarpit.address() as AddressInfo).port}/p2p/${peerId}`
    }),
  )
  const { book } = asker.mesh
  book.announced(
    peerId,
    { ...offer, model: MODEL, multiaddrs: own, sequence: 1, ttlMs: 60_000, leaving: false },
    0,
  )
  book.found(peerId, MODEL, tarpits, 0)
  await asker.mesh.host.peerStore.merge(host.peerId, {
    multiaddrs: tarpits.map((address) => multiaddr(address)),
  })
  const connection = await asker.mesh.connect(peerId, AbortSignal.timeout(2_000))
  assert.is(connection.remotePeer.toString(), peerId)
})

test('a newcomer that only asks learns the load of all providers, and finds their records in the DHT', async () => {
  const first = await joinWatched([])
  const providers = await Promise.all([1, 2, 3].map(() => joinWatched([first.mesh])))
  for (const { mesh } of providers) mesh.serve(MODEL, { ...offer, queued: 3 })
  await Promise.all(
    providers.map(({ mesh, until }) =>
      until('providers know each other', () => loaded(mesh, MODEL).length === 2),
    ),
  )

  const newcomer = await joinWatched([first.mesh], { listen: [] })
  newcomer.mesh.seek(MODEL)
  await newcomer.until('the newcomer knows the providers', () => loaded(newcomer.mesh, MODEL).length === 3)
  assert.ok(loaded(newcomer.mesh, MODEL).every(({ load }) => load?.queued === 3))

  const found: string[] = []
  for await (const { peerId, multiaddrs } of newcomer.mesh.discovery.findProviders(
    MODEL,
    AbortSignal.timeout(5_000),
  )) {
    found.push(peerId.toString())
    assert.ok(multiaddrs.length > 0)
  }
  assert.equal(found.sort(), providers.map(({ mesh }) => idOf(mesh)).sort())

  const [provider] = providers
  provider!.mesh.serve(MODEL, { ...offer, queued: 7 })
  await newcomer.until('a change of load arrives', () =>
    loaded(newcomer.mesh, MODEL).some(
      ({ provider: peer, load }) => peer === idOf(provider!.mesh) && load?.queued === 7,
    ),
  )
})

test('a record that was published while alone reaches those who come later', async () => {
  const alone = await joinWatched([])
  alone.mesh.serve(MODEL, offer)
  const late = await joinWatched([alone.mesh])
  late.mesh.seek(MODEL)
  await late.until('the record is found', () => late.mesh.book.candidates(MODEL, Date.now()).length === 1)
})

test('a node finds the mesh again without a bootstrap', async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'verimesh-mesh-'))
  try {
    const provider = await joinWatched([])
    provider.mesh.serve(MODEL, offer)
    const before = await joinWatched([provider.mesh], { dataDirectory })
    before.mesh.seek(MODEL)
    await before.until('known', () => loaded(before.mesh, MODEL).length === 1)
    await before.mesh.stop()

    const after = await joinWatched([], { dataDirectory })
    after.mesh.seek(MODEL)
    await after.until('known again', () => loaded(after.mesh, MODEL).length === 1)
  } finally {
    await Promise.all(open.splice(0).map((one) => one.stop()))
    rmSync(dataDirectory, { recursive: true })
  }
})

test('connecting to a peer that is gone fails and makes it no candidate', async () => {
  const [provider, client] = [await joinWatched([]), await joinWatched([])]
  const peer = idOf(provider.mesh)
  client.mesh.book.found(peer, MODEL, provider.mesh.host.getMultiaddrs().map(String), Date.now())
  const connection = await client.mesh.connect(peer, AbortSignal.timeout(5_000))
  assert.is(connection.remotePeer.toString(), peer)
  const closed = new Promise((resolve) => connection.addEventListener('close', resolve))
  await provider.mesh.stop()
  await closed
  client.mesh.book.found(peer, MODEL, [], Date.now())
  let failed = false
  await client.mesh.connect(peer, AbortSignal.timeout(5_000)).catch(() => {
    failed = true
  })
  assert.ok(failed)
  assert.equal(client.mesh.book.candidates(MODEL, Date.now()), [])
})

test('hostile gossip changes nothing in the book, and its sender is no longer listened to', async () => {
  const victim = await bareHost()
  const hostile = await bareHost()
  const book = new Book()
  const announcements = createAnnouncements({ host: victim, clock: systemClock, random: () => 0, log, book })
  open.unshift(announcements)
  announcements.listen(MODEL)
  const topic = modelTopic(MODEL)
  await subscribedTo(hostile, topic, () => hostile.dial(victim.getMultiaddrs()))

  const good: Announcement = {
    ...offer,
    model: MODEL,
    multiaddrs: ['/ip4/127.0.0.1/tcp/1', 'nonsense', `/ip4/127.0.0.1/tcp/1/p2p/${victim.peerId}`],
    sequence: 10,
    issuedAtMs: 1,
    ttlMs: 30_000,
    leaving: false,
  }
  const send = (data: Uint8Array, to = topic) => hostile.services.gossip.publish(to, data)
  const seen = watchVerdicts(victim, topic)
  await send(encodeAnnouncement(good))
  await seen(1)
  const [known] = book.peers(Date.now())
  assert.is(known?.models[0]?.queued, 0)
  assert.equal(
    known?.addresses,
    [`/ip4/127.0.0.1/tcp/1/p2p/${hostile.peerId}`],
    'only what leads to the author',
  )

  await send(encodeAnnouncement({ ...good, queued: 999 }))
  await send(encodeAnnouncement({ ...good, queued: 999, sequence: 9 }))
  await send(encodeAnnouncement({ ...good, queued: 999, sequence: 11 }), modelTopic(MODELS[1]))
  await send(encodeAnnouncement({ ...good, queued: 999, sequence: 11, model: MODELS[1] }))
  await send(new TextEncoder().encode('garbage'))
  await send(new Uint8Array(30_000))
  await seen(6)
  assert.equal(book.peers(Date.now()), [known])
  assert.ok(victim.services.demerits.of(hostile.peerId.toString(), Date.now()) > 25)

  await send(encodeAnnouncement({ ...good, queued: 5, sequence: 12 }))
  await seen(7)
  assert.is(book.peers(Date.now())[0]?.models[0]?.queued, 5, 'what is right is still heard')
})

test('a provider speaks at once to whoever begins to listen, and in between only on its heartbeat', async () => {
  const host = await bareHost()
  const listener = await bareHost()
  const clock = new HandClock()
  const announcements = createAnnouncements({ host, clock, random: () => 0.5, log, book: new Book() })
  open.unshift(announcements)
  announcements.offer(MODEL, offer)
  const book = new Book()
  const heard: number[] = []
  const ears = createAnnouncements({
    host: listener,
    clock,
    random: () => 0.5,
    log,
    book,
    onAnnouncement: (_author, { queued }) => {
      heard.push(queued)
      wake()
    },
  })
  open.unshift(ears)
  let wake = () => {}
  const hear = (count: number) =>
    new Promise<void>((resolve) => {
      wake = () => heard.length >= count && resolve()
      wake()
    })
  clock.advance(100)
  await listener.dial(host.getMultiaddrs())
  ears.listen(MODEL)
  await subscribedTo(host, modelTopic(MODEL), async () => {})
  // The stream to the listener may open later than its subscription came: retries are part of the promise.
  const ticking = setInterval(() => clock.advance(20), 5)
  await hear(1)
  clearInterval(ticking)

  const before = heard.length
  clock.advance(8_000)
  assert.is(heard.length, before)
  clock.advance(3_000)
  await hear(before + 1)
  announcements.offer(MODEL, { ...offer, queued: 4 })
  announcements.offer(MODEL, { ...offer, queued: 5 })
  clock.advance(10)
  await hear(before + 2)
  assert.is(heard.at(-1), 5, 'changes within a moment are told together')
  await announcements.withdraw(MODEL)
  await hear(before + 3)
  assert.equal(book.candidates(MODEL, clock.now()), [])
})

/** A clock that stands still until it is advanced. */
class HandClock implements Clock {
  #nowMs = 1_000_000
  readonly #timers = new Map<symbol, { atMs: number; task: () => void }>()

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, task: () => void): () => void {
    const key = Symbol('timer')
    this.#timers.set(key, { atMs: this.#nowMs + delayMs, task })
    return () => this.#timers.delete(key)
  }

  advance(byMs: number): void {
    this.#nowMs += byMs
    for (const [key, { atMs, task }] of [...this.#timers]) {
      if (atMs > this.#nowMs || !this.#timers.delete(key)) continue
      task()
    }
  }
}

async function bareHost(): Promise<Host> {
  const { privateKey } = await createEphemeralIdentity()
  const host = await createHost({ privateKey, listen: ['/ip4/127.0.0.1/tcp/0'] })
  open.push(host)
  return host
}

/** Runs `act`, and resolves once `host` knows that somebody listens to `topic`. */
async function subscribedTo(host: Host, topic: string, act: () => Promise<unknown>): Promise<void> {
  const { gossip } = host.services
  await new Promise<void>((resolve, reject) => {
    const check = () => {
      if (gossip.getSubscribers(topic).length === 0) return
      gossip.removeEventListener('subscription-change', check)
      resolve()
    }
    gossip.addEventListener('subscription-change', check)
    act().then(check, reject)
  })
}

/** Wraps the validator of a topic: the returned function resolves once it has judged so many messages. */
function watchVerdicts(host: Host, topic: string): (count: number) => Promise<void> {
  const { topicValidators } = host.services.gossip
  const validator = topicValidators.get(topic)!
  let judged = 0
  let wake = () => {}
  topicValidators.set(topic, async (peer, message) => {
    const verdict = await validator(peer, message)
    judged++
    wake()
    return verdict
  })
  return (count) =>
    new Promise((resolve) => {
      wake = () => judged >= count && resolve()
      wake()
    })
}

test.run()
