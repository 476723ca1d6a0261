/** Assumed where nobody has measured or announced anything: a small model on a slow machine. */
export const SERVICE_MS_GUESS = 100
/** Assumed round trip where none was measured: within a continent. */
export const RTT_MS_GUESS = 50
/** Nobody counts as more than twenty times as slow for not answering: it may have come back. */
export const RELIABILITY_MIN = 0.05
