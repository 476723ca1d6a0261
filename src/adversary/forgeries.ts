/**
 * How a liar can forge a trace, so that it ends in the lie that it told. `leaves` are those of an honest run; `lies` say
 * which output digests of it the liar wants to be others. The result has to hold for whoever looks at it leaf by leaf:
 * every forgery is false somewhere, and each in its own way.
 */
import { createHash } from 'node:crypto'
import { ABSENT, type Leaf } from '../../models/trace/index.ts'
import type { Random } from './random.ts'

export type Forgery = (
  leaves: readonly Leaf[],
  /** From the hex of a true digest to the digest claimed instead. */
  lies: ReadonlyMap<string, Uint8Array>,
  random: Random,
) => readonly Leaf[]

/** Models the cheat who lies in the native lane and hopes that nobody asks: its exact run is honest, and contradicts it. */
export const honestTrace: Forgery = (leaves) => leaves

/** Claims that the last steps gave the lie: each output digest that has to be another is replaced where it is made. */
export const forgeLastStep: Forgery = (leaves, lies) =>
  leaves.map((leaf) => ({ ...leaf, outputs: leaf.outputs.map((digest) => lies.get(hex(digest)) ?? digest) }))

/**
 * Models the cheat who ran other weights: some step in the middle is said to give something else, what uses it is wired to
 * that, and the end is the lie.
 */
export const forgeMiddleStep: Forgery = (leaves, lies, random) => {
  const chosen = leaves[random.below(Math.max(1, leaves.length - 1))]
  const output = chosen?.outputs.find((digest) => !isAbsent(digest))
  if (output === undefined) return forgeLastStep(leaves, lies, random)
  const swaps = new Map([[hex(output), unrelated(output)], ...lies])
  const swap = (digest: Uint8Array): Uint8Array => swaps.get(hex(digest)) ?? digest
  return leaves.map((leaf) => ({
    ...leaf,
    operands: leaf.operands.map(swap),
    outputs: leaf.outputs.map(swap),
  }))
}

/** Says that the last step was given the value of another step, which would explain the lie. */
export const forgeOperand: Forgery = (leaves, lies, random) => {
  const forged = forgeLastStep(leaves, lies, random)
  const at = forged.findIndex((_leaf, index) => differs(forged, leaves, index))
  const other = leaves[random.below(Math.max(1, at))]?.outputs.find((digest) => !isAbsent(digest))
  return forged.map((leaf, index) => {
    if (index !== at || other === undefined) return leaf
    const operand = leaf.operands.findIndex(
      (digest) => !isAbsent(digest) && Buffer.compare(digest, other) !== 0,
    )
    return {
      ...leaf,
      operands: leaf.operands.map((digest, position) => (position === operand ? other : digest)),
    }
  })
}

/** Leaves out a step, as one does who saved himself its work. */
export const skipStep: Forgery = (leaves, lies, random) => {
  const skipped = random.below(Math.max(1, leaves.length - 1))
  return forgeLastStep(leaves, lies, random).filter((_leaf, index) => index !== skipped)
}

/** Says that a step was another operator than the model has there. */
export const swapOperator: Forgery = (leaves, lies, random) => {
  const at = random.below(leaves.length)
  return forgeLastStep(leaves, lies, random).map((leaf, index) =>
    index === at ? { ...leaf, operator: unrelated(leaf.operator) } : leaf,
  )
}

/** In the order in which liars of the demo take them. */
export const FORGERIES: readonly Forgery[] = [
  forgeMiddleStep,
  forgeOperand,
  skipStep,
  honestTrace,
  swapOperator,
  forgeLastStep,
]

function differs(left: readonly Leaf[], right: readonly Leaf[], index: number): boolean {
  return left[index]!.outputs.some(
    (digest, position) => Buffer.compare(digest, right[index]!.outputs[position]!) !== 0,
  )
}

function isAbsent(digest: Uint8Array): boolean {
  return Buffer.compare(digest, ABSENT) === 0
}

function unrelated(digest: Uint8Array): Uint8Array {
  return createHash('sha256').update('verimesh/adversary/forged\0').update(digest).digest()
}

function hex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex')
}
