/** Our own Kademlia: nodes of the public IPFS network would neither store our records nor help to find them. */
export const KAD_PROTOCOL = '/verimesh/kad/1.0.0'

/**
 * Kademlia looks at its own neighbourhood once before it answers any query; by default only a second after the start.
 * That second would be the longest part of joining.
 */
export const INITIAL_SELF_QUERY_MS = 30
/** And again this often: finds nodes that joined at the same moment as this one. */
export const SELF_QUERY_INTERVAL_MS = 60_000

/** Half of the usual 300: each connection costs pings and gossip, and routing needs far fewer. */
export const CONNECTIONS_MAX = 150
/** By default 5 a second and host, which a mesh on one machine or behind one NAT exceeds when it starts. */
export const INBOUND_CONNECTIONS_PER_HOST_PER_SECOND = 50
/** By default 10: handshakes of a whole small mesh that starts at once must fit. */
export const PENDING_INBOUND_CONNECTIONS_MAX = 32
export const DIAL_TIMEOUT_MS = 10_000
/** An address that drops packets must not eat the whole dial. */
export const ADDRESS_DIAL_TIMEOUT_MS = 4_000

/**
 * A connection whose ping is not answered within this time is given up. Generous, since a peer whose processor is
 * busy with a model answers late and is not dead; a closed socket is noticed at once anyway.
 */
export const PING_TIMEOUT_MIN_MS = 15_000

/** Pings in flight on one connection: Kademlia's, the connection monitor's and our own may meet. */
export const PING_STREAMS_MAX = 8

/** Yamux pings: an idle TCP connection is closed after 120 s without them. */
export const KEEP_ALIVE_INTERVAL_MS = 30_000
/** Streams of all protocols that one peer may hold open on one connection. */
export const STREAMS_PER_CONNECTION_MAX = 256
/**
 * What a peer may send before we have read grows to this from yamux's 256 KiB. The beginning is fixed by the
 * specification: whoever assumes more is cut off by every other implementation. The maximum stays below the read buffer
 * (4 MiB), or a paused reader would be reset.
 */
export const STREAM_WINDOW_BYTES_MAX = 1 << 20
export const STREAM_READ_BUFFER_BYTES_MAX = 4 << 20
/** Unbounded by default. A writer that waits for `drain` never comes near it; one that does not is reset. */
export const STREAM_WRITE_BUFFER_BYTES_MAX = 64 << 20

/** Gossip carries small notices only: an announcement is at most a few KB, an RPC bundles several. */
export const GOSSIP_RPC_BYTES_MAX = 64 << 10
/** A peer that reads this slowly loses gossip rather than filling our memory. */
export const GOSSIP_OUTBOUND_BYTES_MAX = 1 << 20
/** One topic a model: a peer that provides or wants 250 models is plausible, more is refused. About 1.1 KiB each. */
export const GOSSIP_TOPIC_BYTES_PER_PEER = 256 << 10
export const GOSSIP_RPC_ENTRIES_MAX = 256

/** Each invalid message costs its sender this much gossip score; below -80 the router stops listening to it. */
export const DEMERIT_PER_INVALID_MESSAGE = 10
/** A peer that behaves is heard again after a few of these. */
export const DEMERIT_HALF_LIFE_MS = 30_000
/** More demerits change nothing, so they are not collected: otherwise a peer could never come back. */
export const DEMERITS_MAX = 200
/** How many peers' demerits are remembered. */
export const DEMERIT_PEERS_MAX = 1024

/** First pause after a bootstrap could not be reached: processes started together come up within a second. */
export const BOOTSTRAP_BACKOFF_MIN_MS = 100
/** And the longest: a bootstrap that comes back is used within this time. */
export const BOOTSTRAP_BACKOFF_MAX_MS = 30_000
export const BOOTSTRAP_BACKOFF_FACTOR = 1.5
export const BOOTSTRAPS_MAX = 64
/** Remembered peers are dialled this many at a time, each once. */
export const REMEMBERED_DIALS_PARALLEL = 4

/** Multicast DNS: how nodes on one network name what they are. */
export const MDNS_SERVICE = '_verimesh._udp.local'
/** Neighbours on the local network are dialled until this many peers are connected; the rest is found through them. */
export const NEIGHBOUR_CONNECTIONS_MAX = 16
