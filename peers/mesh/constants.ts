/** Remembered peers that have to answer before no more are dialled; the mesh finds the rest. */
export const REMEMBERED_ENOUGH = 4
/** How often peers are written down: a killed node loses at most what it learnt since. */
export const SNAPSHOT_INTERVAL_MS = 60_000
/** Between two looks at the round trips that libp2p's connection monitor measures, as often as it does. */
export const RTT_INTERVAL_MS = 10_000
/** Pauses before further pings after a connection was made; later the connection monitor measures. */
export const RTT_AGAIN_MS = [1_000, 4_000]
/** A ping that takes longer measures nothing that routing could use. */
export const RTT_TIMEOUT_MS = 5_000
