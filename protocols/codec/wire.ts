/** Wire types of protobuf that our messages use. A tag is one byte: no message of ours has a field above 15. */
export const VARINT = 0
export const FIXED64 = 1
export const BYTES = 2
