/**
 * IEEE 754 binary16, by hand: `DataView.setFloat16` is missing from the oldest Node that we support.
 */

const words = new DataView(new ArrayBuffer(8))

/** The bits of `value` as a binary16, rounded to nearest, ties to even. */
export function halfBits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00
  words.setFloat64(0, value)
  const sign = (words.getUint8(0) >> 7) << 15
  const magnitude = Math.abs(value)
  if (magnitude === 0) return sign
  // Halfway between the largest binary16 and the next power of two, which is where rounding gives infinity.
  if (magnitude >= 65520) return sign | 0x7c00
  // Below 2^-14 the spacing of values stays at 2^-24; above, it is 2^-10 of the power of two beneath.
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)))
  const adjusted = magnitude < 2 ** exponent && exponent > -14 ? exponent - 1 : exponent
  const steps = roundHalfEven(magnitude / 2 ** (adjusted - 10))
  // Adding the exponent lets a carry out of the fraction raise it, and leaves subnormals at exponent field 0.
  return sign | (steps + (adjusted + 14) * 1024)
}

/** The value of the binary16 with these bits. */
export function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}
