/** What was measured of one model on one machine, and what follows from it. */
import type { RuntimeInfo } from '../runtime/index.ts'
import { SPREAD_FACTOR, TAU_MIN, TAU_NATIVE_MAX } from './constants.ts'

export interface Calibration {
  /** What ran, so that a calibration of another engine or processor is not taken for one of this. */
  readonly native: RuntimeInfo
  readonly exact: RuntimeInfo | undefined
  readonly rows: readonly CalibrationRow[]
  /** The largest spread of all rows; Infinity where two runs had nothing in common. */
  readonly spread: number
  /** On the ladder; undefined where honest answers lie as far apart as a cheap cheat. */
  readonly proposedTau: number | undefined
  /** Whether rows of one batch came out as they do alone, within the declared tolerance; undefined where it cannot be batched. */
  readonly independent: boolean | undefined
  readonly lanes: { readonly native: LaneJudgement; readonly exact: LaneJudgement }
  /** Medians in milliseconds. */
  readonly nativeMs: number
  readonly exactMs: number | undefined
  readonly traceMs: number | undefined
}

export interface CalibrationRow {
  readonly comparison:
    | 'alone against itself'
    | 'one thread against two'
    | 'alone against batch'
    | 'native against exact'
  /** Relative to the largest |element|. */
  readonly spread: number
}

export interface LaneJudgement {
  readonly ok: boolean
  /** Why it is refused, or what it rests on. */
  readonly reason: string
}

/** The least step of the 1-2-5 ladder that is five times the spread; undefined where a cheap cheat would pass too. */
export function proposeTau(spread: number): number | undefined {
  const wanted = Math.max(TAU_MIN, spread * SPREAD_FACTOR)
  if (!(wanted <= TAU_NATIVE_MAX)) return undefined
  for (let exponent = -6; exponent <= -2; exponent++) {
    for (const digit of [1, 2, 5]) {
      const tau = Number(`${digit}e${exponent}`)
      if (tau >= wanted) return tau
    }
  }
  return undefined
}
