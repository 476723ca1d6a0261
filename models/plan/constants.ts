/** Steps of all blocks together: each makes a leaf at least when it is executed, and a trace has no more leaves. */
export const PLAN_STEPS_MAX = 65_536
/** Of all operators at hand the widest, a Concat, has 40. */
export const STEP_OPERANDS_MAX = 4096
/** A Split or a loop with many carried values. */
export const STEP_OUTPUTS_MAX = 4096
/** Of an encoded plan: some 200 bytes a step, and room for wide ones. */
export const PLAN_BYTES_MAX = 32 * 1024 * 1024
/** UTF-8 bytes of an operator's domain or type. */
export const OPERATOR_NAME_BYTES_MAX = 128
