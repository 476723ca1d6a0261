/** A proof's file is `<peer id of the accused>.proof`. */
export const PROOF_SUFFIX = '.proof'
/** One line an exposed key; it outlives the proof's bytes. */
export const EXPOSURES_FILE = 'exposed.jsonl'
/** Most proofs have some KB; one that carries the operands of a large step has tens of MB. */
export const HELD_PROOFS_MAX = 1024
export const HELD_BYTES_MAX = 256 * 1024 * 1024
/** About 350 bytes each on disk and in memory. Keys cost nothing, so those that others exposed must have an end. */
export const EXPOSURES_MAX = 8192
/** As many exposures with every text at its longest. What is larger was not written by this program. */
export const EXPOSURES_FILE_BYTES_MAX = 8 * 1024 * 1024
/** A job's id has 64; longer texts do not come from this program. */
export const EXPOSURE_TEXT_MAX = 128
/** A temporary file of this age is no write that goes on: writing 65 MB takes seconds. */
export const UNFINISHED_MS = 60 * 60_000

/** Gossip topic of notices. */
export const FRAUD_TOPIC = '/verimesh/fraud/1'

/**
 * Notices read from one neighbour: its whole answer to a newcomer at once, and in the long run a multiple of its
 * heartbeat. Reading one costs some microseconds beside the 0.1 ms for its signature.
 */
export const NOTICE_BURST = 64
export const NOTICES_PER_SECOND = 2
/**
 * Of those, how many may make this node fetch and verify a proof. A proof is rare; each costs a transfer and up to
 * one operator. What is left out comes again with a heartbeat.
 */
export const WORK_BURST = 8
export const WORK_PER_SECOND = 1 / 30
/** Neighbours whose use is remembered; connections are bounded at 150. */
export const NEIGHBOURS_MAX = 512
/** Notices that wait for their turn, of all neighbours together. */
export const PENDING_MAX = 256

/** Proofs fetched at once, each from another neighbour, so that a slow one holds up only itself. */
export const FETCHES_MAX = 3
/** And their bytes: the largest proof and some small ones. */
export const FETCH_BYTES_MAX = 96 * 1024 * 1024
/** A neighbour that serves so slowly has no claim on one of few places: 8 Mbit/s beside the time to answer. */
export const FETCH_MS = 15_000
export const FETCH_BYTES_PER_MS = 1024
/** Limits one verification from outside; it has limits of its own. A cold start of the exact runtime is below 1 s. */
export const VERIFY_MS = 30_000
/** Proofs of others take a quarter of the time at most: after each, nothing is verified for three times as long. */
export const VERIFY_REST_FACTOR = 3

/** An honest node tells only of what it verified and holds, so one false notice is enough: gossip's line is at 80. */
export const DEMERIT_PER_FALSE_NOTICE = 100
/** For so long no proof is fetched from who told of a false one. */
export const FALSE_NOTICE_REST_MS = 10 * 60_000
/** And from who did not serve what it told of. That may be the network's fault, so it costs no score. */
export const UNSERVED_REST_MS = 60_000
/** Proofs that were looked at in vain are not looked at again for so long: the model may be here later. */
export const JUDGED_MS = 10 * 60_000
export const JUDGED_MAX = 1024

/** How often a node repeats one of the notices that it stands for, in turn: for those who came or cared later. */
export const HEARTBEAT_MS = 30_000
export const HEARTBEAT_JITTER = 0.1
/** What a newcomer is told at once, below what it takes from one neighbour. The rest comes with the heartbeat. */
export const TOLD_TO_NEWCOMER = 6
/** New subscribers within this time are served together, and all neighbours of one don't speak at the same moment. */
export const NEWCOMER_DELAY_MIN_MS = 10
export const NEWCOMER_DELAY_MAX_MS = 60
/** A subscriber to which no gossip stream was open yet is tried again after this, doubled each time, so often. */
export const NEWCOMER_RETRY_MS = 40
export const NEWCOMER_RETRIES_MAX = 6
export const NEWCOMERS_MAX = 64
/** Notices that this node publishes: some at once, then one in two seconds, which all listeners together can bear. */
export const PUBLISH_BURST = 16
export const PUBLISH_PER_SECOND = 0.5
