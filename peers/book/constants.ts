/**
 * Peers remembered at once. Beyond it the book evicts, see `eviction.ts`. About 1 KiB each.
 */
export const PEERS_MAX = 1024
/**
 * Of those, peers whose address nobody has checked: their announcements came by way of others and may name any
 * address, so keys cost nothing there. They can never use the other half.
 */
export const UNVERIFIED_PEERS_MAX = 512
/** Of those, peers that were connected from one address group. A group has an owner; it gets a sixteenth of the book. */
export const PEERS_PER_GROUP_MAX = 64
/** Models remembered of one peer. */
export const MODELS_PER_PEER_MAX = 64
/** Addresses remembered of one peer. */
export const ADDRESSES_PER_PEER_MAX = 8
/** Longest multiaddress that is kept, in characters; a DNS name alone may have 253. */
export const ADDRESS_LENGTH_MAX = 400

/** An announcement is believed no longer than this, whatever it says: load that old tells nothing. */
export const TTL_MS_MAX = 120_000
/**
 * How long a provider record from the DHT makes a candidate without any announcement. Short, since records outlive
 * their providers by up to 48 hours; the search that asks again renews it.
 */
export const FOUND_TTL_MS = 60_000

/**
 * The round trip is the shortest of this many: whatever is longer was spent waiting, at one end or the other, and on a
 * machine that has just started that is hundreds of times as long as the way.
 */
export const RTT_SAMPLES = 8
/** Service times are the median of this many: one outlier (a cold start, a busy disk) changes nothing. */
export const SERVICE_SAMPLES = 9
/**
 * A service time that is older is forgotten: whoever was slow once loses every comparison, is asked no more, and would never
 * be seen to have become faster.
 */
export const SERVICE_TTL_MS = 60_000

/** Pause after a peer could not be reached, doubled each time in a row. */
export const UNREACHABLE_PAUSE_MIN_MS = 1_000
export const UNREACHABLE_PAUSE_MAX_MS = 60_000
