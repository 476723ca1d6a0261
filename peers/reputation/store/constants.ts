/** Inside the data directory. */
export const REPUTATION_FILE = 'reputation.db'
/** Where a file that can't be read is kept aside. One only, so that a recurring fault fills no disk. */
export const DAMAGED_SUFFIX = '.damaged'
/** What was seen is on disk after this. A process that is killed forgets as much. */
export const FLUSH_MS = 1_000
/** Pause after a write that failed, doubled each time in a row up to the second value. */
export const RETRY_MS_MIN = 2_000
export const RETRY_MS_MAX = 60_000
/** How often it is looked whether another process has written: a look at two files. */
export const REFRESH_MS = 5_000
/** How long one process waits for another that writes. A transaction takes milliseconds; only the thread that writes waits. */
export const LOCK_MS = 5_000
/** How long whoever only reads waits, at the start of a command or a node. */
export const READ_LOCK_MS = 1_000
/** A node that stops waits this long for its last write: a disk that hangs must not keep it. */
export const CLOSE_MS = 10_000
