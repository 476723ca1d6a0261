/** Models that one store lists: all their manifests are in memory, at most 256 KiB each and usually 2. */
export const MODELS_MAX = 1000
/** The index of names: room for that many. */
export const NAMES_BYTES_MAX = 1024 * 1024
