/**
 * Executes a plan, step by step, as the exact lane is defined: one operator after the other, `If` and `Loop` decided here,
 * every leaf in the order of `models/trace`. Knows values only through a machine that holds them.
 */
import type { IfStep, LoopStep, OperatorStep, Plan, Step } from '../plan/index.ts'
import { PAYLOAD_BYTES_MAX } from '../tensor/index.ts'
import {
  canonicalValue,
  digestValue,
  flagDigest,
  flagValue,
  iterationValue,
  LOOP_ITERATIONS_MAX,
  type Position,
  type Value,
} from '../trace/index.ts'
import { LIVE_BYTES_MAX } from './constants.ts'
import { declaredScan, flagOf, stackElements, tripCountOf } from './control.ts'
import { type Layout, layOut, type Reference, type StepLayout } from './layout.ts'
import { RuntimeError } from './runtime.ts'

/** Where values lie and operators run. What it gives is canonical. Throws RuntimeError. */
export interface Machine<V> {
  /** Outputs by position. Constants and what is left out are undefined among the operands. */
  run(step: OperatorStep, operands: readonly (V | undefined)[]): readonly (V | undefined)[]
  /** The constant of that digest. */
  constant(digest: Uint8Array): Value
  write(value: Value): V
  /** Whether a value that was written holds no NaN but the canonical one. */
  isCanonical(value: V): boolean
  /** A copy. */
  read(value: V): Value
  digest(value: V): Uint8Array
  bytes(value: V): number
  release(value: V): void
}

/** A value with the number of those who need it. */
export interface Held<V> {
  /** Where it lies in the machine; of what is known, it is brought there when somebody asks. */
  readonly value: V
  /** What it is, where control flow made it: most loops never look at their iteration number. */
  readonly known: Value | undefined
  readonly bytes: number
  digest: Uint8Array | undefined
  users: number
  /** Its number among those that are alive. */
  number: number
}

/** A constant, or a value that only control flow knows. */
export interface Fixed {
  readonly digest: Uint8Array
}

/** An operand or output of a leaf; undefined where it is left out. */
export type Term<V> = Held<V> | Fixed | undefined

/** Is told of every leaf. What it is given is valid during the call only. */
export interface Observer<V> {
  /** Before a step runs, decides or ends; false ends the run. */
  onOperands?(position: Position, operands: readonly Term<V>[]): boolean
  onLeaf?(position: Position, step: Step, operands: readonly Term<V>[], outputs: readonly Term<V>[]): void
}

/**
 * Executions of one plan on one machine: each takes over `inputs` (by position) and gives copies of the outputs, or
 * undefined where the observer ended it. Throws RuntimeError. Leaves nothing behind in the machine.
 */
export function createInterpreter<V>(
  plan: Plan,
  machine: Machine<V>,
): (inputs: readonly V[], observer?: Observer<V>) => readonly Value[] | undefined {
  const layout = layOut(plan)
  return (inputs, observer = {}) => {
    const run = createRun(plan, layout, machine, observer)
    try {
      return run.main(inputs)
    } catch (error) {
      if (error === STOPPED) return undefined
      throw error
    } finally {
      run.releaseAll()
    }
  }
}

/** The digest of a term, made once. */
export function digestOf<V>(machine: Machine<V>, term: Held<V> | Fixed): Uint8Array {
  if (term.digest !== undefined) return term.digest
  const held = term as Held<V>
  held.digest = held.known === undefined ? machine.digest(held.value) : digestValue(held.known)
  return held.digest
}

export function isHeld<V>(term: Term<V>): term is Held<V> {
  return term !== undefined && 'users' in term
}

/** Thrown where an observer ends a run. */
const STOPPED = Symbol('stopped')

interface Scope<V> {
  readonly parent: Scope<V> | undefined
  /** By place, see `layOut`. */
  readonly values: (Held<V> | undefined)[]
}

type Frames = Position['frames']

interface Run<V> {
  main(inputs: readonly V[]): readonly Value[]
  releaseAll(): void
}

