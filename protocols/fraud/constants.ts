import { LEAF_BYTES_MAX } from '../../models/trace/index.ts'

/** Siblings on the way from a leaf to the root, of 2^16 leaves. */
export const PATH_BYTES_MAX = 16 * 32
/** A leaf with its index and its path. */
export const PROVEN_LEAF_BYTES_MAX = LEAF_BYTES_MAX + PATH_BYTES_MAX + 32
/** The leaf in question, the decision of an If that ends there, and the leaf that made a value. */
export const PROVEN_LEAVES_MAX = 3
