/** What a requester fetches from strangers before its first job: directories, manifest and task files together. */
export const DIRECTORY_BLOCKS_BYTES_MAX = 1024 * 1024
/** A manifest, 64 task files and the directories above them. */
export const DIRECTORY_BLOCKS_MAX = 256
