import { DIRECTORY_BLOCKS_BYTES_MAX, DIRECTORY_BLOCKS_MAX } from '../../models/address/index.ts'

export const MODEL_FILES_PROTOCOL = '/verimesh/model-files/1.0.0'

/** A CIDv1 with SHA-256 in base32 has 59 characters. */
export const CID_BYTES_MAX = 128
export const REQUEST_BYTES_MAX = CID_BYTES_MAX + 8
/** Each block costs a tag and a length. */
export const RESPONSE_BYTES_MAX = DIRECTORY_BLOCKS_BYTES_MAX + 8 * DIRECTORY_BLOCKS_MAX
/** A mebibyte at 0.5 Mbit/s takes 17 s. Slower peers are not worth waiting for: others have the same files. */
export const EXCHANGE_MS = 20_000
/** Streams of one connection. One request needs one; a few models may be looked up at once. */
export const STREAMS_MAX = 8
