/** Bytes of a frame's length: four varint bytes reach 256 MiB, more than any frame of ours. */
export const LENGTH_BYTES_MAX = 4
/**
 * How much may lie unread while nobody reads before the stream is paused. More than any header frame, so that a peer
 * which is one message ahead costs nothing; small enough for thousands of streams.
 */
export const READ_AHEAD_BYTES = 64 * 1024
/**
 * A payload is handed to the stream in pieces of this many bytes, without copying, and waits for `drain` in between:
 * yamux's first window. Smaller ones cost up to a fifth more at 600 KB; larger ones gain as much, but keep the small
 * messages of other streams waiting, and the receiver digests nothing before it has all of one.
 */
export const WRITE_PIECE_BYTES = 256 * 1024
