/** Of everything here that two machines must agree on: plan, leaves, digests, canonical values. */
export const TRACE_VERSION = 1
/** Leaves of one trace. The largest of the models at hand has some 2,000; a loop multiplies its body. */
export const LEAVES_MAX = 65_536
/** Of one loop. */
export const LOOP_ITERATIONS_MAX = 16_384
/** A leaf has 32 bytes for each operand and output; the end of a loop one for each element of each scan output. */
export const LEAF_BYTES_MAX = 1024 * 1024
/** Of all leaves of one trace: at 200 bytes each, the most that a trace can have. */
export const LEAVES_BYTES_MAX = 16 * 1024 * 1024
/** Blocks in one another. */
export const POSITION_DEPTH_MAX = 8
/** Nine step numbers and eight iterations of five digits each, with their marks. */
export const POSITION_BYTES_MAX = 120
