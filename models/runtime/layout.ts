/**
 * Where the values of a plan lie while it runs: each block has places, numbered once, so that a step finds its operands
 * without a name being put together for each of them. The body of a loop may run thousands of times.
 */
import type { Plan, Source, Step } from '../plan/index.ts'
import { analyseLiveness, innerBlocks, inputCounts, type Slot, slotOf } from './liveness.ts'

/** Left out, a constant, or a place of the block that is `up` blocks outwards. */
export type Reference =
  | undefined
  | { readonly kind: 'constant'; readonly digest: Uint8Array }
  | { readonly kind: 'place'; readonly up: number; readonly place: number; readonly slot: Slot }

export interface BlockLayout {
  readonly steps: readonly StepLayout[]
  readonly outputs: readonly Reference[]
  /** Places of what nothing in the block reads. */
  readonly atStart: readonly number[]
}

export interface StepLayout {
  readonly step: Step
  readonly operands: readonly Reference[]
  /** Place of its first output; the others follow. */
  readonly outputsAt: number
  /** Places, see `BlockLiveness`. */
  readonly once: readonly number[]
  readonly after: readonly number[]
}

export interface Layout {
  /** For each block of the plan. What a block is given has the first places: inputs of the model, or of a loop's body. */
  readonly blocks: readonly BlockLayout[]
  /** The outputs of the model, seen from the main block. */
  readonly outputs: readonly Reference[]
}

export function layOut(plan: Plan): Layout {
  const liveness = analyseLiveness(plan)
  /** Of each block itself and those around it, the nearest first. A block comes after the one that holds it. */
  const nesting: number[][] = [[0]]
  for (const [index, { steps }] of plan.blocks.entries()) {
    for (const inner of steps.flatMap(innerBlocks)) nesting[inner] = [inner, ...nesting[index]!]
  }
  const inputs = inputCounts(plan)
  const outputsAt = plan.blocks.map(({ steps }, index) => {
    let next = inputs[index]!
    return steps.map(({ outputs }) => {
      next += outputs.length
      return next - outputs.length
    })
  })
  const refer = (source: Source, index: number): Reference => {
    if (source.kind === 'absent') return undefined
    if (source.kind === 'constant') return source
    const up = source.kind === 'input' ? nesting[index]!.length - 1 : source.up
    const place =
      source.kind === 'step' ? outputsAt[nesting[index]![up]!]![source.step]! + source.output : source.index
    return { kind: 'place', up, place, slot: slotOf(source, up)! }
  }
  const blocks = plan.blocks.map((block, index): BlockLayout => {
    const { atStart, once, after } = liveness[index]!
    const placeOf = (slot: Slot): number => {
      const [number, output] = slot.slice(1).split('.').map(Number) as [number, number?]
      return output === undefined ? number : outputsAt[index]![number]! + output
    }
    return {
      steps: block.steps.map((step, at) => ({
        step,
        operands: step.operands.map((source) => refer(source, index)),
        outputsAt: outputsAt[index]![at]!,
        once: once[at]!.map(placeOf),
        after: after[at]!.map(placeOf),
      })),
      outputs: block.outputs.map((source) => refer(source, index)),
      atStart: atStart.map(placeOf),
    }
  })
  return { blocks, outputs: plan.outputs.map(({ source }) => refer(source, 0)) }
}
