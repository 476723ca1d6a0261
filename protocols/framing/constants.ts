/** Bytes of a frame's length: four varint bytes reach 256 MiB, more than any frame of ours. */
export const LENGTH_BYTES_MAX = 4
/**
 * How much may lie unread while nobody reads before the stream is paused. More than any header frame, so that a peer
 * which is one message ahead costs nothing; small enough for thousands of streams.
 */
export const READ_AHEAD_BYTES = 64 * 1024
/**
 * A payload is handed to the stream in pieces of this many bytes, without copying, and waits for `drain` in between.
 * The receiver sees a piece when all of it has come, and digests it while the next is on its way.
 */
export const WRITE_PIECE_BYTES = 128 * 1024
