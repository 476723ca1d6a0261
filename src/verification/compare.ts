/**
 * Whether two answers to one job are the same within the job's tolerance.
 *
 * Float tensors agree when max|d| <= 1e-6 + tau * max|y|, where max|y| is taken over the finite elements of both
 * sides, so that neither side is the reference. NaN agrees with NaN, an infinity with the same infinity. All other
 * element types agree when they are equal. Names, element types and dimensions must be equal.
 *
 * Both maxima are gathered in one pass, in steps: payloads can have 64 MiB, and the caller's thread has other work.
 */
import {
  decodeTensorHeaders,
  ELEMENT_BYTES,
  isFloat,
  type Spread,
  type TensorHeader,
  widenSpread,
} from '../../models/tensor/index.ts'
import { ABSOLUTE_TOLERANCE, COMPARISON_STEP_ELEMENTS, TAU_LIMIT } from './constants.ts'
import { VerificationError } from './errors.ts'

export interface Comparison {
  /** Looks at up to `elements` more elements (at least 1). After `agrees` or `differs` the answer stays. */
  step(elements: number): ComparisonState
}

export type ComparisonState = 'more' | 'agrees' | 'differs'

/**
 * Begins to compare two canonical payloads (`models/tensor`). `tau` is in [0, 1).
 * Throws TensorError where a payload's head is malformed, VerificationError `invalid-tolerance`.
 */
export function createComparison(left: Uint8Array, right: Uint8Array, tau: number): Comparison {
  verifyTau(tau)
  const leftHeaders = decodeTensorHeaders(left)
  const rightHeaders = decodeTensorHeaders(right)
  let state: ComparisonState =
    left.byteLength === right.byteLength && sameHeaders(leftHeaders, rightHeaders) ? 'more' : 'differs'
  let tensor = 0
  let element = 0
  let spread: Spread = { magnitude: 0, difference: 0 }

  const stepTensor = (header: TensorHeader, budget: number): number => {
    const size = ELEMENT_BYTES[header.dtype]
    const count = Math.min(budget, header.dataBytes / size - element)
    const from = header.dataAt + element * size
    const a = left.subarray(from, from + count * size)
    const b = right.subarray(from, from + count * size)
    if (isFloat(header.dtype)) {
      if (!widenSpread(spread, header.dtype, a, b)) state = 'differs'
    } else if (Buffer.compare(a, b) !== 0) state = 'differs'
    element += count
    if (state === 'more' && element * size === header.dataBytes) {
      if (!(spread.difference <= ABSOLUTE_TOLERANCE + tau * spread.magnitude)) state = 'differs'
      spread = { magnitude: 0, difference: 0 }
      tensor += 1
      element = 0
    }
    return count
  }

  return {
    step(elements) {
      let budget = Math.max(1, elements)
      while (state === 'more' && budget > 0) {
        const header = leftHeaders[tensor]
        if (header === undefined) state = 'agrees'
        // An empty tensor costs one element, so that a step always ends.
        else budget -= Math.max(1, stepTensor(header, budget))
      }
      if (state === 'more' && leftHeaders[tensor] === undefined) state = 'agrees'
      return state
    },
  }
}

/** The whole comparison at once; for small payloads and for tests. Throws like `createComparison`. */
export function compareTensors(left: Uint8Array, right: Uint8Array, tau: number): boolean {
  return createComparison(left, right, tau).step(Number.POSITIVE_INFINITY) === 'agrees'
}

/**
 * The same, giving way with `pause` (for example a `setImmediate`) after every step.
 * Rejects like `createComparison`, and with the signal's reason when aborted.
 */
export async function compareTensorsGradually(
  left: Uint8Array,
  right: Uint8Array,
  tau: number,
  pause: () => Promise<void>,
  signal?: AbortSignal,
): Promise<boolean> {
  const comparison = createComparison(left, right, tau)
  for (;;) {
    signal?.throwIfAborted()
    const state = comparison.step(COMPARISON_STEP_ELEMENTS)
    if (state !== 'more') return state === 'agrees'
    await pause()
  }
}

function sameHeaders(left: readonly TensorHeader[], right: readonly TensorHeader[]): boolean {
  return (
    left.length === right.length &&
    left.every((a, index) => {
      const b = right[index]!
      return (
        a.name === b.name &&
        a.dtype === b.dtype &&
        a.dims.length === b.dims.length &&
        a.dims.every((dim, axis) => dim === b.dims[axis])
      )
    })
  )
}

function verifyTau(tau: number): void {
  if (!(tau >= 0 && tau < TAU_LIMIT)) {
    throw new VerificationError('invalid-tolerance', `tau must be from 0 up to, not including, 1; got ${tau}`)
  }
}
