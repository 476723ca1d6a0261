import { decodeTensors, isFloat, type Spread, widenSpread } from '../tensor/index.ts'
import { ABSOLUTE_TOLERANCE } from './constants.ts'

/**
 * How far two canonical payloads of outputs lie apart: the least tau with which |d| <= 1e-6 + tau * max|y| holds for every
 * float tensor. Infinity where names, shapes, whole numbers or
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
    // What lies within the absolute part is noise around zero, however small the tensor's own scale is.
    const beyond = spread.difference - ABSOLUTE_TOLERANCE
    if (beyond > 0) largest = Math.max(largest, beyond / spread.magnitude)
  }
  return largest
}
