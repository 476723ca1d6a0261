/** How numbers are written for people: always the same way, whatever the language of the machine. */

/**
 * To four digits that count, or as many as asked; whole numbers of five digits and more whole, their thousands apart; an
 * exponent where there would be many zeros: `12,345`, `0.0312`, `3.5e-4`.
 */
export function figure(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return '–'
  const rounded = Number(value.toPrecision(digits))
  if (rounded !== 0 && Math.abs(rounded) < 1e-3) return shortExponent(rounded)
  if (Math.abs(rounded) >= 1e9) return shortExponent(rounded)
  return grouped(String(Math.abs(value) >= 1e4 ? Math.round(value) : rounded))
}

/** A whole number, with its thousands apart. */
export function count(value: number): string {
  return Number.isFinite(value) ? grouped(String(Math.round(value))) : '–'
}

/** A share from 0 to 1 in per cent, without the sign: `3`, `2.55`. */
export function perCent(share: number): string {
  return figure(Number((share * 100).toPrecision(3)))
}

/** `10⁻³`, `2×10⁻³`: on an axis of small numbers all ticks are written like this. */
export function powerLabel(value: number): string {
  if (value === 0 || value === 1) return String(value)
  const [digits, exponent] = value.toExponential(3).split('e')
  const mantissa = String(Number(digits))
  const power = `10${superscript(Number(exponent))}`
  return mantissa === '1' ? power : `${mantissa}×${power}`
}

/** What stands at a tick: the number itself, or a power of ten where it is far from one. */
export function tickLabel(value: number): string {
  if (value === 0) return '0'
  const exponent = Math.round(Math.log10(Math.abs(value)))
  const isPower = Number(`1e${exponent}`) === value
  if (isPower && (exponent < -2 || exponent > 5)) return `10${superscript(exponent)}`
  return figure(value)
}

function shortExponent(value: number): string {
  const [mantissa, exponent] = value.toExponential(3).split('e')
  return `${Number(mantissa)}e${Number(exponent)}`
}

function grouped(digits: string): string {
  const [whole = '', fraction] = digits.split('.')
  const apart = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, ',') : whole
  return fraction === undefined ? apart : `${apart}.${fraction}`
}

function superscript(exponent: number): string {
  return [...String(exponent)].map((digit) => (digit === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)])).join('')
}
