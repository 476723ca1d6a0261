/**
 * The digests of what a model's process gets and gives. They are made here, in the node's process: it signs what it has
 * hashed itself, whatever the process says, which in turn need not stop running models for it.
 */
import { digestTensors, digestTensorsInBackground, SALT_BYTES } from '../tensor/index.ts'
import { BACKGROUND_DIGEST_BYTES_MIN } from './constants.ts'
import { type Execution, type ExecutionOutcome, RuntimeError } from './runtime.ts'

/** As `ExecutionOutcome`, but for the digest of the outputs. */
export type UndigestedOutcome =
  | { readonly ok: true; readonly outputs: Uint8Array; readonly batched: boolean; readonly serviceMs: number }
  | { readonly ok: false; readonly error: RuntimeError }

/** Where nothing is large, there is nothing to wait for. */
export type Soon<T> = T | Promise<T>

/** For each entry, what is wrong with the digest of its inputs, mostly `digest-mismatch`, or undefined. Never rejects. */
export function verifyInputDigests(batch: readonly Execution[]): Soon<readonly (RuntimeError | undefined)[]> {
  return all(
    batch.map(({ salt, inputs, inputDigest }) => {
      if (salt.byteLength !== SALT_BYTES) {
        return new RuntimeError('input-mismatch', `a salt has ${SALT_BYTES} bytes, not ${salt.byteLength}`)
      }
      const given = digest(salt, inputs)
      if (!(given instanceof Promise)) return mismatch(inputDigest, given)
      return given.then(
        (bytes) => mismatch(inputDigest, bytes),
        (cause) => new RuntimeError('run-failed', 'the inputs could not be hashed', { cause }),
      )
    }),
  )
}

/** Adds the digests of the outputs. An entry whose inputs are not those of its job fails, whatever came of it. */
export function digestOutcomes(
  batch: readonly Execution[],
  verified: Soon<readonly (RuntimeError | undefined)[]>,
  outcomes: readonly UndigestedOutcome[],
): Soon<readonly ExecutionOutcome[]> {
  const digests = all(
    outcomes.map((outcome, index) => {
      const { salt } = batch[index]!
      return outcome.ok && salt.byteLength === SALT_BYTES ? digest(salt, outcome.outputs) : new Uint8Array()
    }),
  )
  return then(verified, (mismatches) =>
    then(digests, (made) =>
      outcomes.map((outcome, index): ExecutionOutcome => {
        const error = mismatches[index]
        if (error !== undefined) return { ok: false, error }
        if (!outcome.ok) return outcome
        const { outputs, batched, serviceMs } = outcome
        return { ok: true, value: { outputs, outputDigest: made[index]!, batched, serviceMs } }
      }),
    ),
  )
}

function digest(salt: Uint8Array, payload: Uint8Array): Soon<Uint8Array> {
  return payload.byteLength < BACKGROUND_DIGEST_BYTES_MIN
    ? digestTensors(salt, payload)
    : digestTensorsInBackground(salt, payload)
}

/** A RuntimeError `digest-mismatch` that shows both, or undefined where they are equal. */
export function mismatch(expected: Uint8Array, given: Uint8Array): RuntimeError | undefined {
  if (Buffer.compare(given, expected) === 0) return undefined
  const [expectedHex, givenHex] = [expected, given].map((bytes) => Buffer.from(bytes).toString('hex'))
  return new RuntimeError(
    'digest-mismatch',
    `the inputs are not those that the job was signed for: expected digest ${expectedHex}, these have ${givenHex}`,
  )
}

function then<T, U>(value: Soon<T>, next: (value: T) => Soon<U>): Soon<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}

function all<T>(values: readonly Soon<T>[]): Soon<readonly T[]> {
  return values.some((value) => value instanceof Promise) ? Promise.all(values) : (values as readonly T[])
}
