/** A tolerance proposed is this many times the spread measured: one machine does not show what others do. */
export const SPREAD_FACTOR = 5
/** Float32 answers of two honest machines were never nearer than this where they differed at all. */
export const TAU_MIN = 1e-6
/**
 * The cheapest cheat, weights rounded to 16 bits, moves outputs by 8e-5 to 2e-3 of the largest. Where honest machines lie as
 * far apart as that, a tolerance would let it pass: such a model is checked in the exact lane only.
 */
export const TAU_NATIVE_MAX = 1e-3
/** Inputs drawn for one calibration; more find hardly more. */
export const SAMPLES = 3
/** Tried in this order for a dimension that varies: images want multiples of 32, sequences something short. */
export const DIMENSION_GUESSES: readonly number[] = [64, 32, 128, 16, 8, 4, 2, 1, 224, 256, 320]
/** Bytes of one drawn input set: enough for a photograph. */
export const SAMPLE_BYTES_MAX = 16 * 1024 * 1024
/** Elements drawn at a stretch: half a millisecond. */
export const SAMPLE_STEP_ELEMENTS = 16_384
/** Integer inputs are mostly token ids, lengths and masks: small numbers mean something to every model. */
export const INTEGER_SAMPLE_MAX = 8
/** The absolute part of every comparison of answers, as in `src/verification`. */
export const ABSOLUTE_TOLERANCE = 1e-6
