/** What a plan says about the leaves of a trace: which position follows which, and what a leaf at a position must hold. */
import {
  FALSE_DIGEST,
  formatPosition,
  type Leaf,
  LOOP_ITERATIONS_MAX,
  type Position,
  parsePosition,
  TRUE_DIGEST,
  TraceError,
} from '../trace/index.ts'
import { PlanError } from './errors.ts'
import type { Block, Plan, Step } from './plan.ts'

/** What the plan says of the leaf at one position, whatever the inputs are. */
export interface Expectation {
  /** Digest of the operator. */
  readonly operator: Uint8Array
  /** By position. Of a Loop's end as many as the iterations in its position ask for. */
  readonly operands: readonly Origin[]
  /** By position, whether the output is there. */
  readonly outputs: readonly boolean[]
}

/** Where the value of an operand was made, in one run of the plan. */
export type Origin =
  | { readonly kind: 'absent' }
  | { readonly kind: 'constant'; readonly digest: Uint8Array }
  /** An input of the model. */
  | { readonly kind: 'input'; readonly index: number; readonly name: string }
  /** An output of another leaf, given by its place (`placeOf`): nobody knows beforehand how often a Loop runs. */
  | { readonly kind: 'leaf'; readonly place: string; readonly output: number }

/** A position with the blocks around it. */
export interface Location {
  readonly position: Position
  /** The main block first; the last is the one that holds the step. */
  readonly blocks: readonly Block[]
  readonly step: Step
}

/** Position of the first leaf of every trace; undefined where the plan has no steps. */
export function firstPosition(plan: Plan): string | undefined {
  const step = plan.blocks[0]!.steps[0]
  return step === undefined ? undefined : formatPosition(enter([], 0, step))
}

/**
 * Position of the leaf after `leaf`; undefined where the plan ends. Nothing but position and decision of `leaf` is looked
 * at. Throws PlanError.
 */
export function nextPosition(plan: Plan, leaf: Leaf): string | undefined {
  const location = locate(plan, leaf.position)
  if (location === undefined) throw new PlanError('unknown-position', `the plan has no ${leaf.position}`)
  return nextPositionAt(plan, location, leaf)
}

/** As `nextPosition`, of a leaf whose position was found already. Throws PlanError `no-decision`. */
export function nextPositionAt(plan: Plan, location: Location, leaf: Leaf): string | undefined {
  const next = following(plan, location, leaf)
  return next === undefined ? undefined : formatPosition(next)
}

/** The plan's step at a position; undefined where there is none. */
export function stepAt(plan: Plan, position: string): Step | undefined {
  return locate(plan, position)?.step
}

/**
 * What all leaves that can stand for one step's output have in common: the position, without the number of iterations
 * after which a Loop ends. A trace has one leaf of each place.
 */
export function placeOf(position: string): string {
  const mark = position.lastIndexOf('!')
  return mark < 0 ? position : position.slice(0, mark + 1)
}

/** Undefined where the plan has no such position, or no trace can have it. */
export function locate(plan: Plan, text: string): Location | undefined {
  const position = read(text)
  if (position === undefined) return undefined
  let block = plan.blocks[0]!
  const blocks = [block]
  for (const { step, arm } of position.frames) {
    const inner = innerBlock(block.steps[step], arm)
    if (inner === undefined) return undefined
    block = plan.blocks[inner]!
    blocks.push(block)
  }
  const step = block.steps[position.step]
  return step !== undefined && isPhaseOf(step, position) ? { position, blocks, step } : undefined
}

/** What a leaf decides; undefined where it is neither. */
export function decisionOf({ outputs }: Pick<Leaf, 'outputs'>): boolean | undefined {
  const [decision] = outputs
  if (decision === undefined) return undefined
  if (Buffer.compare(decision, TRUE_DIGEST) === 0) return true
  return Buffer.compare(decision, FALSE_DIGEST) === 0 ? false : undefined
}

function read(text: string): Position | undefined {
  try {
    return parsePosition(text)
  } catch (error) {
    if (error instanceof TraceError) return undefined
    throw error
  }
}

function innerBlock(step: Step | undefined, arm: Position['frames'][number]['arm']): number | undefined {
  if (step?.kind === 'if' && typeof arm === 'string') return arm === 'then' ? step.thenBlock : step.elseBlock
  if (step?.kind === 'loop' && typeof arm === 'number' && arm < LOOP_ITERATIONS_MAX) return step.body
  return undefined
}

function isPhaseOf({ kind }: Step, { phase, iteration }: Position): boolean {
  switch (kind) {
    case 'operator':
      return phase === 'run'
    case 'if':
      return phase !== 'run' && iteration === undefined
    case 'loop':
      // The decision that ends the longest loop is one further than its last iteration.
      return phase !== 'run' && iteration !== undefined && iteration <= LOOP_ITERATIONS_MAX
    default:
      return kind satisfies never
  }
}

function following(plan: Plan, { position, blocks, step }: Location, leaf: Leaf): Position | undefined {
  const { frames, phase, iteration } = position
  if (phase !== 'decide') return after(frames, blocks, position.step)
  const decision = decisionOf(leaf)
  if (decision === undefined) throw new PlanError('no-decision', `nothing is decided at ${leaf.position}`)
  if (step.kind === 'if') {
    const arm = decision ? 'then' : 'else'
    const { steps } = plan.blocks[decision ? step.thenBlock : step.elseBlock]!
    if (steps[0] === undefined) return { frames, step: position.step, phase: 'end' }
    return enter([...frames, { step: position.step, arm }], 0, steps[0])
  }
  if (step.kind !== 'loop' || iteration === undefined) throw new TypeError('only If and Loop decide')
  if (!decision) return { ...position, phase: 'end' }
  if (iteration === LOOP_ITERATIONS_MAX) {
    throw new PlanError('no-decision', `a loop runs more than ${LOOP_ITERATIONS_MAX} times`)
  }
  const { steps } = plan.blocks[step.body]!
  if (steps[0] === undefined) return { ...position, iteration: iteration + 1 }
  return enter([...frames, { step: position.step, arm: iteration }], 0, steps[0])
}

/** After a step that is done: the next of its block, or what the If or Loop around it does then. */
function after(frames: Position['frames'], blocks: readonly Block[], done: number): Position | undefined {
  const next = blocks.at(-1)!.steps[done + 1]
  if (next !== undefined) return enter(frames, done + 1, next)
  const around = frames.at(-1)
  if (around === undefined) return undefined
  const place = { frames: frames.slice(0, -1), step: around.step }
  return typeof around.arm === 'number'
    ? { ...place, phase: 'decide', iteration: around.arm + 1 }
    : { ...place, phase: 'end' }
}

function enter(frames: Position['frames'], index: number, { kind }: Step): Position {
  const place = { frames, step: index }
  if (kind === 'operator') return { ...place, phase: 'run' }
  return kind === 'if' ? { ...place, phase: 'decide' } : { ...place, phase: 'decide', iteration: 0 }
}
