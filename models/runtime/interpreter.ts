/**
 * Executes a plan, step by step, as the exact lane is defined: one operator after the other, `If` and `Loop` decided here,
 * every leaf in the order of `models/trace`. Knows values only through a machine that holds them.
 */
import type { Block, IfStep, LoopStep, OperatorStep, Plan, Source, Step } from '../plan/index.ts'
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
import { analyseLiveness, type BlockLiveness, type Slot, slotOf } from './liveness.ts'
import { RuntimeError } from './runtime.ts'

/** Where values lie and operators run. What it gives is canonical. Throws RuntimeError. */
export interface Machine<V> {
  /** Outputs by position. Constants and what is left out are undefined among the operands. */
  run(step: OperatorStep, operands: readonly (V | undefined)[]): readonly (V | undefined)[]
  /** The constant of that digest. */
  constant(digest: Uint8Array): Value
  write(value: Value): V
  /** A copy. */
  read(value: V): Value
  digest(value: V): Uint8Array
  bytes(value: V): number
  release(value: V): void
}

/** A step by its indexes. */
interface StepPlace {
  readonly block: number
  readonly step: number
}

/** A value with the number of those who need it. */
export interface Held<V> {
  readonly value: V
  readonly bytes: number
  digest: Uint8Array | undefined
  users: number
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
  const liveness = analyseLiveness(plan)
  return (inputs, observer = {}) => {
    const run = createRun(plan, liveness, machine, observer)
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
  held.digest = machine.digest(held.value)
  return held.digest
}

export function isHeld<V>(term: Term<V>): term is Held<V> {
  return term !== undefined && 'value' in term
}

/** Thrown where an observer ends a run. */
const STOPPED = Symbol('stopped')

interface Scope<V> {
  readonly parent: Scope<V> | undefined
  readonly values: Map<Slot, Held<V>>
}

type Frames = Position['frames']

interface Run<V> {
  main(inputs: readonly V[]): readonly Value[]
  releaseAll(): void
}

function createRun<V>(
  plan: Plan,
  liveness: readonly BlockLiveness[],
  machine: Machine<V>,
  observer: Observer<V>,
): Run<V> {
  const alive = new Set<Held<V>>()
  const root: Scope<V> = { parent: undefined, values: new Map() }
  let liveBytes = 0

  return { main, releaseAll }

  function main(inputs: readonly V[]): readonly Value[] {
    for (const [index, held] of inputs.map((input) => hold(input)).entries()) bind(root, `i${index}`, held)
    runBlock(0, root, [])
    const outputs = plan.outputs.map(({ name, source }) => {
      const output = resolve(source, root)
      if (output === undefined) throw new RuntimeError('run-failed', `the output "${name}" is left out`)
      return output
    })
    const bytes = outputs.reduce((sum, output) => sum + (isHeld(output) ? output.bytes : 0), 0)
    if (bytes > PAYLOAD_BYTES_MAX) throw new RuntimeError('run-failed', `the outputs have ${bytes} bytes`)
    return outputs.map(valueAt)
  }

  /** Runs the steps of a block; what they gave and is still needed stays in `scope`. */
  function runBlock(index: number, scope: Scope<V>, frames: Frames): void {
    const { steps } = plan.blocks[index] as Block
    const { atStart, after } = liveness[index]!
    free(scope, atStart)
    for (const [at, step] of steps.entries()) {
      const place = { block: index, step: at }
      if (step.kind === 'operator') runOperator(step, place, scope, frames)
      else if (step.kind === 'if') runIf(step, place, scope, frames)
      else runLoop(step, place, scope, frames)
      free(scope, after[at]!)
    }
  }

  function runOperator(step: OperatorStep, place: StepPlace, scope: Scope<V>, frames: Frames): void {
    const operands = step.operands.map((source) => resolve(source, scope))
    const position: Position = { frames, step: place.step, phase: 'run' }
    announce(position, operands)
    const fed = operands.map((operand) => (isHeld(operand) ? operand.value : undefined))
    const given = machine.run(step, fed)
    const outputs = given.map((value) => (value === undefined ? undefined : hold(value)))
    observer.onLeaf?.(position, step, operands, outputs)
    bindOutputs(scope, place.step, outputs)
  }

  function runIf(step: IfStep, place: StepPlace, scope: Scope<V>, frames: Frames): void {
    const at = { frames, step: place.step }
    const condition = resolve(step.operands[0]!, scope)
    if (condition === undefined) throw new RuntimeError('run-failed', 'an If has no condition')
    announce({ ...at, phase: 'decide' }, [condition])
    const decision = flagOf(valueAt(condition))
    observer.onLeaf?.({ ...at, phase: 'decide' }, step, [condition], [{ digest: flagDigest(decision) }])
    free(scope, liveness[place.block]!.once[place.step]!)

    const arm = decision ? 'then' : 'else'
    const block = decision ? step.thenBlock : step.elseBlock
    const given = runInner(block, scope, new Map(), [...frames, { step: place.step, arm }])
    announce({ ...at, phase: 'end' }, given)
    const outputs = step.outputs.map((isThere, index) => (isThere ? given[index] : undefined))
    observer.onLeaf?.({ ...at, phase: 'end' }, step, given, outputs)
    bindOutputs(scope, place.step, outputs)
    for (const held of given) drop(held)
  }

  function runLoop(step: LoopStep, place: StepPlace, scope: Scope<V>, frames: Frames): void {
    const at = { frames, step: place.step }
    const [trip, initial, ...first] = step.operands.map((source) => resolve(source, scope))
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
      if (iteration === 0) free(scope, liveness[place.block]!.once[place.step]!)
      if (!goesOn) break
      const given = new Map<Slot, Held<V>>()
      given.set('c0', retain(hold(machine.write(iterationValue(iteration, step.iterationRank)))))
      given.set('c1', retain(hold(machine.write(flagValue(isOn, step.conditionRank)))))
      // The body has them now, and may be the last to need them.
      for (const [index, held] of carried.entries()) if (held !== undefined) given.set(`c${index + 2}`, held)
      const body = [...frames, { step: place.step, arm: iteration }]
      const [next, ...outputs] = runInner(step.body, scope, given, body)
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
    place: StepPlace,
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
        return machine.read(element.value)
      })
      return hold(machine.write(stackElements(elements, declaredScan(step, index - step.carried))))
    })
    observer.onLeaf?.(position, step, operands, outputs)
    bindOutputs(scope, place.step, outputs)
    for (const held of operands) drop(held)
  }

  /** Runs a block inside another, on values that it takes over, and gives its outputs, to be dropped by the caller. */
  function runInner(
    index: number,
    parent: Scope<V>,
    values: Map<Slot, Held<V>>,
    frames: Frames,
  ): (Held<V> | undefined)[] {
    const scope: Scope<V> = { parent, values }
    runBlock(index, scope, frames)
    const outputs = plan.blocks[index]!.outputs.map((source) => materialise(resolve(source, scope)))
    for (const held of scope.values.values()) drop(held)
    return outputs
  }

  function resolve(source: Source, scope: Scope<V>): Term<V> {
    if (source.kind === 'absent') return undefined
    if (source.kind === 'constant') return source
    let at: Scope<V> | undefined = scope
    if (source.kind === 'input') at = root
    else for (let up = 0; up < source.up; up++) at = at?.parent
    const slot = slotOf(source, source.kind === 'input' ? 0 : source.up)!
    const held = at?.values.get(slot)
    // An output that a step may leave out, asked for by another.
    if (held === undefined) throw new RuntimeError('run-failed', `the plan reads ${slot}, which is not there`)
    return held
  }

  /** A value that somebody needs, to be dropped by the caller; of a constant a new one. */
  function materialise(term: Term<V>): Held<V> | undefined {
    if (term === undefined) return undefined
    if (isHeld(term)) return retain(term)
    return retain(hold(machine.write(canonicalValue(machine.constant(term.digest))), term.digest))
  }

  function valueAt(term: Held<V> | Fixed): Value {
    return isHeld(term) ? machine.read(term.value) : canonicalValue(machine.constant(term.digest))
  }

  function announce(position: Position, operands: readonly Term<V>[]): void {
    if (observer.onOperands?.(position, operands) === false) throw STOPPED
  }

  function bindOutputs(scope: Scope<V>, step: number, outputs: readonly (Held<V> | undefined)[]): void {
    for (const [index, held] of outputs.entries()) {
      if (held !== undefined) bind(scope, `s${step}.${index}`, held)
    }
  }

  function bind(scope: Scope<V>, slot: Slot, held: Held<V>): void {
    scope.values.set(slot, retain(held))
  }

  function free(scope: Scope<V>, slots: readonly Slot[]): void {
    for (const slot of slots) {
      drop(scope.values.get(slot))
      scope.values.delete(slot)
    }
  }

  function hold(value: V, digest?: Uint8Array): Held<V> {
    const held = { value, bytes: machine.bytes(value), digest, users: 0 }
    alive.add(held)
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
    alive.delete(held)
    liveBytes -= held.bytes
    machine.release(held.value)
  }

  function releaseAll(): void {
    for (const { value } of alive) machine.release(value)
    alive.clear()
  }
}
