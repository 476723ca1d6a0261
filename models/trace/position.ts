/**
 * Where a leaf stands in the execution of a plan, as text of exactly one form:
 *
 *     position := { step "[" arm "]" "/" } step [ mark ]
 *     arm      := "then" | "else" | iteration
 *     mark     := "?"            an If decides its branch
 *               | "?" iteration  a Loop decides whether this iteration comes, and carries its values
 *               | "!"            an If ends
 *               | "!" iterations a Loop ends after so many
 *
 * Numbers are decimal, from 0, without leading zeros. `7[4]/3` is step 3 of the body in iteration 4 of the Loop at step 7.
 */
import { LOOP_ITERATIONS_MAX, POSITION_BYTES_MAX, POSITION_DEPTH_MAX } from './constants.ts'
import { TraceError } from './errors.ts'

export interface Position {
  /** The blocks around it, outermost first. */
  readonly frames: readonly Frame[]
  /** Index of the step in its block. */
  readonly step: number
  readonly phase: 'run' | 'decide' | 'end'
  /** Of a Loop that decides: before which iteration; of one that ends: after how many. */
  readonly iteration?: number
}

export interface Frame {
  readonly step: number
  readonly arm: 'then' | 'else' | number
}

export function formatPosition({ frames, step, phase, iteration }: Position): string {
  let text = ''
  for (const frame of frames) text += `${frame.step}[${frame.arm}]/`
  text += step
  if (phase !== 'run') text += `${phase === 'decide' ? '?' : '!'}${iteration ?? ''}`
  return text
}

/** Strict inverse of `formatPosition`. Throws TraceError `malformed`. */
export function parsePosition(text: string): Position {
  if (text.length > POSITION_BYTES_MAX) malformed(text)
  const parts = text.split('/')
  const last = LAST.exec(parts.pop()!)
  if (last === null || parts.length > POSITION_DEPTH_MAX) malformed(text)
  const frames = parts.map((part): Frame => {
    const found = FRAME.exec(part)
    if (found === null) malformed(text)
    const [, step, arm] = found
    return { step: number(step!, text), arm: arm === 'then' || arm === 'else' ? arm : number(arm!, text) }
  })
  const [, step, mark, iteration] = last
  const place = { frames, step: number(step!, text) }
  if (mark === undefined) return { ...place, phase: 'run' }
  const phase = mark.startsWith('?') ? 'decide' : 'end'
  return iteration === undefined
    ? { ...place, phase }
    : { ...place, phase, iteration: number(iteration, text) }
}

const FRAME = /^(0|[1-9]\d{0,4})\[(then|else|0|[1-9]\d{0,4})\]$/
const LAST = /^(0|[1-9]\d{0,4})([!?](0|[1-9]\d{0,4})?)?$/

function number(digits: string, text: string): number {
  const value = Number(digits)
  // The decision that ends the longest loop is one further than its last iteration.
  if (value > Math.max(LOOP_ITERATIONS_MAX, STEP_MAX)) malformed(text)
  return value
}

const STEP_MAX = 65_535

function malformed(text: string): never {
  throw new TraceError('malformed', `"${text.slice(0, POSITION_BYTES_MAX)}" is no position in a trace`)
}
