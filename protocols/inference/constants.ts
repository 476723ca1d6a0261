import { SEALED_JOB_BYTES_MAX, SEALED_RECEIPT_BYTES_MAX } from '../receipt/index.ts'

export const INFERENCE_PROTOCOL = '/verimesh/inference/1.1.0'

/** A sealed job, a salt and two numbers. */
export const REQUEST_BYTES_MAX = SEALED_JOB_BYTES_MAX + 64
/** A refusal's text is for a person; a KiB shows what was expected and what was given. */
export const REFUSAL_MESSAGE_BYTES_MAX = 1024
export const REPLY_BYTES_MAX = REFUSAL_MESSAGE_BYTES_MAX + 64
export const RECEIPT_FRAME_BYTES_MAX = SEALED_RECEIPT_BYTES_MAX
/** One hour. A provider that is busy for longer may as well say an hour. */
export const RETRY_AFTER_MS_MAX = 60 * 60 * 1000
/** One hour: what a requester may ask a provider to work on one job. */
export const TIMEOUT_MS_MAX = 60 * 60 * 1000
/**
 * One minute: within what a provider may be asked to commit to its answer. It keeps the answer until the requester asks
 * for it, which takes as long as the slowest of those who were asked.
 */
export const COMMIT_MS_MAX = 60 * 1000
/** How long after that a provider still waits to be asked: ends of the window differ by a round trip and a busy moment. */
export const REVEAL_WAIT_MS = 10_000
/** What a provider has ready must begin to come within this once it is asked for. */
export const REVEAL_MS = 10_000
/** One digest in one field. */
export const REVEAL_BYTES_MAX = 64

/**
 * Warm streams of one connection in one direction. libp2p resets the 33rd that comes in, so we stay below it; 30
 * requests at once keep any provider busy, the rest wait for a stream.
 */
export const STREAMS_MAX = 30
export const INBOUND_STREAMS_MAX = 32
/** Requests that wait for a stream to one peer. Beyond it the peer is no candidate any more: it would take seconds. */
export const WAITING_MAX = 1024
/** To dial a peer and agree on the protocol; a handshake across the world takes under a second. */
export const OPEN_MS = 10_000

/** The requester closes a stream that it has not used for this long, before the provider does. */
export const REQUESTER_IDLE_MS = 60_000
/** The provider closes a stream on which no request began for this long. */
export const PROVIDER_IDLE_MS = 120_000
/** Inputs must not pause for longer than this. */
export const STALL_MS = 10_000
/** All of the inputs must come within this: 64 MiB at 18 Mbit/s. Stops those who send one byte now and then. */
export const INPUTS_MS = 30_000
/** An answer that the requester does not take within this is given up, so that it does not lie in memory. */
export const ANSWER_MS = 30_000

/** Inputs held at once, received and not yet answered, from one peer: one largest payload, or a hundred ordinary ones. */
export const PEER_INPUT_BYTES_MAX = 64 * 1024 * 1024
/** And from all peers together. */
export const NODE_INPUT_BYTES_MAX = 256 * 1024 * 1024
/**
 * While that memory is full, inputs that came at less than 2 Mbit/s so far, over at least this long, give way to a new
 * request. An honest one on a slow line is ended by it too, but only then, and it can be sent again elsewhere.
 */
export const SLOW_BYTES_PER_MS = 256
export const SLOW_AFTER_MS = 1_000
/**
 * Outputs that were committed to and are not asked for yet, of one peer and of all: apart from the inputs, so that a
 * requester who never asks does not hold up those who do.
 */
export const PEER_COMMITTED_BYTES_MAX = 64 * 1024 * 1024
export const NODE_COMMITTED_BYTES_MAX = 128 * 1024 * 1024
/** What is said to who comes while that memory is full. */
export const MEMORY_RETRY_AFTER_MS = 250
