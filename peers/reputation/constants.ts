/** Peer ids have 52 characters, job ids 64, addresses of models up to 128. */
export const TEXT_BYTES_MAX = 128
/** Classes and observations of one provider in its encoding: four times as many as a ledger keeps, so that it may grow. */
export const ENTRY_CLASSES_MAX = 256
export const ENTRY_RECENT_MAX = 64
/** With all of them, each text at its longest: 256 classes of 160 bytes, 64 observations of 300. */
export const ENTRY_BYTES_MAX = 65_536
/** Providers in an export: as many as a ledger remembers. */
export const EXPORT_ENTRIES_MAX = 10_240
/** About 2 KiB each; each at most 9 KiB with the bounds of a ledger. */
export const EXPORT_BYTES_MAX = 96 * 1024 * 1024
