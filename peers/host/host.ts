import type { GossipSub } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import type { Ed25519PrivateKey, Libp2p } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper, removePrivateAddressesMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { isPrivate } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { type Clock, systemClock } from '../clock/index.ts'
import { parseMultiaddrs } from './addresses.ts'
import {
  ADDRESS_DIAL_TIMEOUT_MS,
  CONNECTIONS_MAX,
  DIAL_TIMEOUT_MS,
  INBOUND_CONNECTIONS_PER_HOST_PER_SECOND,
  INITIAL_SELF_QUERY_MS,
  KAD_PROTOCOL,
  KEEP_ALIVE_INTERVAL_MS,
  PENDING_INBOUND_CONNECTIONS_MAX,
  PING_STREAMS_MAX,
  PING_TIMEOUT_MIN_MS,
  SELF_QUERY_INTERVAL_MS,
  STREAM_READ_BUFFER_BYTES_MAX,
  STREAM_WINDOW_BYTES_MAX,
  STREAM_WRITE_BUFFER_BYTES_MAX,
  STREAMS_PER_CONNECTION_MAX,
} from './constants.ts'
import { Demerits } from './demerits.ts'
import { HostError } from './errors.ts'
import { withFewWrites } from './few-writes.ts'
import { createGossip } from './gossip.ts'
import { createNeighbours } from './neighbours.ts'

export interface HostOptions {
  readonly privateKey: Ed25519PrivateKey
  /** Multiaddresses to listen on; empty for a client that only dials. */
  readonly listen: readonly string[]
  /** Addresses to tell others instead of the ones listened on: behind a port mapping or in a container. */
  readonly announce?: readonly string[]
  /** Look for neighbours on the local network. Default false. */
  readonly mdns?: boolean
  /**
   * `server` (default) stores records for others. A process that leaves in a minute is a `client`: others would keep
   * asking it after it is gone.
   */
  readonly dht?: 'server' | 'client'
  /**
   * Whether loopback and private addresses are told, believed and dialled. Default true; a node on the public
   * Internet may switch it off, so that strangers can't make it knock at its own network.
   */
  readonly privateAddresses?: boolean
  /** Told to peers by identify, for example `verimesh/0.1.0`. */
  readonly userAgent?: string
  readonly clock?: Clock
}

export interface HostServices extends Record<string, unknown> {
  readonly identify: Identify
  readonly ping: Ping
  readonly dht: KadDHT
  readonly gossip: GossipSub
  /** Who sent invalid gossip; topic validators add to it. */
  readonly demerits: Demerits
}

/** A started libp2p node with everything that the rooms of `peers` need. */
export type Host = Libp2p<HostServices>

/**
 * Starts a libp2p node. It dials nobody until it is told whom (`keepBootstrapped`), unless mDNS finds neighbours.
 * Register protocol handlers right after it resolves, before bootstrapping. `stop()` closes everything.
 * Throws HostError; nothing keeps running then.
 */
export async function createHost(options: HostOptions): Promise<Host> {
  const listen = parseMultiaddrs(options.listen, 'listen')
  const announce = parseMultiaddrs(options.announce ?? [], 'announce')
  const privateAddresses = options.privateAddresses ?? true
  const clock = options.clock ?? systemClock
  const demerits = new Demerits()
  const peerDiscovery = options.mdns === true ? [await createNeighbours(() => host)] : []

  const host: Host = await createLibp2p<HostServices>({
    start: false,
    privateKey: options.privateKey,
    nodeInfo: { userAgent: options.userAgent ?? 'verimesh' },
    addresses: { listen: listen.map(String), announce: announce.map(String) },
    transports: [tcp()],
    // TLS first. There and back on one stream between two processes, p50: 1 KB 0.14 ms (noise 0.19), 600 KB 0.8 to
    // 1.4 ms (noise 2.2). Its handshake costs more (12 ms against 5), but connections live long. Noise stays for
    // libp2p implementations without TLS.
    connectionEncrypters: [tls(), noise()],
    streamMuxers: [() => withFewWrites(yamux(YAMUX)())],
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      inboundConnectionThreshold: INBOUND_CONNECTIONS_PER_HOST_PER_SECOND,
      maxIncomingPendingConnections: PENDING_INBOUND_CONNECTIONS_MAX,
      dialTimeout: DIAL_TIMEOUT_MS,
      addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
    },
    connectionMonitor: { pingTimeout: { minTimeout: PING_TIMEOUT_MIN_MS } },
    connectionGater: {
      denyDialMultiaddr: (address) => !privateAddresses && isPrivate(address),
    },
    peerDiscovery,
    services: {
      identify: identify(),
      // One outbound ping at a time by default: Kademlia's check of a new peer fails while anybody else pings it, and
      // the peer then never enters the routing table.
      ping: ping({ maxInboundStreams: PING_STREAMS_MAX, maxOutboundStreams: PING_STREAMS_MAX }),
      dht: kadDHT({
        protocol: KAD_PROTOCOL,
        clientMode: options.dht === 'client',
        peerInfoMapper: privateAddresses ? passthroughMapper : removePrivateAddressesMapper,
        initialQuerySelfInterval: INITIAL_SELF_QUERY_MS,
        querySelfInterval: SELF_QUERY_INTERVAL_MS,
      }),
      gossip: createGossip(demerits, clock),
      demerits: () => demerits,
    },
  })
  try {
    await host.start()
  } catch (error) {
    await host.stop()
    throw asListenError(error, options.listen)
  }
  return host
}

const YAMUX = {
  enableKeepAlive: true,
  keepAliveInterval: KEEP_ALIVE_INTERVAL_MS,
  maxInboundStreams: STREAMS_PER_CONNECTION_MAX,
  maxOutboundStreams: STREAMS_PER_CONNECTION_MAX,
  streamOptions: {
    maxStreamWindowSize: STREAM_WINDOW_BYTES_MAX,
    maxReadBufferLength: STREAM_READ_BUFFER_BYTES_MAX,
    maxWriteBufferLength: STREAM_WRITE_BUFFER_BYTES_MAX,
  },
}

/** libp2p folds what the operating system said into one text; take it apart again for the person at the terminal. */
function asListenError(error: unknown, listen: readonly string[]): unknown {
  const message = error instanceof Error ? error.message : String(error)
  const inUse = /EADDRINUSE[^\n]*?(?::|port )(\d+)/.exec(message)
  if (inUse !== null) {
    return new HostError(
      'port-in-use',
      `Port ${inUse[1]} is in use: something else listens there already, perhaps another node on this machine, so ` +
        `${listen.join(', ')} cannot be listened on. Stop it, or listen on another port ` +
        '(--listen /ip4/0.0.0.0/tcp/0 takes any free one).',
      // Without libp2p's own text, which advises on settings that nobody here can reach.
      { cause: new Error(inUse[0]) },
    )
  }
  const refused = /(EACCES|EADDRNOTAVAIL|EAFNOSUPPORT|EINVAL)[^\n]*/.exec(message)
  if (refused !== null || (error instanceof Error && error.name.startsWith('UnsupportedListenAddress'))) {
    return new HostError(
      'cannot-listen',
      `Can't listen on ${listen.join(', ')}: ${refused?.[0] ?? message.trim()}. Ports below 1024 need a ` +
        'privileged user, and the address must be one of this machine.',
      { cause: error },
    )
  }
  return error
}
