/**
 * Two traces of one job differ: who lied? Each party is judged by its own statement alone. That the other says something
 * else only tells where to look; nothing is ever concluded from how many say what, and both may be guilty.
 *
 * Values in, judgement out: no clock, no network, no runtime. Where a step has to be run again, the judgement says which,
 * and `settle` concludes.
 */
import type { Plan } from '../../../models/plan/index.ts'
import { decodeLeaf } from '../../../models/trace/index.ts'
import {
  type Beginning,
  examineBeginning,
  examineOutputs,
  examineRest,
  type InputDigests,
  type OutputDigests,
  type Violation,
} from './examine.ts'

export interface Party {
  /** Encoded leaves, which hash to the root that the party signed. */
  readonly leaves: readonly Uint8Array[]
  /** Of the payload of outputs that the party signed; undefined where that holds no tensors. */
  readonly outputs: OutputDigests | undefined
}

export interface Case {
  readonly plan: Plan
  readonly inputs: InputDigests
  readonly left: Party
  readonly right: Party
}

export interface Judgements {
  /** Index of the first leaf at which the two differ; undefined where they have the same leaves. */
  readonly divergence: number | undefined
  readonly left: Judgement
  readonly right: Judgement
}

export type Judgement = Guilty | NeedsExecution | Clear

export interface Guilty {
  readonly status: 'guilty'
  readonly violation: Violation | ExecutionViolation
}

/** Nothing in the trace is wrong by itself. It may still be a lie from end to end: only who re-runs all of it knows. */
export interface Clear {
  readonly status: 'clear'
}

/** Shape and wiring are right up to the leaf at which the two part: run that step on the party's own operands. */
export interface NeedsExecution {
  readonly status: 'needs-execution'
  readonly index: number
  readonly position: string
  /** Digests, as for `ExactRuntime.runStep`. */
  readonly operands: readonly Uint8Array[]
  /** What the leaf says came of it. */
  readonly outputs: readonly Uint8Array[]
  /** What is wrong further on, and condemns the party even where the step turns out right or cannot be run. */
  readonly later?: Violation
}

/** The step, run again on the operands that the leaf names, gives something else than the leaf says. */
export interface ExecutionViolation {
  readonly kind: 'execution'
  readonly index: number
  readonly position: string
}

/** After the re-run. `undecided`: it could not be run, and nothing else is wrong. */
export type Settlement =
  | Guilty
  | Clear
  | { readonly status: 'undecided'; readonly index: number; readonly position: string }

/** Judges both, each by itself: seats do not matter. */
export function judge({ plan, inputs, left, right }: Case): Judgements {
  const divergence = findDivergence(left.leaves, right.leaves)
  // What the two have in common is looked at once; it condemns both or none.
  const shared = examineBeginning(plan, left.leaves, inputs, divergence ?? left.leaves.length)
  return {
    divergence,
    left: judgeParty(plan, inputs, left, divergence, shared),
    right: judgeParty(plan, inputs, right, divergence, shared),
  }
}

/** The first index at which encoded leaves differ or only one list has any; undefined where the lists are equal. */
export function findDivergence(
  left: readonly Uint8Array[],
  right: readonly Uint8Array[],
): number | undefined {
  const shorter = Math.min(left.length, right.length)
  for (let index = 0; index < shorter; index++) {
    if (Buffer.compare(left[index]!, right[index]!) !== 0) return index
  }
  return left.length === right.length ? undefined : shorter
}

/**
 * Judges one trace, of which the leaf at `divergence` is in doubt. Shape and wiring up to that leaf come first, since what
 * follows it is mostly its consequence. `known` is about its first leaves.
 */
function judgeParty(
  plan: Plan,
  inputs: InputDigests,
  { leaves, outputs }: Party,
  divergence: number | undefined,
  known: Beginning,
): Judgement {
  const violation = examineRest(plan, leaves, inputs, known) ?? examineOutputs(plan, leaves, inputs, outputs)
  const isLater = violation !== undefined && divergence !== undefined && indexOf(violation) > divergence
  if (violation !== undefined && !isLater) return { status: 'guilty', violation }
  const doubted = divergence === undefined ? undefined : leaves[divergence]
  if (divergence === undefined || doubted === undefined) return { status: 'clear' }
  const { position, operands, outputs: claimed } = decodeLeaf(doubted)
  return {
    status: 'needs-execution',
    index: divergence,
    position,
    operands,
    outputs: claimed,
    ...(violation === undefined ? {} : { later: violation }),
  }
}

/**
 * Concludes from what the re-run of the step gave: digests of its outputs by position, or undefined where nobody could
 * find out, which condemns nobody.
 */
export function settle(judgement: Judgement, rerun: readonly Uint8Array[] | undefined): Settlement {
  if (judgement.status !== 'needs-execution') return judgement
  const { index, position, outputs, later } = judgement
  if (rerun !== undefined && !sameDigests(rerun, outputs)) {
    return { status: 'guilty', violation: { kind: 'execution', index, position } }
  }
  if (later !== undefined) return { status: 'guilty', violation: later }
  return rerun === undefined ? { status: 'undecided', index, position } : { status: 'clear' }
}

/** The outputs of the model come after all leaves. */
function indexOf(violation: Violation): number {
  return 'index' in violation ? violation.index : Number.POSITIVE_INFINITY
}

function sameDigests(left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean {
  return left.length === right.length && left.every((digest, at) => Buffer.compare(digest, right[at]!) === 0)
}
