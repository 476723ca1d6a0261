/**
 * From a value to its place on an axis, as a fraction of the axis: 0 is its beginning, 1 its end. Apart from pixels, so
 * that all panels of a plot share one scale.
 */
import { count, powerLabel, tickLabel } from './figures.ts'
import { linearTicks, logTicks, minorTicks, roundDown, roundUp } from './ticks.ts'

/** An axis: places and marks. */
export interface Scale {
  /** Values beyond the ends land beyond 0 and 1. NaN where the scale has no place for the value. */
  fraction(value: number): number
  readonly ticks: readonly Tick[]
  /** Unlabelled ticks. */
  readonly minor: readonly number[]
  /** Between which fractions the axis is broken, below its logarithmic part: zero stands beneath. */
  readonly breakAt?: { readonly from: number; readonly to: number }
}

/** A labelled mark on an axis. */
export interface Tick {
  readonly value: number
  readonly label: string
}

/** Where zero stands on an axis that has it beside a logarithmic part, and where that part begins. */
const ZERO_AT = 0.06
const BREAK = { from: 0.115, to: 0.145 } as const
const LOG_FROM = 0.165

/** Values that differ more than this are told apart on a logarithmic axis only. */
const LINEAR_RATIO_MAX = 6

/** From 0 or a round number below the least to a round number above the most. */
export function linearScale(
  values: readonly number[],
  { zero = true, about = 4, label }: LinearOptions = {},
): Scale {
  const all = measured(values)
  const low = zero ? Math.min(0, least(all)) : least(all)
  const high = most(all)
  const ticks = linearTicks(low, high > low ? high : low + 1, about)
  const first = ticks[0]!
  const last = ticks.at(-1)!
  const labelOf = label ?? (last < POWERS_BELOW && first >= 0 ? powerLabel : tickLabel)
  return {
    fraction: (value) => (value - first) / (last - first || 1),
    ticks: ticks.map((value) => ({ value, label: labelOf(value) })),
    minor: [],
  }
}

/** How a linear scale begins and is marked. */
export interface LinearOptions {
  /** Whether the axis begins at zero; on without a word. */
  readonly zero?: boolean
  /** About how many ticks. */
  readonly about?: number
  readonly label?: (value: number) => string
}

/** From 0 on, with ticks at whole numbers only. */
export function countScale(values: readonly number[]): Scale {
  const top = Math.max(1, most(measured(values)))
  return linearScale([0, top], { about: Math.min(4, top), label: count })
}

/** Logarithmic over the positive values; others have no place. */
export function logScale(values: readonly number[], label?: (value: number) => string): Scale {
  const { low, high } = logDomain(values, 1)
  const span = Math.log(high / low)
  return {
    fraction: (value) => (value > 0 ? Math.log(value / low) / span : Number.NaN),
    ...logMarking(low, high, label),
  }
}

/**
 * Logarithmic, with zero on a place of its own below a break in the axis: there is no zero on a logarithmic axis, and
 * drawing it at the least value would be a lie. `unit` is the least that could have been measured apart from zero; it is
 * where the axis begins when all values are zero. Without zeros it is a logarithmic scale like any other.
 */
export function zeroLogScale(
  values: readonly number[],
  unit: number,
  label?: (value: number) => string,
): Scale {
  if (!measured(values).some((value) => value <= 0)) return logScale(values, label)
  const { low, high } = logDomain(values, unit)
  const span = Math.log(high / low)
  const { ticks, minor } = logMarking(low, high, label)
  return {
    fraction(value) {
      if (value === 0) return ZERO_AT
      return value > 0 ? LOG_FROM + (1 - LOG_FROM) * (Math.log(value / low) / span) : Number.NaN
    },
    ticks: [{ value: 0, label: '0' }, ...ticks],
    minor,
    breakAt: BREAK,
  }
}

/** Below this, ticks are written as powers of ten, all of one axis alike. */
const POWERS_BELOW = 0.01

function logMarking(
  low: number,
  high: number,
  label = low < POWERS_BELOW ? powerLabel : tickLabel,
): Pick<Scale, 'ticks' | 'minor'> {
  return {
    ticks: logTicks(low, high).map((value) => ({ value, label: label(value) })),
    minor: minorTicks(low, high),
  }
}

