/** What one leaf of a trace says that cannot be, whatever the inputs and all other leaves are. */
import {
  ABSENT,
  digestValue,
  FALSE_DIGEST,
  flagValue,
  iterationValue,
  type Leaf,
  LOOP_ITERATIONS_MAX,
  TRUE_DIGEST,
} from '../trace/index.ts'
import type { LoopStep, Plan } from './plan.ts'
import { decisionOf, type Expectation, type Location, locate } from './walk.ts'
import { expectAt } from './walk-expect.ts'

export type LeafFault =
  /** The plan has no such position, or no leaf can hold what it would have to hold. */
  | 'unknown-position'
  | 'operator'
  /** The number of operands or outputs. */
  | 'count'
  /** An operand or output is there and must not be, or the other way round. */
  | 'presence'
  /** It decides neither way, or not as its own condition says, or for an iteration too many. */
  | 'decision'
  /** The number of the iteration that a Loop passes on. */
  | 'iteration'
  /** Where values pass through unchanged (branch outputs, carried values), they changed. */
  | 'passage'

/**
 * The first thing that is wrong with a leaf by itself, undefined where nothing is. Of an If's end only what holds for
 * one of its branches; which one it was, other leaves tell. Left to wiring: whether operands are the right ones. Left to
 * execution: the outputs of operators, a decision that depends on a trip count, what a Loop stacks.
 *
 * The work is bounded by the size of the leaf, whatever its position claims.
 */
export function examineLeaf(plan: Plan, leaf: Leaf): LeafFault | undefined {
  const location = locate(plan, leaf.position)
  return location === undefined ? 'unknown-position' : examineLeafAt(plan, location, leaf)
}

/** As `examineLeaf`, of a leaf whose position was found already. */
export function examineLeafAt(plan: Plan, location: Location, leaf: Leaf): LeafFault | undefined {
  const { step, position } = location
  if (!same(leaf.operator, step.digest)) return 'operator'
  const examineAs = (decision: boolean): LeafFault | undefined => {
    if (leaf.operands.length !== operandCount(plan, location, decision)) return 'count'
    const expectation = expectAt(plan, location, decision)
    return expectation === undefined ? 'unknown-position' : examineShape(leaf, expectation)
  }
  const fault = examineAs(true)
  const isEitherBranch = step.kind === 'if' && position.phase === 'end'
  if (fault !== undefined && !(isEitherBranch && examineAs(false) === undefined)) return fault
  return examinePassage(leaf, location)
}

/** Before any of them is looked up: a position of a few bytes can ask for thousands. */
function operandCount(plan: Plan, { position, step }: Location, decision: boolean): number {
  if (step.kind === 'operator') return step.operands.length
  if (step.kind === 'if') {
    const branch = plan.blocks[decision ? step.thenBlock : step.elseBlock]!
    return position.phase === 'decide' ? 1 : branch.outputs.length
  }
  if (position.phase === 'decide') return 2 + step.carried
  return step.carried + step.scans.length * position.iteration!
}

function examineShape({ operands, outputs }: Leaf, expected: Expectation): LeafFault | undefined {
  if (operands.length !== expected.operands.length || outputs.length !== expected.outputs.length)
    return 'count'
  const isRight =
    operands.every((operand, at) => same(operand, ABSENT) === (expected.operands[at]!.kind === 'absent')) &&
    outputs.every((output, at) => same(output, ABSENT) !== expected.outputs[at])
  return isRight ? undefined : 'presence'
}

/** Control flow, of which the outputs follow from the operands. */
function examinePassage(leaf: Leaf, { position, step }: Location): LeafFault | undefined {
  const { operands, outputs } = leaf
  if (step.kind === 'operator') return undefined
  if (position.phase === 'end') {
    const passed = step.kind === 'if' ? operands.length : step.carried
    return outputs.every((output, at) => at >= passed || !step.outputs[at] || same(output, operands[at]!))
      ? undefined
      : 'passage'
  }
  const decision = decisionOf(leaf)
  if (decision === undefined) return 'decision'
  if (step.kind === 'if') return contradicts(operands[0]!, decision) ? 'decision' : undefined
  return examineLoopDecision(leaf, step, position.iteration!, decision)
}

function examineLoopDecision(
  { operands, outputs }: Leaf,
  step: LoopStep,
  iteration: number,
  decision: boolean,
): LeafFault | undefined {
  if (!same(outputs[1]!, digestValue(iterationValue(iteration, step.iterationRank)))) return 'iteration'
  const isOn = [true, false].find((flag) =>
    same(outputs[2]!, digestValue(flagValue(flag, step.conditionRank))),
  )
  const [tripCount, condition] = operands
  if (isOn === undefined || contradicts(condition!, isOn)) return 'decision'
  if (same(condition!, ABSENT) && !isOn) return 'decision'
  // A loop goes on while its condition holds and its trip count, if any, is not reached.
  if (decision && (!isOn || iteration === LOOP_ITERATIONS_MAX)) return 'decision'
  if (!decision && isOn && same(tripCount!, ABSENT)) return 'decision'
  return operands.slice(2).every((operand, at) => same(operand, outputs[3 + at]!)) ? undefined : 'passage'
}

/** Whether a condition is plainly the other one. Of a shape that is neither a scalar nor a list of one, execution tells. */
function contradicts(condition: Uint8Array, flag: boolean): boolean {
  return (flag ? FALSES : TRUES).some((digest) => same(condition, digest))
}

const TRUES = [TRUE_DIGEST, digestValue(flagValue(true, 1))]
const FALSES = [FALSE_DIGEST, digestValue(flagValue(false, 1))]

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
