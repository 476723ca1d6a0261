/** Until when the values of a plan are needed, so that a run holds no more of them than it must. */
import type { Plan, Source, Step } from '../plan/index.ts'

/** A value of one block: an output of a step, what a loop body was given, or (of the main block) an input of the model. */
export type Slot = `s${number}.${number}` | `c${number}` | `i${number}`

export interface BlockLiveness {
  /** What nothing in the block reads. */
  readonly atStart: readonly Slot[]
  /** By step that has blocks of its own: what they do not read and nobody does after it, free once it has begun. */
  readonly once: readonly (readonly Slot[])[]
  /** By step: what nobody reads after it. */
  readonly after: readonly (readonly Slot[])[]
}

/** For each block of the plan. What a block gives, or its inner blocks read, counts as read. */
export function analyseLiveness(plan: Plan): readonly BlockLiveness[] {
  const inputs = inputCounts(plan)
  return plan.blocks.map((block, index) => {
    const last = new Map<Slot, number>()
    /** Of a step with blocks: whether one of them is the last to read it. */
    const captured = new Set<string>()
    for (let at = 0; at < inputs[index]!; at++) {
      last.set(index === 0 ? `i${at}` : `c${at}`, -1)
    }
    for (const [at, step] of block.steps.entries()) {
      for (const output of step.outputs.keys()) last.set(`s${at}.${output}`, at)
      for (const source of step.operands) {
        const slot = slotOf(source, 0)
        if (slot !== undefined) last.set(slot, at)
      }
      for (const slot of readInside(plan, step, 1)) {
        if (index !== 0 && slot.startsWith('i')) continue
        last.set(slot, at)
        captured.add(`${at}:${slot}`)
      }
    }
    const outputs = index === 0 ? plan.outputs.map(({ source }) => source) : block.outputs
    for (const source of outputs) {
      const slot = slotOf(source, 0)
      if (slot !== undefined) last.delete(slot)
    }
    const atStart: Slot[] = []
    const once: Slot[][] = block.steps.map(() => [])
    const after: Slot[][] = block.steps.map(() => [])
    for (const [slot, at] of last) {
      // An input of the model is the main block's to free.
      if (at === -1) atStart.push(slot)
      else if (index !== 0 && slot.startsWith('i')) continue
      else if (isOwnOutput(slot, at) || block.steps[at]!.kind === 'operator') after[at]!.push(slot)
      else (captured.has(`${at}:${slot}`) ? after : once)[at]!.push(slot)
    }
    return { atStart, once, after }
  })
}

/** Where a source lies in a block that is `up` blocks outwards of the one that names it. */
export function slotOf(source: Source, up: number): Slot | undefined {
  switch (source.kind) {
    case 'step':
      return source.up === up ? `s${source.step}.${source.output}` : undefined
    case 'carried':
      return source.up === up ? `c${source.index}` : undefined
    case 'input':
      return `i${source.index}`
    default:
      return undefined
  }
}

/** What the blocks of a step read of the block that is `up` blocks outwards of them. */
function* readInside(plan: Plan, step: Step, up: number): Generator<Slot> {
  for (const index of innerBlocks(step)) {
    const block = plan.blocks[index]!
    const sources = [...block.outputs, ...block.steps.flatMap(({ operands }) => operands)]
    for (const source of sources) {
      const slot = slotOf(source, up)
      if (slot !== undefined) yield slot
    }
    for (const inner of block.steps) yield* readInside(plan, inner, up + 1)
  }
}

/** How many values each block is given: the main one the model's inputs, a loop's body its carried values, a branch none. */
export function inputCounts(plan: Plan): readonly number[] {
  const counts = plan.blocks.map((_, index) => (index === 0 ? plan.inputs.length : 0))
  for (const { steps } of plan.blocks) {
    for (const step of steps) if (step.kind === 'loop') counts[step.body] = 2 + step.carried
  }
  return counts
}

/** Indexes of the blocks that a step has. */
export function innerBlocks(step: Step): readonly number[] {
  if (step.kind === 'if') return [step.thenBlock, step.elseBlock]
  return step.kind === 'loop' ? [step.body] : []
}

function isOwnOutput(slot: Slot, at: number): boolean {
  return slot.startsWith(`s${at}.`)
}
