/** The machine of the exact lane: each operator a model of its own in the WASM engine, kept for the next run where it pays. */
import { type ExactModel, type OperatorModel, verifyOperandTypes } from '../graph/index.ts'
import type { OperatorStep } from '../plan/index.ts'
import type { DType } from '../tensor/index.ts'
import { canonicalValue, digestValue, type Value } from '../trace/index.ts'
import { RESERVED_BYTES_MAX, RESERVED_BYTES_MIN, SESSIONS_BYTES_MAX, SESSIONS_MAX } from './constants.ts'
import type { Machine } from './interpreter.ts'
import { RuntimeError } from './runtime.ts'
import type { WasmEngine, WasmSession, WasmValue } from './wasm-engine.ts'

export interface WasmMachineOptions {
  /** Models of operators that are kept, in bytes; 0 keeps none. */
  readonly sessionBytesMax?: number
}

interface OperatorSession {
  readonly session: WasmSession
  /** Of the operands: another needs another model. */
  readonly dtypes: readonly (DType | undefined)[]
  readonly bytes: number
  /** Positions of operands and outputs. */
  readonly feeds: readonly number[]
  readonly results: readonly number[]
}

export function createWasmMachine(
  model: ExactModel,
  engine: WasmEngine,
  { sessionBytesMax = SESSIONS_BYTES_MAX }: WasmMachineOptions = {},
): Machine<WasmValue> {
  const kept = new Map<OperatorStep, OperatorSession>()
  let keptBytes = 0
  // Now and not in the middle of a dispute.
  const reservedBytes = Math.min(largestConstants(model), RESERVED_BYTES_MAX)
  if (reservedBytes >= RESERVED_BYTES_MIN) engine.reserve(reservedBytes)

  return {
    run(step, operands) {
      let operator = kept.get(step)
      if (operator === undefined || !hasTypes(operands, operator.dtypes)) {
        if (operator !== undefined) forget(step, operator)
        const dtypes = operands.map((operand) => operand?.dtype)
        verifyTypes(step, dtypes)
        const made = model.operatorModel(step, dtypes)
        operator = {
          session: engine.createSession(
            made.bytes,
            made.feeds.map(({ name }) => name),
            made.results.map(({ name }) => name),
            made.external,
          ),
          dtypes,
          bytes: sizeOf(made),
          feeds: made.feeds.map(({ position }) => position),
          results: made.results.map(({ position }) => position),
        }
        keep(step, operator)
      }
      const { session, feeds, results } = operator
      try {
        const fed = feeds.map((position) => {
          const operand = operands[position]
          if (operand === undefined) throw new RuntimeError('run-failed', `operand ${position} is left out`)
          return operand
        })
        const outputs: (WasmValue | undefined)[] = step.outputs.map(() => undefined)
        const given = engine.run(session, fed)
        for (let at = 0; at < given.length; at++) {
          canonicalise(given[at]!)
          outputs[results[at]!] = given[at]
        }
        return outputs
      } finally {
        if (kept.get(step) !== operator && !engine.isSpent()) engine.releaseSession(session)
      }
    },
    constant: (digest) => model.constant(digest),
    write: (value) => engine.write(value),
    isCanonical: (value) => canonical(value) === undefined,
    read: ({ dtype, dims, ...value }) => ({
      dtype,
      dims,
      data: copy(engine.view({ dtype, dims, ...value })),
    }),
    digest: (value) => digestValue({ dtype: value.dtype, dims: value.dims, data: engine.view(value) }),
    bytes: ({ bytes }) => bytes,
    release(value) {
      if (!engine.isSpent()) engine.release(value)
    },
  }

  function keep(step: OperatorStep, operator: OperatorSession): void {
    // The first come stay: whoever is thrown out by the next of a run would be gone when the next run asks for it.
    if (kept.size >= SESSIONS_MAX || keptBytes + operator.bytes > sessionBytesMax) return
    kept.set(step, operator)
    keptBytes += operator.bytes
  }

  function forget(step: OperatorStep, operator: OperatorSession): void {
    kept.delete(step)
    keptBytes -= operator.bytes
    engine.releaseSession(operator.session)
  }

  /** In place: the engine gives every output memory of its own. */
  function canonicalise(value: WasmValue): void {
    const data = canonical(value)
    if (data !== undefined) engine.view(value).set(data)
  }

  /** What the bytes of a value should be, undefined where they are. */
  function canonical(value: WasmValue): Uint8Array | undefined {
    const { dtype, dims } = value
    if (!MAY_BE_NAN.includes(dtype) || (dtype === 'float32' && !engine.hasNaN(value))) return undefined
    const given: Value = { dtype, dims, data: engine.view(value) }
    const found = canonicalValue(given)
    return found === given ? undefined : found.data
  }
}

/** Of one step, in bytes. */
function largestConstants(model: ExactModel): number {
  let largest = 0
  for (const { steps } of model.plan.blocks) {
    for (const { operands } of steps) {
      let bytes = 0
      for (const operand of operands) {
        if (operand.kind === 'constant') bytes += model.constant(operand.digest).data.byteLength
      }
      largest = Math.max(largest, bytes)
    }
  }
  return largest
}

function sizeOf({ bytes, external }: OperatorModel): number {
  let sum = bytes.byteLength
  for (const { byteLength } of external.values()) sum += byteLength
  return sum
}

const MAY_BE_NAN: readonly DType[] = ['float32', 'float16', 'float64']

function hasTypes(
  operands: readonly (WasmValue | undefined)[],
  dtypes: readonly (DType | undefined)[],
): boolean {
  if (operands.length !== dtypes.length) return false
  for (let at = 0; at < dtypes.length; at++) if (operands[at]?.dtype !== dtypes[at]) return false
  return true
}

/** Throws RuntimeError `input-mismatch`, on every machine or on none, for types that the operator is not listed for. */
function verifyTypes(step: OperatorStep, dtypes: readonly (DType | undefined)[]): void {
  try {
    verifyOperandTypes(step, dtypes)
  } catch (cause) {
    throw new RuntimeError('input-mismatch', (cause as Error).message, { cause })
  }
}

function copy(bytes: Uint8Array): Uint8Array {
  try {
    return new Uint8Array(bytes)
  } catch (cause) {
    const message = `a value of ${bytes.byteLength} bytes cannot be copied`
    throw new RuntimeError('out-of-memory', message, { cause })
  }
}
