import { PAYLOAD_BYTES_MAX } from '../../models/tensor/index.ts'

/** The JSON part of a message: a manifest with its task files in base64 is the largest, 1 MB of files at most. */
export const CONTROL_JSON_BYTES_MAX = 4 * 1024 * 1024
/** The binary part of a message: one tensor payload. */
export const CONTROL_BINARY_BYTES_MAX = PAYLOAD_BYTES_MAX
/** A local question is answered at once or the node is in trouble. */
export const CONTROL_TIMEOUT_MS = 10_000
/** Whoever answers an open call is waited for, dialled and asked. */
export const CONTROL_OPEN_CALL_MS = 30_000
/** Jobs that may be under way through the socket; a script that starts more waits for the operating system's queue. */
export const CONTROL_CONNECTIONS_MAX = 64
/** Longest path of a unix socket that every platform takes (macOS: 104 bytes with the final zero). */
export const SOCKET_PATH_BYTES_MAX = 100
