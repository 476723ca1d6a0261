/** The absolute part of the tolerance: below it, a difference is noise around zero whatever the tensor's scale. */
export const ABSOLUTE_TOLERANCE = 1e-6
/** A tau of 1 or more would let one outlandish element excuse itself: |d| <= max|y| always holds. */
export const TAU_LIMIT = 1
/** Finding the largest clique costs up to 2^n steps; 2^16 is a millisecond, and nobody asks 16 providers. */
export const ANSWERS_MAX = 16
/** Elements compared between two pauses: about 0.1 ms of work. */
export const COMPARISON_STEP_ELEMENTS = 65_536