/** Linear from zero where the values are of one size, logarithmic where they are not and none is zero. */
export function eitherScale(values: readonly number[], label?: (value: number) => string): Scale {
  const all = measured(values)
  if (isWide(all)) return logScale(all, label)
  return linearScale(all, label === undefined ? {} : { label })
}

/** Linear from zero where the positive values are of one size, else logarithmic with zero on a place of its own. */
export function wideScale(values: readonly number[], unit: number): Scale {
  return isWide(measured(values).filter((value) => value > 0))
    ? zeroLogScale(values, unit)
    : linearScale(values)
}

/** For executions a job: from 1, an answer that nobody checks, or from below it where even that was not reached. */
export function costScale(values: readonly number[]): Scale {
  const all = [1, ...measured(values)]
  return isWide(all) ? logScale(all) : linearScale(all, { zero: false })
}

function isWide(values: readonly number[]): boolean {
  return values.length > 0 && least(values) > 0 && most(values) / least(values) > LINEAR_RATIO_MAX
}

/** One place after the other for values that are names, or numbers of which only these occur. Values are indices. */
export function ordinalScale(labels: readonly string[]): Scale {
  return {
    fraction: (index) => (index + 0.5) / Math.max(1, labels.length),
    ticks: labels.map((label, value) => ({ value, label })),
    minor: [],
  }
}

/** For probabilities: log odds, which give both tails of a distribution room. 0 and 1 have no place. */
export function logitScale(
  low: number,
  high: number,
  ticks: readonly number[],
  label: (value: number) => string,
): Scale {
  const odds = (value: number): number => Math.log(value / (1 - value))
  const from = odds(low)
  const span = odds(high) - from
  return {
    fraction: (value) => (value > 0 && value < 1 ? (odds(value) - from) / span : Number.NaN),
    ticks: ticks.map((value) => ({ value, label: label(value) })),
    minor: [],
  }
}

/** Virtual time in the unit that suits its length. */
export function timeScale(endMs: number): Scale & { readonly unit: string } {
  const [unit, unitMs] = TIME_UNITS.find(([, , untilMs]) => endMs <= untilMs) ?? TIME_UNITS.at(-1)!
  const inner = linearScale([0, endMs / unitMs], { about: 7 })
  const last = Math.max(endMs / unitMs, Number.MIN_VALUE)
  // Time ends where the run did, not at the next round number.
  return {
    unit,
    fraction: (value) => value / unitMs / last,
    ticks: inner.ticks
      .filter(({ value }) => value <= last * (1 + 1e-9))
      .map(({ value, label }) => ({ value: value * unitMs, label })),
    minor: [],
  }
}

/** Name, milliseconds, and until how long a run it serves. */
const TIME_UNITS: readonly (readonly [string, number, number])[] = [
  ['ms', 1, 2_000],
  ['s', 1_000, 300_000],
  ['min', 60_000, 18_000_000],
  ['h', 3_600_000, 432_000_000],
  ['days', 86_400_000, Number.POSITIVE_INFINITY],
]

/** The values that are numbers at all. */
function measured(values: readonly number[]): readonly number[] {
  return values.filter((value) => Number.isFinite(value))
}

/** Round ends around the positive values, at least a power of ten apart, so that there is a tick at one. */
function logDomain(values: readonly number[], unit: number): { readonly low: number; readonly high: number } {
  const positive = measured(values).filter((value) => value > 0)
  if (positive.length === 0) return { low: roundDown(unit), high: roundDown(unit) * 10 }
  const high = roundUp(most(positive))
  return { low: Math.min(roundDown(least(positive)), roundDown(high / 10)), high }
}

// Not `Math.min(...values)`: a long run has more points than a call may have arguments.
function least(values: readonly number[]): number {
  return values.reduce((low, value) => Math.min(value, low), values[0] ?? 0)
}

function most(values: readonly number[]): number {
  return values.reduce((high, value) => Math.max(value, high), values[0] ?? 0)
}
