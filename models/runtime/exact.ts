/** What the exact lane offers beside running models: traces of what it ran, and single steps run again. */
import type { Plan } from '../plan/index.ts'
import type { ModelRuntime } from './runtime.ts'

export interface ExactRuntime extends ModelRuntime {
  load(signal?: AbortSignal): Promise<void>
  /** The plan of the model, derived from its bytes. */
  plan(signal: AbortSignal): Promise<Plan>
  /**
   * Runs the model on a canonical payload of inputs and keeps what each step was given and gave, in digests. Rejects with
   * RuntimeError: `input-mismatch`; `run-failed` also where a trace would be larger than one may be; `out-of-memory`.
   */
  trace(inputs: Uint8Array, signal: AbortSignal): Promise<Trace>
  /**
   * The activations that the step at `position` of that run was given: a canonical payload of its distinct operands that
   * are neither constants nor absent, each named by the lowercase hex of its digest. Rejects with `run-failed` also where
   * the run has no such position or the payload is too large.
   */
  operands(inputs: Uint8Array, position: string, signal: AbortSignal): Promise<Uint8Array>
  /**
   * Runs the step at `position` alone, on operands of a leaf given by their digests: constants come from the model, the
   * rest from `payload` (as `operands` gives it, every byte hostile; values that only pass through a decision or an end may
   * be left out). Resolves with the digests of its outputs by position, as they would stand in a leaf. Rejects with
   * `input-mismatch` where an operand is missing, does not hash to its name or is of a kind that the step cannot have, and
   * with `run-failed` where the operator refuses its operands, as it would on every machine. Every other code (`crashed`,
   * `out-of-memory`, `deadline`, `aborted`, `backing-off`, `load-failed`, `closed`) says that it could not be found out.
   */
  runStep(
    position: string,
    operands: readonly Uint8Array[],
    payload: Uint8Array,
    signal: AbortSignal,
  ): Promise<StepRun>
}

export interface Trace {
  /** Encoded leaves in the order of execution. */
  readonly leaves: readonly Uint8Array[]
  /** Canonical payload of the outputs. */
  readonly outputs: Uint8Array
  /** Time of the run itself, in milliseconds. */
  readonly serviceMs: number
}

export interface StepRun {
  readonly outputs: readonly Uint8Array[]
  /** Time of the step itself, in milliseconds. */
  readonly serviceMs: number
}
