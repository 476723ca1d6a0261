/** Where the operands of a leaf come from: the plan's sources, followed to the one leaf, input or constant they mean. */
import { formatPosition, LEAF_BYTES_MAX, type Position } from '../trace/index.ts'
import type { Block, IfStep, LoopStep, Plan, Source } from './plan.ts'
import { type Expectation, type Location, locate, type Origin, placeOf } from './walk.ts'

/**
 * What the leaf at `position` must hold. At the end of an If that depends on its `decision`, which is ignored elsewhere.
 * Undefined where the plan has no such position, where a leaf at it would be larger than a leaf can be, and at the end of
 * an If without its decision. Work and result are bounded by `LEAF_BYTES_MAX`.
 */
export function expect(plan: Plan, position: string, decision?: boolean): Expectation | undefined {
  const location = locate(plan, position)
  return location && expectAt(plan, location, decision)
}

/** As `expect`, of a position that was found already. */
export function expectAt(plan: Plan, location: Location, decision?: boolean): Expectation | undefined {
  const { position, blocks, step } = location
  switch (step.kind) {
    case 'operator': {
      const operands = step.operands.map((source) => originOf(plan, source, position.frames, blocks))
      return { operator: step.digest, operands, outputs: step.outputs }
    }
    case 'if':
      return position.phase === 'decide'
        ? ifDecides(plan, location, step)
        : ifEnds(plan, location, step, decision)
    case 'loop':
      return position.phase === 'decide' ? loopDecides(plan, location, step) : loopEnds(plan, location, step)
    default:
      return step satisfies never
  }
}

/** Where the outputs of the model come from, in their order. */
export function outputOrigins(plan: Plan): { readonly name: string; readonly origin: Origin }[] {
  return plan.outputs.map(({ name, source }) => ({ name, origin: originOf(plan, source, [], plan.blocks) }))
}

/** Where the leaf stands that says which branch an If took, seen from its end; undefined for every other position. */
export function deciderOf(plan: Plan, position: string): string | undefined {
  const location = locate(plan, position)
  return location && deciderAt(location)
}

/** As `deciderOf`, of a position that was found already. */
export function deciderAt({ position, step }: Location): string | undefined {
  if (step.kind !== 'if' || position.phase !== 'end') return undefined
  return formatPosition({ ...position, phase: 'decide' })
}

function ifDecides(plan: Plan, { position, blocks }: Location, step: IfStep): Expectation {
  const condition = originOf(plan, step.operands[0] ?? LEFT_OUT, position.frames, blocks)
  return { operator: step.digest, operands: [condition], outputs: [true] }
}

function ifEnds(
  plan: Plan,
  { position, blocks }: Location,
  step: IfStep,
  decision: boolean | undefined,
): Expectation | undefined {
  if (decision === undefined) return undefined
  const frames = [...position.frames, { step: position.step, arm: decision ? 'then' : 'else' } as const]
  const block = plan.blocks[decision ? step.thenBlock : step.elseBlock]!
  const operands = block.outputs.map((source) => originOf(plan, source, frames, [...blocks, block]))
  return {
    operator: step.digest,
    operands,
    outputs: step.outputs.map((there, at) => there && isThere(operands[at])),
  }
}

function loopDecides(plan: Plan, { position, blocks }: Location, step: LoopStep): Expectation {
  const { frames, iteration } = position
  const tripCount = originOf(plan, step.operands[0] ?? LEFT_OUT, frames, blocks)
  const [condition, ...carried] = given(plan, step, position, blocks, iteration!)
  return {
    operator: step.digest,
    operands: [tripCount, condition!, ...carried],
    outputs: [true, true, true, ...carried.map(isThere)],
  }
}

function loopEnds(plan: Plan, { position, blocks }: Location, step: LoopStep): Expectation | undefined {
  const iterations = position.iteration!
  const count = step.carried + step.scans.length * iterations
  if (count * 32 > LEAF_BYTES_MAX) return undefined
  const place = formatPosition({ ...position, phase: 'decide' })
  const carried = given(plan, step, position, blocks, iterations)
    .slice(1)
    .map((origin, at): Origin => (isThere(origin) ? { kind: 'leaf', place, output: 3 + at } : origin))
  const elements = step.scans.flatMap((_scan, scan) =>
    Array.from({ length: iterations }, (_element, iteration) =>
      bodyOutput(plan, step, position, blocks, iteration, 1 + step.carried + scan),
    ),
  )
  return {
    operator: step.digest,
    operands: [...carried, ...elements],
    outputs: step.outputs.map(
      (there, at) =>
        there && (at < step.carried ? isThere(carried[at]) : at - step.carried < step.scans.length),
    ),
  }
}

/** Condition and carried values that an iteration is decided on: the step's own, then what the body gave last. */
function given(
  plan: Plan,
  step: LoopStep,
  position: Position,
  blocks: readonly Block[],
  iteration: number,
): Origin[] {
  return Array.from({ length: 1 + step.carried }, (_value, at) =>
    iteration === 0
      ? originOf(plan, step.operands[1 + at] ?? LEFT_OUT, position.frames, blocks)
      : bodyOutput(plan, step, position, blocks, iteration - 1, at),
  )
}

function bodyOutput(
  plan: Plan,
  step: LoopStep,
  position: Position,
  blocks: readonly Block[],
  iteration: number,
  output: number,
): Origin {
  const body = plan.blocks[step.body]!
  const frames = [...position.frames, { step: position.step, arm: iteration }]
  return originOf(plan, body.outputs[output] ?? LEFT_OUT, frames, [...blocks, body])
}

/** `blocks` are those around the place where `source` is used: one more than `frames`, at the least. */
function originOf(plan: Plan, source: Source, frames: Position['frames'], blocks: readonly Block[]): Origin {
  switch (source.kind) {
    case 'absent':
    case 'constant':
      return source
    case 'input':
      return { kind: 'input', index: source.index, name: plan.inputs[source.index]! }
    case 'step': {
      const depth = frames.length - source.up
      const { kind } = blocks[depth]!.steps[source.step]!
      const phase = kind === 'operator' ? 'run' : 'end'
      // Of a Loop without the number of its iterations: its place, see `placeOf`.
      const place = formatPosition({ frames: frames.slice(0, depth), step: source.step, phase })
      return { kind: 'leaf', place, output: source.output }
    }
    case 'carried': {
      const depth = frames.length - source.up
      const { step, arm } = frames[depth - 1]!
      const decides = {
        frames: frames.slice(0, depth - 1),
        step,
        phase: 'decide',
        iteration: Number(arm),
      } as const
      // Before what the body is given stands the decision.
      return { kind: 'leaf', place: placeOf(formatPosition(decides)), output: source.index + 1 }
    }
    default:
      return source satisfies never
  }
}

function isThere(origin: Origin | undefined): boolean {
  return origin !== undefined && origin.kind !== 'absent'
}

const LEFT_OUT: Source = { kind: 'absent' }
