import { LEAVES_BYTES_MAX, LEAVES_MAX } from '../../models/trace/index.ts'
import {
  RUNTIME_TEXT_BYTES_MAX,
  SEALED_COMMITMENT_BYTES_MAX,
  SEALED_JOB_BYTES_MAX,
  SEALED_RECEIPT_BYTES_MAX,
} from '../receipt/index.ts'

export const DISPUTE_PROTOCOL = '/verimesh/dispute/1.0.0'

/** A sealed job, two sealed receipts, a salt, a lane's name and two numbers. */
export const DEMAND_BYTES_MAX =
  SEALED_JOB_BYTES_MAX + 2 * SEALED_RECEIPT_BYTES_MAX + RUNTIME_TEXT_BYTES_MAX + 64
/** A position of at most 120 bytes. */
export const QUESTION_BYTES_MAX = 192
/** A refusal's text is for a person; half a KiB says why. */
export const REFUSAL_MESSAGE_BYTES_MAX = 512
/** The text, two digests and three numbers. */
export const REFUSAL_BYTES_MAX = REFUSAL_MESSAGE_BYTES_MAX + 128
/** What an envelope adds, as in `protocols/receipt`. */
export const SEALED_REFUSAL_BYTES_MAX = REFUSAL_BYTES_MAX + 256
/** One sealed statement and two numbers. */
export const REPLY_BYTES_MAX = Math.max(SEALED_REFUSAL_BYTES_MAX, SEALED_COMMITMENT_BYTES_MAX) + 64
/** All leaves, each behind four bytes that tell its length. */
export const LEAVES_PAYLOAD_BYTES_MAX = LEAVES_BYTES_MAX + 4 * LEAVES_MAX
/** One hour: whoever is busy for longer may as well say an hour. */
export const RETRY_AFTER_MS_MAX = 60 * 60 * 1000
/** Ten minutes: the longest that a requester may have a provider trace. The largest models at hand take seconds. */
export const TIMEOUT_MS_MAX = 10 * 60 * 1000
/**
 * A provider answers for a receipt until a day after it finished, by its own clock: long enough for every dispute of a job
 * that ran, short enough that nobody can collect receipts and present them all at once, years later.
 */
export const RECEIPT_AGE_MS_MAX = 24 * 60 * 60 * 1000

/** Disputes of one requester with one provider at the same time; more wait in line at the requester. */
export const SESSIONS_PER_PEER_MAX = 8
/** Twice that: what is over budget is told so, and only a flood is reset. */
export const INBOUND_STREAMS_MAX = 16
/** Demands that wait for a stream to one peer. Beyond it they would not be answered in time. */
export const WAITING_MAX = 256
/** To dial a peer and agree on the protocol; a handshake across the world takes under a second. */
export const OPEN_MS = 10_000

/** From the opening of a stream until all of the demand's frame is there. */
export const DEMAND_MS = 5_000
/** Inputs must not pause for longer than this. */
export const STALL_MS = 5_000
/** And must come at 2 Mbit/s, after a start of two seconds, and within half a minute: a place is kept for them meanwhile. */
export const BYTES_PER_MS = 256
export const INPUTS_START_MS = 2_000
export const INPUTS_MS = 30_000
/** An answer that the requester does not take within this, and its length at 2 Mbit/s, is given up. */
export const ANSWER_MS = 30_000
/** Between a commitment and what is asked next, and between two such questions: the other side's trace may take that long. */
export const SESSION_IDLE_MS = 30_000
/** A dispute takes seconds. Whoever holds one open for longer is cut off, since its payloads lie in memory. */
export const SESSION_MS = 120_000
/** What may be asked after a commitment: the leaves, and the operands of one step for each other party of the job. */
export const QUESTIONS_MAX = 17
/**
 * So long before the time of a demand is over a provider that is not done says so, rather than be taken for silent; of short
 * times a quarter.
 */
export const NOT_DONE_MARGIN_MS = 500
/** And so much longer than it says the requester waits, for what was said in time and is on its way; of short times a quarter. */
export const GRACE_MS = 2_000
/** A peer from which bytes came so lately was not silent when the time was over, but slow. */
export const SLOW_MS = 5_000
/** Between the end of a stream and that of the connection that took it along: 2 ms on loopback, elsewhere some of a round trip. */
export const HANG_UP_MS = 500
/** To part from those whose dispute is open when a provider stops. */
export const PARTING_MS = 1_000

/** Traces that a node makes at the same time, for all and for one peer. They run one after the other in a model's process. */
export const TRACES_MAX = 4
export const TRACES_PER_PEER_MAX = 2
/** Disputes that are open at the same time, with all peers. */
export const SESSIONS_MAX = 64
/** Demands of one peer at once, and then one every so often: a trace costs up to twenty times the job that it is about. */
export const DEMANDS_BURST = 16
export const DEMAND_INTERVAL_MS = 2_000
/** Peers whose demands are counted. A new key costs nothing, so forgetting the oldest gives nothing away. */
export const COUNTED_PEERS_MAX = 4_096
/** Inputs, outputs, leaves and operands held for one peer's disputes, and for all. */
export const PEER_BYTES_MAX = 128 * 1024 * 1024
export const NODE_BYTES_MAX = 256 * 1024 * 1024
/** What is said to who comes while there is no place. A trace of the models at hand takes 0.1 to 1 s. */
export const PLACE_RETRY_AFTER_MS = 500

/** Digesting stops for others after each piece: at 0.5 to 1.7 GB/s a mebibyte takes 0.6 to 2 ms. */
export const DIGEST_PIECE_BYTES = 1024 * 1024
/** A power of two, so that so many leaves make a whole branch of the Merkle tree. Hashing them takes about 2 ms. */
export const BRANCH_LEAVES = 1024
/** Below this the way to another thread costs as much as the digest. */
export const BACKGROUND_BYTES_MIN = 32 * 1024
