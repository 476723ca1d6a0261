/** Files of one model. Its manifest, which names each, ends at 256 KiB, and so at about this many. */
export const MODEL_FILES_MAX = 2000
/** Folders inside folders of a model directory. */
export const MODEL_DEPTH_MAX = 16
/** What a package may unpack to: a bomb of some kilobytes must not fill the disk. */
export const PACKAGE_BYTES_MAX = 16 * 1024 ** 3
/** Entries of a package; the largest in the registry have some ten thousand. */
export const PACKAGE_ENTRIES_MAX = 50_000
/** Extended headers of a tar archive: they hold a path and little else. */
export const ARCHIVE_HEADER_BYTES_MAX = 64 * 1024
/** What `npm pack --json` prints lists every file of the package. */
export const NPM_OUTPUT_BYTES_MAX = 32 * 1024 * 1024
/** Tolerance of a model whose publisher declared none: the OCR and vision models measured spread 1e-7 to 7e-6. */
export const TAU_DEFAULT = 5e-5
/** The same for float16 outputs, of which two neighbours differ by up to 1e-3 of their value. */
export const TAU_FLOAT16 = 2e-3
/** External data of one model that the exact lane takes: what its engine, which counts with 32 bits, has room for. */
export const EXACT_EXTERNAL_BYTES_MAX = 2 ** 31 - 1
/** Bytes read at a time when files are copied and hashed: large enough that calls cost nothing, far below a chunk. */
export const COPY_BYTES = 1024 * 1024
