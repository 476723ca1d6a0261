/** Round numbers at which an axis is marked: 1, 2 or 5 times a power of ten, or multiples of those. */

/** Multiples of one round step from at or below `low` to at or above `high`, about `about` of them; the ends lie on ticks. */
export function linearTicks(low: number, high: number, about: number): readonly number[] {
  const step = roundUp((high - low) / Math.max(1, about))
  if (!(step > 0) || !Number.isFinite(step)) return [low]
  // A hair of room, so that the noise of a division adds no further tick.
  const first = Math.floor(low / step + 1e-9)
  const last = Math.ceil(high / step - 1e-9)
  return Array.from({ length: last - first + 1 }, (_, index) => clean((first + index) * step))
}

/** Powers of ten from `low` to `high`, and 2 and 5 times them where there are few. Both ends are positive. */
export function logTicks(low: number, high: number): readonly number[] {
  const first = Math.floor(Math.log10(low) + 1e-9)
  const last = Math.ceil(Math.log10(high) - 1e-9)
  const every = Math.max(1, Math.ceil((last - first) / 8))
  // Counted from one, so that 1 itself is marked wherever it lies on the axis.
  const exponents = Array.from({ length: last - first + 1 }, (_, index) => first + index).filter(
    (exponent) => exponent % every === 0,
  )
  const ticksOf = (multiples: readonly number[]): readonly number[] =>
    exponents
      .flatMap((exponent) => multiples.map((multiple) => Number(`${multiple}e${exponent}`)))
      .filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9))
  const powers = ticksOf([1])
  // Small numbers have long labels: 2 and 5 times them only where there would be no two powers.
  const isShort = low >= 0.01 && Math.log10(high / low) <= 2.2
  return isShort || powers.length < 2 ? ticksOf([1, 2, 5]) : powers
}

/** Between the ticks of a logarithmic axis: 2 to 9 times the powers of ten. */
export function minorTicks(low: number, high: number): readonly number[] {
  const ticks: number[] = []
  const first = Math.floor(Math.log10(low) + 1e-9)
  const last = Math.ceil(Math.log10(high) - 1e-9)
  if (last - first > 8) return ticks
  for (let exponent = first; exponent < last; exponent++)
    for (let multiple = 2; multiple <= 9; multiple++) {
      const value = Number(`${multiple}e${exponent}`)
      if (value >= low && value <= high) ticks.push(value)
    }
  return ticks
}

/** The smallest of 1, 2 and 5 times a power of ten that is not below `value`, which is positive. */
export function roundUp(value: number): number {
  return rounded(value, [1, 2, 5, 10], (candidate) => candidate >= value * (1 - 1e-9))
}

/** The largest of 1, 2 and 5 times a power of ten that is not above `value`, which is positive. */
export function roundDown(value: number): number {
  return rounded(value, [10, 5, 2, 1], (candidate) => candidate <= value * (1 + 1e-9))
}

function rounded(value: number, multiples: readonly number[], fits: (candidate: number) => boolean): number {
  const exponent = Math.floor(Math.log10(value))
  const candidates = multiples.map((multiple) => Number(`${multiple}e${exponent}`))
  return candidates.find(fits) ?? value
}

/** Without the noise of binary fractions: 0.30000000000000004 is meant to be 0.3. */
function clean(value: number): number {
  return Number(value.toPrecision(12)) || 0
}
