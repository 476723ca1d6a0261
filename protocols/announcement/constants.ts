/** Eight addresses of ordinary length and everything else take under 1 KiB; every listener of a topic gets it. */
export const ANNOUNCEMENT_BYTES_MAX = 2048
/** Listen addresses of one node: a few interfaces times a few transports. */
export const MULTIADDRS_MAX = 8
/** A relayed address with two peer ids has about 200. */
export const MULTIADDR_BYTES_MAX = 256
export const CID_BYTES_MAX = 128
export const INSTRUCTION_SET_BYTES_MAX = 64
/** Running, queued and taken at most: no node holds a million requests. */
export const LOAD_MAX = 1_000_000
/** One hour, in milliseconds. Executions that take longer are not what this mesh is for. */
export const SERVICE_MS_MAX = 60 * 60 * 1000
/** One hour. Listeners may believe it for a shorter time. */
export const TTL_MS_MAX = 60 * 60 * 1000
