/** All lines wait for the same few processes; a slow machine needs most of this. */
export const DEMO_JOB_TIMEOUT_MS = 80_000
