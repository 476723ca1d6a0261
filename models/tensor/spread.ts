import { ELEMENT_BYTES } from './tensor.ts'

/** How far two tensors lie apart, gathered piece by piece. */
export interface Spread {
  /** Largest finite |y| of both sides. */
  magnitude: number
  /** Largest |left - right| among pairs of finite elements. */
  difference: number
}

export type FloatType = 'float16' | 'float32' | 'float64'

export function isFloat(dtype: string): dtype is FloatType {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'float64'
}

/** Widens `spread` by these elements; false where one side is not finite and the other is not the same. */
export function widenSpread(spread: Spread, dtype: FloatType, left: Uint8Array, right: Uint8Array): boolean {
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
  // Not `bytes.slice()`: on a Node Buffer that is a view, as badly aligned as the Buffer itself.
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes)
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
