/** One party's trace by itself: the first thing in it that contradicts the plan, the job's inputs, or itself. */
import {
  deciderAt,
  decisionOf,
  examineLeafAt,
  expectAt,
  firstPosition,
  type LeafFault,
  type Location,
  locate,
  nextPositionAt,
  type Origin,
  outputOrigins,
  type Plan,
  placeOf,
} from '../../../models/plan/index.ts'
import { ABSENT, decodeLeaf, type Leaf, TraceError } from '../../../models/trace/index.ts'

/** What is false in a trace, and which of its leaves show it. */
export type Violation = TraceViolation | OutputViolation
export type TraceViolation = ShapeViolation | OperandViolation

/** A leaf that the plan does not allow, or not there. */
export interface ShapeViolation {
  readonly kind: 'shape'
  /** Of the leaf; of a trace that ends too early, how many there are. */
  readonly index: number
  /** Undefined where the leaf is none, or missing. */
  readonly position?: string
  readonly fault: LeafFault | 'not-a-leaf' | 'order' | 'early-end'
  /** Indexes of the leaves that show it: none (an empty trace), one, or two neighbours. */
  readonly leaves: readonly number[]
}

/** An operand that is not the value that the plan says. */
export interface OperandViolation {
  readonly kind: 'wiring'
  readonly at: 'operand'
  readonly index: number
  readonly position: string
  readonly operand: number
  readonly origin: Origin
  /** Further leaves that show it: which branch was taken, where the value was made. */
  readonly leaves: readonly number[]
}

/** Outputs of the model that are not what the trace says. */
export interface OutputViolation {
  readonly kind: 'wiring'
  readonly at: 'output'
  /** In the plan's order; undefined where the payload does not hold the plan's outputs at all. */
  readonly output?: number
  readonly leaves: readonly number[]
}

/** What of a run is known to all: digests of the model's inputs (canonical values), by their index in the plan. */
export type InputDigests = readonly Uint8Array[]

/** The tensors of a payload of outputs, in any order. */
export type OutputDigests = readonly { readonly name: string; readonly digest: Uint8Array }[]

/**
 * The first violation of shape or wiring in encoded leaves, undefined where there is none. With `until`, leaves after that
 * index are not looked at, nor is the end. Every byte of `leaves` may be hostile. 4,000 leaves take some milliseconds.
 */
export function examineTrace(
  plan: Plan,
  leaves: readonly Uint8Array[],
  inputs: InputDigests,
  until: number = Number.POSITIVE_INFINITY,
): TraceViolation | undefined {
  const beginning = examineBeginning(plan, leaves, inputs, Math.min(leaves.length, until + 1))
  if (beginning.violation !== undefined) return beginning.violation
  return until < leaves.length ? undefined : examineRest(plan, leaves, inputs, beginning)
}

/** What is known after the first leaves of a trace. */
export interface Beginning {
  readonly count: number
  readonly violation?: TraceViolation
  /** Position of the leaf that must come next. */
  readonly due: string | undefined
  readonly seen: ReadonlyMap<string, Seen>
}

/** Looks at the first `count` leaves: once for two traces that have them in common. */
export function examineBeginning(
  plan: Plan,
  leaves: readonly Uint8Array[],
  inputs: InputDigests,
  count: number,
): Beginning {
  const none = { count: 0, due: firstPosition(plan), seen: new Map() }
  return examineLeaves(plan, leaves, inputs, none, count)
}

/** The first violation of a trace that begins with what `beginning` is about. */
export function examineRest(
  plan: Plan,
  leaves: readonly Uint8Array[],
  inputs: InputDigests,
  beginning: Beginning,
): TraceViolation | undefined {
  const { violation, due } = examineLeaves(plan, leaves, inputs, beginning, leaves.length)
  if (violation !== undefined || due === undefined) return violation
  const last = leaves.length === 0 ? [] : [leaves.length - 1]
  return { kind: 'shape', index: leaves.length, position: due, fault: 'early-end', leaves: last }
}

/**
 * Whether the outputs of the model are what the trace says, whose leaves must be without violation. `outputs` is undefined
 * where the payload, which the party signed, holds no tensors.
 */
