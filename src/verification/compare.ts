/**
 * Whether two answers to one job are the same within the job's tolerance.
 *
 * Float tensors agree when max|d| <= 1e-6 + tau * max|y|, where max|y| is taken over the finite elements of both
 * sides, so that neither side is the reference. NaN agrees with NaN, an infinity with the same infinity. All other
 * element types agree when they are equal. Names, element types and dimensions must be equal.
 *
 * Both maxima are gathered in one pass, in steps: payloads can have 64 MiB, and the caller's thread has other work.
 */
import { decodeTensorHeaders, ELEMENT_BYTES, type TensorHeader } from '../../models/tensor/index.ts'
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
      if (!gather(header.dtype, a, b, spread)) state = 'differs'
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

interface Spread {
  /** Largest finite |y| of both sides. */
  magnitude: number
  /** Largest |left - right| among pairs of finite elements. */
  difference: number
}

type FloatType = 'float16' | 'float32' | 'float64'

function isFloat(dtype: string): dtype is FloatType {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'float64'
}

/** Widens `spread` by these elements; false where one side is not finite and the other is not the same. */
function gather(dtype: FloatType, left: Uint8Array, right: Uint8Array, spread: Spread): boolean {
  if (Buffer.compare(left, right) === 0) return gatherPairs(decodeFloats(dtype, left), undefined, spread)
  return gatherPairs(decodeFloats(dtype, left), decodeFloats(dtype, right), spread)
}

function gatherPairs(left: ArrayLike<number>, right: ArrayLike<number> | undefined, spread: Spread): boolean {
  let { magnitude, difference } = spread
  for (let index = 0; index < left.length; index++) {
    const a = left[index]!
    const b = right === undefined ? a : right[index]!
    const d = Math.abs(a - b)
    // d is finite for two finite numbers, except where their distance overflows: then neither branch excuses it.
    if (d <= Number.MAX_VALUE) {
      const larger = Math.max(Math.abs(a), Math.abs(b))
      if (larger > magnitude) magnitude = larger
      if (d > difference) difference = d
    } else if (!Object.is(a, b)) return false
  }
  spread.magnitude = magnitude
  spread.difference = difference
  return true
}

/** Looks into the bytes where they are aligned, else copies this step's few. Little-endian machines, as elsewhere. */
function decodeFloats(dtype: FloatType, bytes: Uint8Array): ArrayLike<number> {
  const size = ELEMENT_BYTES[dtype]
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  const length = bytes.byteLength / size
  if (dtype === 'float32') return new Float32Array(buffer, byteOffset, length)
  if (dtype === 'float64') return new Float64Array(buffer, byteOffset, length)
  return Float32Array.from(new Uint16Array(buffer, byteOffset, length), decodeHalf)
}

/** IEEE 754 binary16. Not by Float16Array: onnxruntime needs that global removed. */
function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
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
