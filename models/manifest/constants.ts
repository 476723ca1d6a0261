/** Room for about a thousand files; a requester fetches a manifest from strangers before it knows anything else. */
export const MANIFEST_BYTES_MAX = 256 * 1024
/** UTF-8 bytes of a path: what every common file system takes for a single name. */
export const PATH_BYTES_MAX = 255
/** UTF-16 units of a model's name and of other short texts. */
export const TEXT_LENGTH_MAX = 128
/** A dimension stands in 32 bits in a tensor payload. */
export const DIM_MAX = 2 ** 32 - 1
/** Above this a tolerance admits the cheapest cheat (weights rounded to 8 bits land at 1e-2). */
export const TAU_MAX = 1e-2
/** Task files of one model together: what a requester fetches before its first job. */
export const TASK_FILES_BYTES_MAX = 1024 * 1024
/** Companions and parameters of a task, each. */
export const TASK_ENTRIES_MAX = 64
/** Numbers in a task parameter that is a list. */
export const PARAMETER_LENGTH_MAX = 1024
