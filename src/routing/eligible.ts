/** Who of those who offer themselves can do a job at all, and who is likely to do it in time. */
import type { Candidate } from './candidate.ts'

/** What a job asks of whoever runs it. */
export interface Needs {
  readonly lane: string
  /** The class of processor that it must run on; left out, any. */
  readonly instructionSet?: string
}

/**
 * Whether it serves the lane, on the class of processor that is asked for. Of whom only a provider record is known, the
 * lanes are not: it is asked and refuses. A class that was asked for must have been announced.
 */
export function canServe({ lanes, instructionSet }: Candidate, needs: Needs): boolean {
  if (lanes !== undefined && !lanes.includes(needs.lane)) return false
  return needs.instructionSet === undefined || instructionSet === needs.instructionSet
}

export interface TimelyOptions {
  /** Until the deadline. */
  readonly withinMs: number
  /** How many are wanted: where fewer should be in time, those who are least late fill up. */
  readonly atLeast: number
  /** See `createEstimate`. */
  readonly expectedMs: (candidate: Candidate) => number
}

/** Without those who are full, or should take longer than there is time, unless they are needed. In the order given. */
export function timely(
  candidates: readonly Candidate[],
  { withinMs, atLeast, expectedMs }: TimelyOptions,
): readonly Candidate[] {
  const late = candidates.filter((candidate) => isFull(candidate) || expectedMs(candidate) > withinMs)
  const missing = atLeast - (candidates.length - late.length)
  if (late.length === 0 || missing >= late.length) return candidates
  const needed = late
    .map((candidate) => ({ candidate, lateMs: isFull(candidate) ? Infinity : expectedMs(candidate) }))
    .sort((a, b) => (a.lateMs === b.lateMs ? 0 : a.lateMs - b.lateMs))
    .slice(0, Math.max(0, missing))
    .map(({ candidate }) => candidate)
  const dropped = new Set(late.filter((candidate) => !needed.includes(candidate)))
  return candidates.filter((candidate) => !dropped.has(candidate))
}

/** By its own word, which is against its own interest: it would refuse. */
function isFull({ load }: Candidate): boolean {
  return load !== undefined && load.running + load.queued >= load.capacity
}
