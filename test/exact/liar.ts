/**
 * A party that runs a model on the real engine, lies where it is told to, and computes on with the lie. It follows the
 * rules of the exact lane (`models/trace/leaf.ts`) by recursion; without a lie its trace is the lane's own, to the last
 * byte, and a test holds it to that.
 */
import { prepareExactModel, readModel } from '../../models/graph/index.ts'
import type { IfStep, LoopStep, OperatorStep, Plan, Source, Step } from '../../models/plan/index.ts'
import { declaredScan, flagOf, stackElements, tripCountOf } from '../../models/runtime/control.ts'
import type { WasmEngine } from '../../models/runtime/wasm-engine.ts'
import { createWasmMachine } from '../../models/runtime/wasm-machine.ts'
import { decodeTensors, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import {
  ABSENT,
  canonicalValue,
  digestValue,
  encodeLeaf,
  flagValue,
  formatPosition,
  iterationValue,
  type Leaf,
  type Position,
  type Value,
} from '../../models/trace/index.ts'
import type { ModelFiles } from './models/index.ts'

/** Undefined is what is left out. */
export type Values = readonly (Value | undefined)[]

/** What a liar says at one position. */
export interface Lie {
  /** What the step was given instead: it is run on that. */
  readonly operands?: (given: Values, run: Told) => Values
  /** What came of it, without running it. */
  readonly claims?: (given: Values, run: Told) => Values
  /** What came of it instead: all that follows is run on that. */
  readonly outputs?: (made: Values, run: Told) => Values
  /** Which way an If or a Loop goes on, whatever it says that it decides. */
  readonly goes?: boolean
}

/** What the liar has said so far. */
export interface Told {
  output(position: string, index?: number): Value
}

export type Lies = Readonly<Record<string, Lie>>

/** What a party has to show: see `TracedSide` of `src/node/judging.ts`. */
export interface Testimony {
  /** Encoded. */
  readonly leaves: readonly Uint8Array[]
  /** Canonical payload. */
  readonly outputs: Uint8Array
  /** As `ExactRuntime.operands`; of a position that it has not, nothing. */
  operands(position: string): Uint8Array | Promise<Uint8Array>
}

export interface Liar {
  readonly plan: Plan
  /** Runs the model on a payload of inputs. Throws RuntimeError where a lie is more than the engine can go on with. */
  testify(inputs: Uint8Array, lies?: Lies): Testimony
}

/** A liar with an engine of its own choice. Throws GraphError for a model that the lane refuses. */
export function createLiar({ model, files }: ModelFiles, engine: WasmEngine): Liar {
  const exact = prepareExactModel(readModel(model), files)
  const machine = createWasmMachine(exact, engine)
  const { plan } = exact
  return { plan, testify }

  function testify(inputs: Uint8Array, lies: Lies = {}): Testimony {
    const tensors = new Map(decodeTensors(inputs).map((tensor) => [tensor.name, tensor]))
    const given = plan.inputs.map((name): Term => {
      const { dtype, dims, data } = tensors.get(name)!
      return { value: canonicalValue({ dtype, dims, data }), isFixed: false }
    })
    const telling = createTelling(lies)
    const root: Scope = { outputs: [], carried: [], outer: undefined }
    runBlock(0, { scope: root, frames: [], given, telling })
    const outputs = plan.outputs.map(
      ({ name, source }): Tensor => ({ ...resolve(source, root, given)!.value, name }),
    )
    return {
      leaves: telling.leaves.map(encodeLeaf),
      outputs: encodeTensors(outputs),
      operands: (position) => payloadOf(telling.operandsAt.get(position) ?? []),
    }
  }

  function runBlock(index: number, at: Place): Terms {
    const { steps, outputs } = plan.blocks[index]!
    for (const [step, what] of steps.entries()) {
      const { scope, frames } = at
      if (what.kind === 'operator') {
        const operands = what.operands.map((source) => resolve(source, scope, at.given))
        scope.outputs[step] = tell(at, { frames, step, phase: 'run' }, what, operands)
      } else scope.outputs[step] = what.kind === 'if' ? runIf(what, step, at) : runLoop(what, step, at)
    }
    return outputs.map((source) => held(resolve(source, at.scope, at.given)))
  }

  function runIf(what: IfStep, step: number, at: Place): Terms {
    const { frames, scope } = at
    const condition = resolve(what.operands[0]!, scope, at.given)
    const position: Position = { frames, step, phase: 'decide' }
    const [decision] = tell(at, position, what, [condition])
    const isThen = at.telling.lieAt(position)?.goes ?? flagOf(decision!.value)
    const inner: Place = {
      ...at,
      scope: { outputs: [], carried: [], outer: scope },
      frames: [...frames, { step, arm: isThen ? 'then' : 'else' }],
    }
    const given = runBlock(isThen ? what.thenBlock : what.elseBlock, inner)
    return tell(at, { frames, step, phase: 'end' }, what, given)
  }

  function runLoop(what: LoopStep, step: number, at: Place): Terms {
    const { frames, scope } = at
    const [trip, first, ...initial] = what.operands.map((source) => resolve(source, scope, at.given))
    let condition = first
    let carried: Terms = initial.map(held)
    const scans: Terms[] = what.scans.map(() => [])
    for (let iteration = 0; ; iteration++) {
      const position: Position = { frames, step, phase: 'decide', iteration }
      const decided = tell(at, position, what, [trip, condition, ...carried])
      carried = decided.slice(3)
      if (!(at.telling.lieAt(position)?.goes ?? flagOf(decided[0]!.value))) {
        return tell(at, { frames, step, phase: 'end', iteration }, what, [...carried, ...scans.flat()])
      }
      const inner: Place = {
        ...at,
        scope: { outputs: [], carried: decided.slice(1), outer: scope },
        frames: [...frames, { step, arm: iteration }],
      }
      const [next, ...outputs] = runBlock(what.body, inner)
      condition = next
      carried = outputs.slice(0, what.carried)
      for (const [index, elements] of scans.entries()) {
        scans[index] = [...elements, outputs[what.carried + index]]
      }
    }
  }

  /** One leaf: what the step was given and gave, or what the liar says of it. */
  function tell({ telling }: Place, position: Position, what: Step, given: Terms): Terms {
    const lie = telling.lieAt(position)
    const values = given.map((term) => term?.value)
    const operands = lie?.operands?.(values, telling.told) ?? values
    const made = lie?.claims?.(operands, telling.told) ?? applyStep(what, position, operands)
    const outputs = lie?.outputs?.(made, telling.told) ?? made
    telling.add(
      { position: formatPosition(position), operator: what.digest, operands, outputs },
      given.map((term, index): Term | undefined => {
        const value = operands[index]
        return value && { value, isFixed: term?.isFixed === true && value === term.value }
      }),
    )
    return outputs.map((value) => value && { value, isFixed: false })
  }

  function applyStep(what: Step, position: Position, operands: Values): Values {
    if (what.kind === 'operator') return runOperator(what, operands)
    if (position.phase === 'decide') return decide(what, position.iteration ?? 0, operands)
    if (what.kind === 'if') return what.outputs.map((isThere, at) => (isThere ? operands[at] : undefined))
    return what.outputs.map((isThere, at) => {
      if (!isThere) return undefined
      if (at < what.carried) return operands[at]
      const from = what.carried + (at - what.carried) * position.iteration!
      const elements = operands.slice(from, from + position.iteration!).map((element) => element!)
      return stackElements(elements, declaredScan(what, at - what.carried))
    })
  }

  function runOperator(what: OperatorStep, operands: Values): Values {
    const written = operands.map((value, at) =>
      value === undefined || what.operands[at]!.kind === 'constant' ? undefined : machine.write(value),
    )
    try {
      return machine.run(what, written).map((output) => {
        if (output === undefined) return undefined
        const { dtype, dims, data } = machine.read(output)
        machine.release(output)
        return { dtype, dims, data }
      })
    } finally {
      for (const value of written) if (value !== undefined) machine.release(value)
    }
  }

  function resolve(source: Source, scope: Scope, given: Terms): Term | undefined {
    if (source.kind === 'absent') return undefined
    if (source.kind === 'constant') {
      return { value: canonicalValue(exact.constant(source.digest)), isFixed: true }
    }
    if (source.kind === 'input') return given[source.index]
    let at = scope
    for (let up = 0; up < source.up; up++) at = at.outer!
    return source.kind === 'step' ? at.outputs[source.step]![source.output] : at.carried[source.index]
  }
}

/** A value, and whether it is the model's own: such ones never travel. */
interface Term {
  readonly value: Value
  readonly isFixed: boolean
}

type Terms = readonly (Term | undefined)[]

interface Scope {
  readonly outputs: Terms[]
  /** What a body is given by its Loop. */
  readonly carried: Terms
  readonly outer: Scope | undefined
}

/** Where a run stands. */
interface Place {
  readonly scope: Scope
  readonly frames: Position['frames']
  /** The model's inputs. */
  readonly given: Terms
  readonly telling: Telling
}

interface Telling {
  readonly leaves: Leaf[]
  readonly operandsAt: Map<string, Terms>
  readonly told: Told
  lieAt(position: Position): Lie | undefined
  add(leaf: Pick<Leaf, 'position' | 'operator'> & { operands: Values; outputs: Values }, terms: Terms): void
}

function createTelling(lies: Lies): Telling {
  const leaves: Leaf[] = []
  const operandsAt = new Map<string, Terms>()
  const outputsAt = new Map<string, Values>()
  return {
    leaves,
    operandsAt,
    told: {
      output: (position, index = 0) => {
        const value = outputsAt.get(position)?.[index]
        if (value === undefined) throw new RangeError(`nothing was given at ${position} yet`)
        return value
      },
    },
    lieAt: (position) => lies[formatPosition(position)],
    add({ position, operator, operands, outputs }, terms) {
      operandsAt.set(position, terms)
      outputsAt.set(position, outputs)
      leaves.push({ position, operator, operands: operands.map(digestOf), outputs: outputs.map(digestOf) })
    },
  }
}

function decide(what: IfStep | LoopStep, iteration: number, operands: Values): Values {
  if (what.kind === 'if') return [flagValue(flagOf(operands[0]!))]
  const [trip, condition, ...carried] = operands
  const isOn = condition === undefined || flagOf(condition)
  const goesOn = isOn && (trip === undefined || iteration < tripCountOf(trip))
  const passed = [iterationValue(iteration, what.iterationRank), flagValue(isOn, what.conditionRank)]
  return [flagValue(goesOn), ...passed, ...carried]
}

/** What leaves a block, or is carried, is a value like any other, a constant too. */
function held(term: Term | undefined): Term | undefined {
  return term && { ...term, isFixed: false }
}

function digestOf(value: Value | undefined): Uint8Array {
  return value === undefined ? ABSENT : digestValue(value)
}

function payloadOf(terms: Terms): Uint8Array {
  const tensors = new Map<string, Tensor>()
  for (const term of terms) {
    if (term === undefined || term.isFixed) continue
    const name = Buffer.from(digestValue(term.value)).toString('hex')
    tensors.set(name, { ...term.value, name })
  }
  return encodeTensors([...tensors.values()])
}
