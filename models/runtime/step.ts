/** Runs one step of a plan alone, on operands that somebody else names and gives. */
import {
  type Expectation,
  expect,
  type IfStep,
  type LoopStep,
  type OperatorStep,
  type Plan,
  stepAt,
} from '../plan/index.ts'
import { decodeTensors } from '../tensor/index.ts'
import {
  ABSENT,
  canonicalValue,
  digestValue,
  flagDigest,
  flagValue,
  iterationValue,
  LOOP_ITERATIONS_MAX,
  type Position,
  parsePosition,
  type Value,
} from '../trace/index.ts'
import { declaredScan, flagOf, stackElements, tripCountOf } from './control.ts'
import type { Machine } from './interpreter.ts'
import { RuntimeError } from './runtime.ts'

/**
 * Output digests, by position, of the step at `position` on operands with these digests, whose values are in `payload`
 * under the lowercase hex of theirs, or constants. Values that only pass through a decision or an end need not be there.
 * Throws RuntimeError `input-mismatch` where the plan has no such position or the operands are not such ones; and what the
 * machine throws.
 */
export function runStepAlone<V>(
  plan: Plan,
  machine: Machine<V>,
  position: string,
  operands: readonly Uint8Array[],
  payload: Uint8Array,
): Uint8Array[] {
  const step = stepAt(plan, position)
  if (step === undefined) mismatch(`the plan has no position ${position}`)
  if (operands.some(({ byteLength }) => byteLength !== 32)) mismatch('a digest has 32 bytes')
  const { phase, iteration = 0 } = parsePosition(position)
  if (step.kind === 'if' && phase === 'end') {
    // Of whichever branch it was, they are what comes out.
    const count = plan.blocks[step.thenBlock]!.outputs.length
    if (operands.length !== count) mismatch(`a branch has ${count} outputs, not ${operands.length}`)
    return step.outputs.map((isThere, index) => (isThere ? operands[index]! : ABSENT))
  }
  const expected = expect(plan, position)
  if (expected === undefined) mismatch(`no leaf can stand at ${position}`)
  verifyOperands(expected.operands, operands)
  const given = createValues(machine, expected.operands, operands, payload)
  // The machine looks for NaNs four elements at a time; what only control flow reads is small.
  if (step.kind === 'operator') return runOperator(step, machine, expected.operands, operands, given)
  return runControl(step, phase, iteration, operands, (index) => verifyCanonical(given(index)))
}

function runControl(
  step: IfStep | LoopStep,
  phase: Position['phase'],
  iteration: number,
  operands: readonly Uint8Array[],
  given: Values,
): Uint8Array[] {
  switch (step.kind) {
    case 'if':
      return [flagDigest(flagOf(given(0) ?? mismatch('an If has no condition')))]
    case 'loop':
      return phase === 'decide'
        ? decideLoop(step, iteration, operands, given)
        : endLoop(step, iteration, operands, given)
    default:
      step satisfies never
      return mismatch('a step of an unknown kind')
  }
}

type Origins = Expectation['operands']
/** The value of an operand by its position; undefined where it is left out. Throws `input-mismatch` where it is missing. */
type Values = (index: number) => Value | undefined

/** Refuses operands of another number, and absent ones and constants that are not what the plan says. */
function verifyOperands(origins: Origins, operands: readonly Uint8Array[]): void {
  if (operands.length !== origins.length) {
    mismatch(`the step has ${origins.length} operands, not ${operands.length}`)
  }
  for (const [index, origin] of origins.entries()) {
    const digest = operands[index]!
    if ((origin.kind === 'absent') !== isSame(digest, ABSENT)) {
      mismatch(`operand ${index} is left out, or is not`)
    }
    if (origin.kind === 'constant' && !isSame(digest, origin.digest)) {
      mismatch(`operand ${index} is not the model's constant`)
    }
  }
}

/** The values of a payload, each with the digest that it is named by, and asked for. Nobody has looked at their NaNs. */
function createValues<V>(
  machine: Machine<V>,
  origins: Origins,
  operands: readonly Uint8Array[],
  payload: Uint8Array,
): Values {
  const wanted = new Set(operands.map(hex))
  const given = new Map<string, Value>()
  for (const { name, dtype, dims, data } of decode(payload)) {
    if (!wanted.has(name)) mismatch(`"${name}" is no operand of the step`)
    const value: Value = { dtype, dims, data }
    if (hex(digestValue(value)) !== name) mismatch(`operand ${name} has another digest`)
    given.set(name, value)
  }
  return (index) => {
    const origin = origins[index]!
    if (origin.kind === 'absent') return undefined
    if (origin.kind === 'constant') return canonicalValue(machine.constant(origin.digest))
    return given.get(hex(operands[index]!)) ?? mismatch(`operand ${index} is missing`)
  }
}

function verifyCanonical(value: Value | undefined): Value | undefined {
  if (value !== undefined && canonicalValue(value) !== value) mismatch(STRANGE_NAN)
  return value
}

const STRANGE_NAN = 'an operand holds a NaN that no step gives'

function decode(payload: Uint8Array): ReturnType<typeof decodeTensors> {
  try {
    return decodeTensors(payload)
  } catch (cause) {
    throw new RuntimeError('input-mismatch', `the operands cannot be read: ${String(cause)}`, { cause })
  }
}

function runOperator<V>(
  step: OperatorStep,
  machine: Machine<V>,
  origins: Origins,
  operands: readonly Uint8Array[],
  given: Values,
): Uint8Array[] {
  const written = new Map<string, V>()
  const made: V[] = []
  try {
    const fed = origins.map(({ kind }, index) => {
      if (kind === 'absent' || kind === 'constant') return undefined
      const name = hex(operands[index]!)
      const known = written.get(name)
      if (known !== undefined) return known
      const value = machine.write(given(index)!)
      written.set(name, value)
      if (!machine.isCanonical(value)) mismatch(STRANGE_NAN)
      return value
    })
    const outputs = machine.run(step, fed)
    made.push(...outputs.filter((output) => output !== undefined))
    return outputs.map((output) => (output === undefined ? ABSENT : machine.digest(output)))
  } finally {
    for (const value of [...written.values(), ...made]) machine.release(value)
  }
}

function decideLoop(
  step: LoopStep,
  iteration: number,
  operands: readonly Uint8Array[],
  given: Values,
): Uint8Array[] {
  const limit = given(0)
  const condition = given(1)
  const isOn = condition === undefined || flagOf(condition)
  const decision = isOn && (limit === undefined || iteration < tripCountOf(limit))
  if (decision && iteration >= LOOP_ITERATIONS_MAX) {
    throw new RuntimeError('run-failed', `a loop runs more than ${LOOP_ITERATIONS_MAX} times`)
  }
  return [
    flagDigest(decision),
    digestValue(iterationValue(iteration, step.iterationRank)),
    digestValue(flagValue(isOn, step.conditionRank)),
    ...operands.slice(2),
  ]
}

function endLoop(
  step: LoopStep,
  iterations: number,
  operands: readonly Uint8Array[],
  given: Values,
): Uint8Array[] {
  return step.outputs.map((isThere, index) => {
    if (!isThere) return ABSENT
    if (index < step.carried) return operands[index]!
    const first = step.carried + (index - step.carried) * iterations
    const elements = Array.from(
      { length: iterations },
      (_, at) => given(first + at) ?? mismatch('a scan output is left out'),
    )
    return digestValue(stackElements(elements, declaredScan(step, index - step.carried)))
  })
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

function hex(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString('hex')
}

function mismatch(why: string): never {
  throw new RuntimeError('input-mismatch', why)
}
