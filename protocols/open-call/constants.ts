/** Gossip topic of calls. One for all models: who knows nobody of a model has no neighbour on that model's own topic. */
export const OPEN_CALL_TOPIC = '/verimesh/open-call/1'
/** Stream protocol by which offers travel from neighbour to neighbour. */
export const OFFER_PROTOCOL = '/verimesh/open-call/1.0.0'

/** A call has about 120 bytes, and 200 with the longest address of a model; every node of the mesh gets it. */
export const CALL_BYTES_MAX = 512
/** Two calls with the same terms are two calls. */
export const CALL_NONCE_BYTES = 16
/** SHA-256. */
export const CALL_ID_BYTES = 32
/** Offers are taken for this long at the most: beyond it a call is a way to keep others busy. */
export const WINDOW_MS_MAX = 10_000
/** Below it no answer comes back from the next continent. */
export const WINDOW_MS_MIN = 100

/** A call, lanes and some addresses. */
export const OFFER_BYTES_MAX = 768
/** As it travels, with key and signature. Bounds what a neighbour can make a node read and hand on at once. */
export const SEALED_OFFER_BYTES_MAX = 1024
/** An address of an interface or two, and one behind a port mapping. */
export const OFFER_MULTIADDRS_MAX = 4
/** A relayed address with two peer ids has about 200. */
export const OFFER_MULTIADDR_BYTES_MAX = 256

/** Streams for offers that a neighbour may have open at once; one is enough. */
export const OFFER_STREAMS_MAX = 2
/** To agree on the protocol over a connection that is there. */
export const OFFER_OPEN_MS = 5_000
/** A neighbour that has nothing to say for so long may as well end the stream. */
export const OFFER_STALL_MS = 5_000
