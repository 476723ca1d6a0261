/** How often a provider says that it is still there, even when nothing changed. */
export const HEARTBEAT_MS = 10_000
/** Spread of the heartbeat, so that providers that started together don't speak together. */
export const HEARTBEAT_JITTER = 0.1
/** An announcement outlives two lost heartbeats. */
export const ANNOUNCEMENT_TTL_MS = 30_000

/**
 * Announcements of one model by this node: a few at once, so that joining is quick, then two a second. Each costs
 * every listener about a millisecond of processor time.
 */
export const PUBLISH_BURST = 5
export const PUBLISH_PER_SECOND = 2
/** Changes of load within this time are told together. */
export const CHANGE_SETTLE_MS = 10
/** New subscribers within this time are served by one announcement; spread, so that all providers don't answer at once. */
export const NEWCOMER_DELAY_MIN_MS = 5
export const NEWCOMER_DELAY_MAX_MS = 30
/** About so many providers answer when a new one is heard for the first time. */
export const ANSWERS_TO_NEWCOMER = 8
/** A newcomer to which no gossip stream was open yet is tried again after this, doubled each time, so often. */
export const NEWCOMER_RETRY_MS = 40
export const NEWCOMER_RETRIES_MAX = 6
/** Newcomers waited for at once; whoever is beyond it learns from the heartbeat. */
export const NEWCOMERS_MAX = 64

/**
 * What one author may announce about one model: twice what an honest node sends, since the network bunches messages.
 * More is ignored, not punished.
 */
export const AUTHOR_BURST = 2 * PUBLISH_BURST
export const AUTHOR_PER_SECOND = 2 * PUBLISH_PER_SECOND
/** What one neighbour may pass on, over all authors and models: hundreds of providers, but no flood of fresh keys. */
export const NEIGHBOUR_BURST = 400
export const NEIGHBOUR_PER_SECOND = 100

/**
 * Authors (of one model each) and neighbours whose sequence and rate are remembered. Whoever floods it with fresh
 * keys makes it forget the oldest; what then could be replayed is an announcement that the book still knows to be old.
 */
export const AUTHORS_MAX = 8192
export const NEIGHBOURS_MAX = 512

/** The codec takes 256 bytes an address, and an announcement 2048 in all: what is longer stays out of ours. */
export const ANNOUNCED_ADDRESS_LENGTH_MAX = 256
export const ANNOUNCED_ADDRESSES_LENGTH_MAX = 1600

/** How long a node that stops waits for its neighbours to have read its goodbye. */
export const GOODBYE_TIMEOUT_MS = 500
/** And for how many: gossip carries it on from there. */
export const GOODBYE_PEERS_MAX = 16
