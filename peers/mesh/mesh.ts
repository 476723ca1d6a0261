import type { Connection, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { type Announcements, createAnnouncements, type ModelOffer } from '../announcements/index.ts'
import { Book } from '../book/index.ts'
import { type Clock, systemClock } from '../clock/index.ts'
import { createDiscovery, type Discovery } from '../discovery/index.ts'
import {
  type BootstrapState,
  createHost,
  dialRemembered,
  type Host,
  type HostOptions,
  keepBootstrapped,
  type Log,
  parseMultiaddrs,
} from '../host/index.ts'
import { loadPeers, savePeers } from '../snapshot/index.ts'
import { REMEMBERED_ENOUGH, SNAPSHOT_INTERVAL_MS } from './constants.ts'
import { measureRoundTrips } from './round-trips.ts'

export interface MeshOptions extends Omit<HostOptions, 'clock'> {
  readonly bootstrap: readonly string[]
  /** Where peers are remembered; undefined remembers nobody. */
  readonly dataDirectory: string | undefined
  readonly log: Log
  /** In [0, 1): spreads retries and announcements. Default `Math.random`. */
  readonly random?: () => number
  readonly clock?: Clock
  /** Registers protocol handlers: called when the host listens, before anybody is dialled. */
  readonly onHost?: (host: Host) => Promise<void>
  /** Called when the candidates of a model may have changed: an announcement or a provider record came. */
  readonly onModelNews?: (model: string) => void
}

/** This node's place among the others: its host, and what it knows and tells. */
export interface Mesh {
  readonly host: Host
  readonly book: Book
  /** Low-level; `serve` and `seek` drive it. */
  readonly discovery: Discovery
  bootstrap(): BootstrapState[]
  /** Serves a model: announces it by gossip and in the DHT. Call again whenever the load changed. */
  serve(model: string, offer: ModelOffer): void
  /** Serves it no more, and says so. */
  withdraw(model: string): Promise<void>
  /** Wants providers of a model: listens to its announcements and keeps looking for providers. Idempotent. */
  seek(model: string): void
  unseek(model: string): void
  /**
   * A connection to a peer that the book knows: the open one, else a new one to its addresses. Rejects when it can't be
   * reached, and the book knows it then.
   */
  connect(peerId: string, signal: AbortSignal): Promise<Connection>
  /** Says goodbye, remembers the peers, closes everything. Idempotent. */
  stop(): Promise<void>
}

/** Starts a host and joins the mesh through `bootstrap` and remembered peers. Throws HostError; nothing stays then. */
export async function joinMesh(options: MeshOptions): Promise<Mesh> {
  const { log, clock = systemClock, random = Math.random } = options
  // Before anything runs that would have to be stopped again.
  parseMultiaddrs(options.bootstrap, 'bootstrap')
  const host = await createHost({ ...options, clock })
  try {
    await options.onHost?.(host)
    return await assemble(options, host, clock, random)
  } catch (error) {
    log.debug(`could not join: ${String(error)}`)
    await host.stop()
    throw error
  }
}

async function assemble(options: MeshOptions, host: Host, clock: Clock, random: () => number): Promise<Mesh> {
  const { log, dataDirectory } = options
  const book = new Book({ exemptPrivate: options.privateAddresses ?? true })
  const news = (model: string) => options.onModelNews?.(model)
  const stopping = new AbortController()
  watchConnections(host, book, clock, log, stopping.signal)
  const announcements = createAnnouncements({
    host,
    clock,
    random,
    log,
    book,
    onAnnouncement: (_author, announcement) => news(announcement.model),
  })
  const discovery = createDiscovery({
    host,
    clock,
    log,
    onProvider: (model, { peerId, multiaddrs }) => {
      book.found(peerId.toString(), model, multiaddrs.map(String), clock.now())
      news(model)
    },
    connect: ({ peerId }, signal) => connect(host, book, clock, peerId.toString(), signal),
  })
  const bootstrap = keepBootstrapped(host, { multiaddrs: options.bootstrap, clock, random, log })
  const remembering =
    dataDirectory === undefined ? undefined : remember(host, book, dataDirectory, clock, log, stopping.signal)

  let stopped: Promise<void> | undefined
  const stop = async () => {
    bootstrap.stop()
    discovery.stop()
    await announcements.stop()
    stopping.abort()
    await remembering
    await host.stop()
  }
  return {
    host,
    book,
    discovery,
    bootstrap: () => bootstrap.states(),
    ...models(announcements, discovery),
    connect: (peerId, signal) => connect(host, book, clock, peerId, signal),
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}

function models(
  announcements: Announcements,
  discovery: Discovery,
): Pick<Mesh, 'serve' | 'withdraw' | 'seek' | 'unseek'> {
  const served = new Set<string>()
  return {
    serve(model, offer) {
      if (!served.has(model)) {
        discovery.provide(model)
        served.add(model)
      }
      announcements.offer(model, offer)
    },
    async withdraw(model) {
      if (!served.delete(model)) return
      discovery.withdraw(model)
      await announcements.withdraw(model)
    },
    seek(model) {
      discovery.follow(model)
      announcements.listen(model)
    },
    unseek(model) {
      discovery.unfollow(model)
      announcements.ignore(model)
    },
  }
}

async function connect(
  host: Host,
  book: Book,
  clock: Clock,
  peerId: string,
  signal: AbortSignal,
): Promise<Connection> {
  const peer = peerIdFromString(peerId)
  const open = host.getConnections(peer).find((connection) => connection.status === 'open')
  if (open !== undefined) return open
  try {
    return await dialKnown(host, peer, book.addresses(peerId), signal)
  } catch (error) {
    if (!signal.aborted) book.unreachable(peerId, clock.now())
    throw error
  }
}

/**
 * First by the book's addresses, in its order. libp2p tries what it knows one after the other, for seconds each, and
 * learns from whoever answers a query of the DHT: a liar's addresses would be tried before the peer's own.
 */
async function dialKnown(
  host: Host,
  peer: PeerId,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Connection> {
  const suffix = `/p2p/${peer}`
  const multiaddrs = addresses.map((address) =>
    multiaddr(address.endsWith(suffix) ? address : `${address}${suffix}`),
  )
  if (multiaddrs.length > 0) {
    try {
      return await host.dial(multiaddrs, { signal })
    } catch (error) {
      if (signal.aborted) throw error
    }
  }
  return host.dial(peer, { signal })
}

/** Tells the book who is connected from where, and how long a round trip takes. */
function watchConnections(host: Host, book: Book, clock: Clock, log: Log, signal: AbortSignal): void {
  host.addEventListener(
    'connection:open',
    ({ detail: { remotePeer, remoteAddr } }: CustomEvent<Connection>) => {
      book.connected(remotePeer.toString(), remoteAddr.toString(), clock.now())
    },
    { signal },
  )
  const measure = measureRoundTrips({ host, book, clock, log, signal })
  host.addEventListener(
    'peer:disconnect',
    ({ detail }: CustomEvent<PeerId>) => book.disconnected(detail.toString()),
    { signal },
  )
  host.addEventListener(
    'peer:identify',
    ({ detail: { peerId, listenAddrs, connection } }) => {
      book.addressed(
        peerId.toString(),
        listenAddrs.map((address) => address.encapsulate(`/p2p/${peerId}`).toString()),
      )
      measure(connection)
    },
    { signal },
  )
}

/** Dials remembered peers, then writes the file from time to time, and once more when `signal` is aborted. */
async function remember(
  host: Host,
  book: Book,
  dataDirectory: string,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const save = async () => {
    const peers = book.peers(clock.now())
    // Knowing nobody is no reason to forget those who were known.
    if (!peers.some((peer) => peer.addresses.length > 0)) return
    try {
      await savePeers(dataDirectory, peers)
    } catch (error) {
      log.warn(`Could not remember peers in ${dataDirectory}: ${String(error)}. The node works on without.`)
    }
  }
  const remembered = await loadPeers(dataDirectory, log)
  await dialRemembered(host, remembered, { enough: REMEMBERED_ENOUGH, log, signal })
  while (!signal.aborted) {
    await untilAborted(clock, SNAPSHOT_INTERVAL_MS, signal)
    await save()
  }
}

function untilAborted(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      cancel()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = clock.after(delayMs, finish)
    signal.addEventListener('abort', finish)
    if (signal.aborted) finish()
  })
}
