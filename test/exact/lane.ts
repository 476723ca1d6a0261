/** The exact lane from the inside, for measuring and for lying: one engine, many models, every step at hand. */
import {
  type ExactModel,
  GraphError,
  modelSignature,
  prepareExactModel,
  readModel,
} from '../../models/graph/index.ts'
import type { Plan, Step } from '../../models/plan/index.ts'
import { createExactExecutor, type ExactExecutor } from '../../models/runtime/exact-execution.ts'
import {
  createInterpreter,
  digestOf,
  isHeld,
  type Machine,
  type Term,
} from '../../models/runtime/interpreter.ts'
import { createWasmEngine, type WasmEngine, type WasmValue } from '../../models/runtime/wasm-engine.ts'
import { createWasmMachine } from '../../models/runtime/wasm-machine.ts'
import { type DType, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import { ABSENT, canonicalValue, formatPosition, type Leaf, type Position } from '../../models/trace/index.ts'
import type { ModelFiles } from './models/index.ts'

/** A model opened on an engine. Everything happens in this process, at once. */
export interface Lane {
  readonly exact: ExactModel
  readonly plan: Plan
  readonly executor: ExactExecutor
  /** Runs the model; `onStep` is told of every leaf, and of a step that runs alone also its operands. */
  walk(inputs: readonly Tensor[], onStep: (step: WalkedStep) => void): readonly Tensor[]
}

export interface WalkedStep {
  readonly leaf: Leaf
  readonly phase: Position['phase']
  readonly step: Step
  /** Element types of the operands, constants included. */
  dtypes(): DType[]
  /** As `operands` of an ExactRuntime: a payload of what is neither constant nor absent. Made on demand, during the call. */
  payload(): Uint8Array
}

export interface LaneOptions {
  readonly sessionBytesMax?: number
  /** Stands between the interpreter and the machine: where a liar lies. */
  readonly wrap?: (machine: Machine<WasmValue>) => Machine<WasmValue>
}

/** What an engine has once used it does not give back. */
const HEAP_BYTES_KEPT = 1024 ** 3

/** The same engine each time, as long as it can be believed and is of a moderate size; then another. */
export function supplyEngine(): () => Promise<WasmEngine> {
  let engine: WasmEngine | undefined
  return async () => {
    if (engine === undefined || engine.isSpent() || engine.heapBytes() > HEAP_BYTES_KEPT) {
      engine = await createWasmEngine()
    }
    return engine
  }
}

/** Throws GraphError for a model that the lane refuses. */
export function openLane(
  { model, files }: ModelFiles,
  engine: WasmEngine,
  { sessionBytesMax, wrap = (machine) => machine }: LaneOptions = {},
): Lane {
  const read = readModel(model)
  const exact = prepareExactModel(read, files)
  const machine = wrap(
    createWasmMachine(exact, engine, sessionBytesMax === undefined ? {} : { sessionBytesMax }),
  )
  const { plan } = exact
  const executor = createExactExecutor(plan, machine, modelSignature(read), () => performance.now())
  const interpret = createInterpreter(plan, machine)
  return { exact, plan, executor, walk }

  function walk(inputs: readonly Tensor[], onStep: (step: WalkedStep) => void): Tensor[] {
    const digests = (terms: readonly Term<WasmValue>[]): Uint8Array[] =>
      terms.map((term) => (term === undefined ? ABSENT : digestOf(machine, term)))
    const given = plan.inputs.map((name) => {
      const { dtype, dims, data } = inputs.find((input) => input.name === name)!
      return machine.write(canonicalValue({ dtype, dims, data }))
    })
    const outputs = interpret(given, {
      onLeaf(position, step, operands, made) {
        onStep({
          leaf: {
            position: formatPosition(position),
            operator: step.digest,
            operands: digests(operands),
            outputs: digests(made),
          },
          phase: position.phase,
          step,
          dtypes: () => operands.flatMap(dtypeOf),
          payload: () => payloadOf(operands),
        })
      },
    })
    return outputs!.map((value, index) => ({ name: plan.outputs[index]!.name, ...value }))
  }

  /** None of what is left out, or only control flow knows. */
  function dtypeOf(term: Term<WasmValue>): DType[] {
    if (term === undefined) return []
    if (isHeld(term)) return [term.value.dtype]
    try {
      return [exact.constant(term.digest).dtype]
    } catch (error) {
      if (error instanceof GraphError && error.code === 'unknown-constant') return []
      throw error
    }
  }

  function payloadOf(terms: readonly Term<WasmValue>[]): Uint8Array {
    const tensors = new Map<string, Tensor>()
    for (const term of terms) {
      if (!isHeld(term)) continue
      const name = Buffer.from(digestOf(machine, term)).toString('hex')
      if (!tensors.has(name)) tensors.set(name, { name, ...machine.read(term.value) })
    }
    return encodeTensors([...tensors.values()])
  }
}
