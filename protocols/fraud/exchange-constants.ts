import { PAYLOAD_BYTES_MAX } from '../../models/tensor/index.ts'

export const PROOF_EXCHANGE_PROTOCOL = '/verimesh/fraud/1.0.0'

/** SHA-256. */
export const PROOF_ID_BYTES = 32
/**
 * A proof carries one payload of tensors at most (the operands of a step, or the inputs or outputs of a job) beside a
 * few KiB of signed statements and Merkle paths; what is left is for the operators with the most operands.
 */
export const PROOF_BYTES_MAX = PAYLOAD_BYTES_MAX + 1024 * 1024
/** A notice has about 200 bytes; DESIGN section 4 allows it 1 KB. */
export const NOTICE_BYTES_MAX = 1024
/** A CIDv1 with SHA-256 in base32 has 59 characters. */
export const NOTICE_MODEL_BYTES_MAX = 128

export const PROOF_REQUEST_BYTES_MAX = PROOF_ID_BYTES + 8
/** A refusal, or a length. */
export const PROOF_REPLY_BYTES_MAX = 16
/** Nothing may pause for longer than this: a peer that is busy with a model answers late. */
export const EXCHANGE_STALL_MS = 10_000
/** Beside the time for the bytes themselves: to ask, to be answered, and to read a disk. */
export const EXCHANGE_MS = 20_000
/** 2 Mbit/s: the largest proof takes 4 min. Slower peers are not worth waiting for: others have the same proof. */
export const EXCHANGE_BYTES_PER_MS = 256
/** To dial a peer and agree on the protocol. */
export const EXCHANGE_OPEN_MS = 10_000

/** Streams of one connection. Nobody needs two proofs of one peer at once; one may still be closing. */
export const EXCHANGE_STREAMS_MAX = 4
/** Proofs that are read from disk and sent at once, to all peers together: 256 MiB of memory at the most. */
export const SERVINGS_MAX = 4
/** Requests of one peer: a newcomer asks for a few proofs at once, then proofs become rare. */
export const REQUEST_BURST = 32
export const REQUESTS_PER_SECOND = 1
/** Bytes for one peer: the largest proof and some small ones at once, then 2 Mbit/s. */
export const PEER_BYTES_BURST = 2 * PROOF_BYTES_MAX
export const PEER_BYTES_PER_SECOND = 256 * 1024
/** And for all peers together: keys cost nothing, so a limit for each alone is none. */
export const NODE_BYTES_BURST = 8 * PROOF_BYTES_MAX
export const NODE_BYTES_PER_SECOND = 4 * 1024 * 1024
/** Peers whose use is remembered; who is forgotten begins anew, which the limit for all together still bounds. */
export const ALLOWANCE_PEERS_MAX = 1024
