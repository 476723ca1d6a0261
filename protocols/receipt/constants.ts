/** A job has about 250 bytes; a key, an address and a digest leave little to grow. */
export const JOB_BYTES_MAX = 1024
/** A receipt has about 250 bytes beside the text that names its runtime. */
export const RECEIPT_BYTES_MAX = 1024
/** A trace commitment has five digests, a lane's name and three numbers: about 240 bytes. */
export const COMMITMENT_BYTES_MAX = 512
/** What an envelope adds: key 38, payload type about 25, signature 66, lengths. */
export const SEAL_BYTES_MAX = 256
export const SEALED_JOB_BYTES_MAX = JOB_BYTES_MAX + SEAL_BYTES_MAX
export const SEALED_RECEIPT_BYTES_MAX = RECEIPT_BYTES_MAX + SEAL_BYTES_MAX
export const SEALED_COMMITMENT_BYTES_MAX = COMMITMENT_BYTES_MAX + SEAL_BYTES_MAX
export const JOB_NONCE_BYTES = 16
/** A CIDv1 with SHA-256 in base32 has 59 characters; longer hashes fit too. */
export const CID_BYTES_MAX = 128
/** Engine, version and instruction-set class, each. */
export const RUNTIME_TEXT_BYTES_MAX = 64
/** Providers of one job. Nobody replicates further; it bounds a bundle. */
export const REPLICAS_MAX = 64
/**
 * Trace commitments in a bundle: of the providers that a requester asks in the worst case. Two alike suffice; with 64
 * receipts the record still fits.
 */
export const TRACES_MAX = 16
/** Relative tolerances above 1 would let zero stand for anything. */
export const TAU_MAX = 1
/** The year 287,396; beyond it numbers are not exact. */
export const TIME_MS_MAX = Number.MAX_SAFE_INTEGER
/** What a bundle may say, in the requester's words, about the job: a page's name, a line's number. */
export const DESCRIPTION_BYTES_MAX = 1024
/** Job, salt, verdict, description, 64 receipts of at most 1.3 KB and 16 trace commitments of 0.8 KB. */
export const RECORD_BYTES_MAX = 128 * 1024
/** Digesting stops for others after each piece: at 0.5 to 1.7 GB/s a mebibyte takes 0.6 to 2 ms. */
export const DIGEST_PIECE_BYTES = 1024 * 1024