export function examineOutputs(
  plan: Plan,
  leaves: readonly Uint8Array[],
  inputs: InputDigests,
  outputs: OutputDigests | undefined,
): OutputViolation | undefined {
  const origins = outputOrigins(plan)
  const given = new Map(outputs?.map(({ name, digest }) => [name, digest]))
  if (outputs?.length !== origins.length || !origins.every(({ name }) => given.has(name))) {
    return { kind: 'wiring', at: 'output', leaves: [] }
  }
  const wanted = new Set(origins.flatMap(({ origin }) => (origin.kind === 'leaf' ? [origin.place] : [])))
  const seen = new Map<string, Seen>()
  // Backwards: what a model gives is mostly made at its end.
  for (let index = leaves.length - 1; index >= 0 && wanted.size > 0; index--) {
    const leaf = decodeLeaf(leaves[index]!)
    const place = placeOf(leaf.position)
    if (wanted.delete(place)) seen.set(place, { leaf, index })
  }
  for (const [output, { name, origin }] of origins.entries()) {
    const expected = digestAt(origin, inputs, seen)
    if (expected === undefined || same(expected, given.get(name)!)) continue
    return { kind: 'wiring', at: 'output', output, leaves: indexesOf(origin, seen) }
  }
  return undefined
}

/** A leaf that was looked at, by its place in `Beginning.seen`. */
export interface Seen {
  readonly leaf: Leaf
  readonly index: number
}

function examineLeaves(
  plan: Plan,
  leaves: readonly Uint8Array[],
  inputs: InputDigests,
  from: Beginning,
  until: number,
): Beginning {
  if (from.violation !== undefined || from.count >= until) return from
  const seen = new Map(from.seen)
  let { due } = from
  for (let index = from.count; index < until; index++) {
    const at = (violation: TraceViolation): Beginning => ({ count: index, due, seen, violation })
    const leaf = decode(leaves[index]!)
    if (leaf === undefined) return at({ kind: 'shape', index, fault: 'not-a-leaf', leaves: [index] })
    const { position } = leaf
    const location = locate(plan, position)
    const fault = location === undefined ? 'unknown-position' : examineLeafAt(plan, location, leaf)
    if (location === undefined || fault !== undefined) {
      return at({ kind: 'shape', index, position, fault: fault ?? 'unknown-position', leaves: [index] })
    }
    if (position !== due) {
      const neighbours = index === 0 ? [0] : [index - 1, index]
      return at({ kind: 'shape', index, position, fault: 'order', leaves: neighbours })
    }
    const violation = examineOperands(plan, location, { leaf, index }, inputs, seen)
    if (violation !== undefined) return at(violation)
    seen.set(placeOf(position), { leaf, index })
    due = nextPositionAt(plan, location, leaf)
  }
  return { count: until, due, seen }
}

function examineOperands(
  plan: Plan,
  location: Location,
  { leaf, index }: Seen,
  inputs: InputDigests,
  seen: ReadonlyMap<string, Seen>,
): OperandViolation | undefined {
  const { position } = leaf
  const decider = deciderAt(location)
  const decides = decider === undefined ? undefined : seen.get(decider)
  const expectation = expectAt(plan, location, decides && decisionOf(decides.leaf))
  // Both are there: the leaf was found where the plan has it, after all that it rests on.
  if (expectation === undefined) throw new TypeError(`the plan expects nothing at ${position}`)
  for (const [operand, origin] of expectation.operands.entries()) {
    const expected = digestAt(origin, inputs, seen)
    if (expected === undefined || same(expected, leaf.operands[operand]!)) continue
    const leaves = [...(decides === undefined ? [] : [decides.index]), ...indexesOf(origin, seen)]
    return { kind: 'wiring', at: 'operand', index, position, operand, origin, leaves }
  }
  return undefined
}

/** Undefined where nobody can say: a plan that reads what no step gives condemns nobody. */
function digestAt(
  origin: Origin,
  inputs: InputDigests,
  seen: ReadonlyMap<string, Seen>,
): Uint8Array | undefined {
  switch (origin.kind) {
    case 'absent':
      return ABSENT
    case 'constant':
      return origin.digest
    case 'input':
      return inputs[origin.index]
    case 'leaf':
      return seen.get(origin.place)?.leaf.outputs[origin.output]
    default:
      return origin satisfies never
  }
}

function indexesOf(origin: Origin, seen: ReadonlyMap<string, Seen>): number[] {
  return origin.kind === 'leaf' ? [seen.get(origin.place)!.index] : []
}

function decode(encoded: Uint8Array): Leaf | undefined {
  try {
    return decodeLeaf(encoded)
  } catch (error) {
    if (error instanceof TraceError) return undefined
    throw error
  }
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
