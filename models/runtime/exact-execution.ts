/** What the exact lane does with a model: run it, trace it, hand out the operands of a step, run a step alone. */
import { type Signature, verifyInputs } from '../manifest/index.ts'
import { type Plan, stepAt } from '../plan/index.ts'
import { decodeTensors, encodeTensorPieces, PAYLOAD_BYTES_MAX, type Tensor } from '../tensor/index.ts'
import {
  ABSENT,
  canonicalValue,
  encodeLeaf,
  formatPosition,
  LEAVES_BYTES_MAX,
  LEAVES_MAX,
} from '../trace/index.ts'
import type { StepRun } from './exact.ts'
import { toInputError } from './host-execution.ts'
import { createInterpreter, digestOf, isHeld, type Machine, type Observer, type Term } from './interpreter.ts'
import { RuntimeError } from './runtime.ts'
import { runStepAlone } from './step.ts'

/** See ExactRuntime, whose requests these are, done here and now. Payloads come out in pieces that follow one another. */
export interface ExactExecutor {
  /** Outputs by name for inputs by name, which were checked. Throws RuntimeError. */
  run(inputs: readonly Tensor[]): readonly Tensor[]
  trace(inputs: Uint8Array): TraceRun
  operands(inputs: Uint8Array, position: string): readonly Uint8Array[]
  runStep(position: string, operands: readonly Uint8Array[], payload: Uint8Array): StepRun
}

export interface TraceRun {
  readonly leaves: readonly Uint8Array[]
  readonly outputs: readonly Uint8Array[]
  readonly serviceMs: number
}

export function createExactExecutor<V>(
  plan: Plan,
  machine: Machine<V>,
  signature: Signature,
  now: () => number,
): ExactExecutor {
  const interpret = createInterpreter(plan, machine)
  return { run: (inputs) => run(inputs), trace, operands, runStep }

  /** None where the observer ended it. */
  function run(inputs: readonly Tensor[], observer: Observer<V> = {}): Tensor[] {
    const outputs = execute(write(inputs), observer) ?? []
    return outputs.map((value, index) => ({ name: plan.outputs[index]!.name, ...value }))
  }

  /** Operands that an operator cannot have are the model's own doing here, not the requester's. */
  function execute(inputs: readonly V[], observer: Observer<V>): ReturnType<typeof interpret> {
    try {
      return interpret(inputs, observer)
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code !== 'input-mismatch') throw error
      throw new RuntimeError('run-failed', error.message, { cause: error })
    }
  }

  /** In the plan's order. */
  function write(inputs: readonly Tensor[]): V[] {
    const written: V[] = []
    try {
      for (const name of plan.inputs) {
        const input = inputs.find((tensor) => tensor.name === name)
        if (input === undefined) throw new RuntimeError('input-mismatch', `the input "${name}" is missing`)
        const { dtype, dims, data } = input
        written.push(machine.write(canonicalValue({ dtype, dims, data })))
      }
      return written
    } catch (error) {
      for (const value of written) machine.release(value)
      throw error
    }
  }

  function trace(payload: Uint8Array): TraceRun {
    const inputs = readInputs(signature, payload)
    const leaves: Uint8Array[] = []
    let bytes = 0
    const digests = (terms: readonly Term<V>[]) =>
      terms.map((term) => (term === undefined ? ABSENT : digestOf(machine, term)))
    const startedAt = now()
    const outputs = run(inputs, {
      onLeaf(position, step, given, made) {
        const leaf = encode({
          position: formatPosition(position),
          operator: step.digest,
          operands: digests(given),
          outputs: digests(made),
        })
        bytes += leaf.byteLength
        if (leaves.length >= LEAVES_MAX || bytes > LEAVES_BYTES_MAX) {
          throw new RuntimeError(
            'run-failed',
            `a trace may have ${LEAVES_MAX} leaves, ${LEAVES_BYTES_MAX} bytes`,
          )
        }
        leaves.push(leaf)
      },
    })
    const serviceMs = now() - startedAt
    return { leaves, outputs: encodeOutputs(outputs), serviceMs }
  }

  function operands(payload: Uint8Array, text: string): Uint8Array[] {
    if (stepAt(plan, text) === undefined) {
      throw new RuntimeError('run-failed', `the plan has no position ${text}`)
    }
    const inputs = readInputs(signature, payload)
    let found: Uint8Array[] | undefined
    const observer: Observer<V> = {
      onOperands(position, terms) {
        if (formatPosition(position) !== text) return true
        found = encodeOutputs(readTerms(terms))
        return false
      },
    }
    run(inputs, observer)
    if (found === undefined) throw new RuntimeError('run-failed', `the run has no position ${text}`)
    return found
  }

  /** Each value once, under its digest. */
  function readTerms(terms: readonly Term<V>[]): Tensor[] {
    const tensors = new Map<string, Tensor>()
    let bytes = 0
    for (const term of terms) {
      if (!isHeld(term)) continue
      const name = Buffer.from(digestOf(machine, term)).toString('hex')
      if (tensors.has(name)) continue
      bytes += term.bytes
      if (bytes > PAYLOAD_BYTES_MAX) {
        throw new RuntimeError('run-failed', `the operands have more than ${PAYLOAD_BYTES_MAX} bytes`)
      }
      tensors.set(name, { name, ...machine.read(term.value) })
    }
    return [...tensors.values()]
  }

  function runStep(text: string, digests: readonly Uint8Array[], payload: Uint8Array): StepRun {
    const startedAt = now()
    const outputs = runStepAlone(plan, machine, text, digests, payload)
    return { outputs, serviceMs: now() - startedAt }
  }
}

function readInputs(signature: Signature, payload: Uint8Array): Tensor[] {
  try {
    const inputs = decodeTensors(payload)
    verifyInputs(signature, inputs)
    return inputs
  } catch (error) {
    throw toInputError(error)
  }
}

/** A payload that is too large, or has too many tensors, cannot be given. */
function encodeOutputs(tensors: readonly Tensor[]): Uint8Array[] {
  try {
    return encodeTensorPieces(tensors)
  } catch (cause) {
    throw new RuntimeError('run-failed', (cause as Error).message, { cause })
  }
}

function encode(leaf: Parameters<typeof encodeLeaf>[0]): Uint8Array {
  try {
    return encodeLeaf(leaf)
  } catch (cause) {
    throw new RuntimeError('run-failed', (cause as Error).message, { cause })
  }
}