function createRun<V>(plan: Plan, layout: Layout, machine: Machine<V>, observer: Observer<V>): Run<V> {
  const alive: Held<V>[] = []
  let liveBytes = 0

  return { main, releaseAll }

  function main(inputs: readonly V[]): readonly Value[] {
    const root: Scope<V> = { parent: undefined, values: [] }
    for (const [index, held] of inputs.map((input) => hold(input)).entries()) bind(root, index, held)
    runBlock(0, root, [])
    const outputs = layout.outputs.map((reference, index) => {
      const output = resolve(reference, root)
      if (output !== undefined) return output
      throw new RuntimeError('run-failed', `the output "${plan.outputs[index]!.name}" is left out`)
    })
    const bytes = outputs.reduce((sum, output) => sum + (isHeld(output) ? output.bytes : 0), 0)
    if (bytes > PAYLOAD_BYTES_MAX) throw new RuntimeError('run-failed', `the outputs have ${bytes} bytes`)
    return outputs.map(valueAt)
  }

  /** Runs the steps of a block; what they gave and is still needed stays in `scope`. */
  function runBlock(index: number, scope: Scope<V>, frames: Frames): void {
    const { steps, atStart } = layout.blocks[index]!
    free(scope, atStart)
    for (let at = 0; at < steps.length; at++) {
      const place = steps[at]!
      const { step } = place
      if (step.kind === 'operator') runOperator(step, place, at, scope, frames)
      else if (step.kind === 'if') runIf(step, place, at, scope, frames)
      else runLoop(step, place, at, scope, frames)
      free(scope, place.after)
    }
  }

  function runOperator(
    step: OperatorStep,
    place: StepLayout,
    at: number,
    scope: Scope<V>,
    frames: Frames,
  ): void {
    const operands = resolveAll(place.operands, scope)
    const position: Position = { frames, step: at, phase: 'run' }
    announce(position, operands)
    const fed = operands.map((operand) => (isHeld(operand) ? operand.value : undefined))
    const given = machine.run(step, fed)
    const outputs = given.map((value) => (value === undefined ? undefined : hold(value)))
    observer.onLeaf?.(position, step, operands, outputs)
    bindOutputs(scope, place, outputs)
  }

  function runIf(step: IfStep, place: StepLayout, number: number, scope: Scope<V>, frames: Frames): void {
    const at = { frames, step: number }
    const condition = resolve(place.operands[0], scope)
    if (condition === undefined) throw new RuntimeError('run-failed', 'an If has no condition')
    announce({ ...at, phase: 'decide' }, [condition])
    const decision = flagOf(valueAt(condition))
    observer.onLeaf?.({ ...at, phase: 'decide' }, step, [condition], [{ digest: flagDigest(decision) }])
    free(scope, place.once)

    const arm = decision ? 'then' : 'else'
    const block = decision ? step.thenBlock : step.elseBlock
    const given = runInner(block, scope, [], [...frames, { step: number, arm }])
    announce({ ...at, phase: 'end' }, given)
    const outputs = step.outputs.map((isThere, index) => (isThere ? given[index] : undefined))
    observer.onLeaf?.({ ...at, phase: 'end' }, step, given, outputs)
    bindOutputs(scope, place, outputs)
    for (const held of given) drop(held)
  }

  function runLoop(step: LoopStep, place: StepLayout, number: number, scope: Scope<V>, frames: Frames): void {
    const at = { frames, step: number }
    const [trip, initial, ...first] = resolveAll(place.operands, scope)
    // Its value is needed in every decision, and perhaps by nobody else.
    if (isHeld(trip)) retain(trip)
    const limit = trip === undefined ? Number.POSITIVE_INFINITY : tripCountOf(valueAt(trip))
    let condition: Term<V> = initial
    if (isHeld(condition)) retain(condition)
    let isOn = initial === undefined || flagOf(valueAt(initial))
    let carried = first.map(materialise)
    const scans: (Held<V> | undefined)[][] = step.scans.map(() => [])
    let iteration = 0
    for (; ; iteration++) {
      const goesOn = isOn && iteration < limit
      if (goesOn && iteration >= LOOP_ITERATIONS_MAX) {
        throw new RuntimeError('run-failed', `a loop runs more than ${LOOP_ITERATIONS_MAX} times`)
      }
      decide(step, { ...at, phase: 'decide', iteration }, goesOn, isOn, [trip, condition, ...carried])
      if (isHeld(condition)) drop(condition)
      if (iteration === 0) free(scope, place.once)
      if (!goesOn) break
      const [turn, isGoing] = [iteration, isOn]
      const counted = retain(holdKnown(8, () => iterationValue(turn, step.iterationRank)))
      const flagged = retain(holdKnown(1, () => flagValue(isGoing, step.conditionRank)))
      // The body has the carried values now, and may be the last to need them.
      const body = [...frames, { step: number, arm: iteration }]
      const [next, ...outputs] = runInner(step.body, scope, [counted, flagged, ...carried], body)
      if (next === undefined) throw new RuntimeError('run-failed', 'the body of a Loop gives no condition')
      condition = next
      isOn = flagOf(valueAt(next))
      carried = outputs.slice(0, step.carried)
      for (const [index, elements] of scans.entries()) elements.push(outputs[step.carried + index])
    }
    endLoop(step, place, { ...at, phase: 'end', iteration }, scope, carried, scans)
    if (isHeld(trip)) drop(trip)
  }

  function decide(
    step: LoopStep,
    position: Position,
    decision: boolean,
    condition: boolean,
    operands: readonly Term<V>[],
  ): void {
    announce(position, operands)
    if (observer.onLeaf === undefined) return
    const iteration = iterationValue(position.iteration!, step.iterationRank)
    observer.onLeaf(position, step, operands, [
      { digest: flagDigest(decision) },
      { digest: digestValue(iteration) },
      { digest: digestValue(flagValue(condition, step.conditionRank)) },
      ...operands.slice(2),
    ])
  }

  function endLoop(
    step: LoopStep,
    place: StepLayout,
    position: Position,
    scope: Scope<V>,
    carried: readonly (Held<V> | undefined)[],
    scans: readonly (readonly (Held<V> | undefined)[])[],
  ): void {
    const operands = [...carried, ...scans.flat()]
    announce(position, operands)
    const outputs = step.outputs.map((isThere, index) => {
      if (!isThere) return undefined
      if (index < step.carried) return carried[index]
      const elements = scans[index - step.carried]!.map((element) => {
        if (element === undefined) throw new RuntimeError('run-failed', 'a scan output is left out')
        return valueAt(element)
      })
      return hold(machine.write(stackElements(elements, declaredScan(step, index - step.carried))))
    })
    observer.onLeaf?.(position, step, operands, outputs)
    bindOutputs(scope, place, outputs)
    for (const held of operands) drop(held)
  }

  /** Runs a block inside another, on values that it takes over, and gives its outputs, to be dropped by the caller. */
  function runInner(
    index: number,
    parent: Scope<V>,
    values: (Held<V> | undefined)[],
    frames: Frames,
  ): (Held<V> | undefined)[] {
    const scope: Scope<V> = { parent, values }
    runBlock(index, scope, frames)
    const outputs = layout.blocks[index]!.outputs.map((reference) => materialise(resolve(reference, scope)))
    for (const held of values) drop(held)
    return outputs
  }

  function resolveAll(references: readonly Reference[], scope: Scope<V>): Term<V>[] {
    const terms: Term<V>[] = []
    for (const reference of references) terms.push(resolve(reference, scope))
    return terms
  }

  function resolve(reference: Reference, scope: Scope<V>): Term<V> {
    if (reference === undefined || reference.kind === 'constant') return reference
    let at: Scope<V> | undefined = scope
    for (let up = 0; up < reference.up; up++) at = at?.parent
    const held = at?.values[reference.place]
    if (held !== undefined) return held
    // An output that a step may leave out, asked for by another.
    throw new RuntimeError('run-failed', `the plan reads ${reference.slot}, which is not there`)
  }

  /** A value that somebody needs, to be dropped by the caller; of a constant a new one. */
  function materialise(term: Term<V>): Held<V> | undefined {
    if (term === undefined) return undefined
    if (isHeld(term)) return retain(term)
    return retain(hold(machine.write(canonicalValue(machine.constant(term.digest))), term.digest))
  }

  function valueAt(term: Held<V> | Fixed): Value {
    if (!isHeld(term)) return canonicalValue(machine.constant(term.digest))
    return term.known ?? machine.read(term.value)
  }

  function announce(position: Position, operands: readonly Term<V>[]): void {
    if (observer.onOperands?.(position, operands) === false) throw STOPPED
  }

  function bindOutputs(
    scope: Scope<V>,
    { outputsAt }: StepLayout,
    outputs: readonly (Held<V> | undefined)[],
  ): void {
    for (let index = 0; index < outputs.length; index++) {
      const held = outputs[index]
      if (held !== undefined) bind(scope, outputsAt + index, held)
    }
  }

  function bind(scope: Scope<V>, place: number, held: Held<V>): void {
    scope.values[place] = retain(held)
  }

  function free(scope: Scope<V>, places: readonly number[]): void {
    for (const place of places) {
      drop(scope.values[place])
      scope.values[place] = undefined
    }
  }

  function hold(value: V, digest?: Uint8Array): Held<V> {
    return keep({ value, known: undefined, bytes: machine.bytes(value), digest, users: 0, number: 0 })
  }

  function holdKnown(bytes: number, make: () => Value): Held<V> {
    return keep(new KnownHeld(machine, bytes, make))
  }

  function keep(held: Held<V>): Held<V> {
    held.number = alive.push(held) - 1
    liveBytes += held.bytes
    if (liveBytes > LIVE_BYTES_MAX) {
      throw new RuntimeError('out-of-memory', `more than ${LIVE_BYTES_MAX} bytes are needed at one time`)
    }
    return held
  }

  function retain(held: Held<V>): Held<V> {
    held.users++
    return held
  }

  function drop(held: Held<V> | undefined): void {
    if (held === undefined || --held.users > 0) return
    const last = alive.pop()!
    if (last !== held) {
      last.number = held.number
      alive[held.number] = last
    }
    liveBytes -= held.bytes
    release(held)
  }

  function release(held: Held<V>): void {
    if (!(held instanceof KnownHeld)) machine.release(held.value)
    else if (held.written !== undefined) machine.release(held.written as V)
  }

  function releaseAll(): void {
    for (const held of alive.splice(0)) release(held)
  }
}

/** A value that control flow knows: made, and brought into the machine, when it is first asked for. */
class KnownHeld<V> implements Held<V> {
  readonly bytes: number
  digest: Uint8Array | undefined = undefined
  users = 0
  number = 0
  written: V | undefined = undefined
  readonly #machine: Machine<V>
  readonly #make: () => Value
  #known: Value | undefined = undefined

  constructor(machine: Machine<V>, bytes: number, make: () => Value) {
    this.#machine = machine
    this.bytes = bytes
    this.#make = make
  }

  get known(): Value {
    this.#known ??= this.#make()
    return this.#known
  }

  get value(): V {
    this.written ??= this.#machine.write(this.known)
    return this.written
  }
}
