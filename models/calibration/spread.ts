import { decodeTensors, isFloat, type Spread, widenSpread } from '../tensor/index.ts'

/**
 * How far two canonical payloads of outputs lie apart: the largest |difference| of a float tensor, relative to the
 * largest |element| of that tensor on both sides; 0 where they are equal. Infinity where names, shapes, whole numbers or
 * what is not finite differ. Throws TensorError.
 */
export function spreadOf(left: Uint8Array, right: Uint8Array): number {
  const ours = decodeTensors(left)
  const theirs = decodeTensors(right)
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY
  let largest = 0
  for (const [index, a] of ours.entries()) {
    const b = theirs[index]!
    if (a.name !== b.name || a.dtype !== b.dtype || a.dims.join() !== b.dims.join())
      return Number.POSITIVE_INFINITY
    if (Buffer.compare(a.data, b.data) === 0) continue
    const spread: Spread = { magnitude: 0, difference: 0 }
    if (!isFloat(a.dtype) || !widenSpread(spread, a.dtype, a.data, b.data)) return Number.POSITIVE_INFINITY
    // Two zeros of different sign lie nowhere apart.
    if (spread.difference > 0) largest = Math.max(largest, spread.difference / spread.magnitude)
  }
  return largest
}
