/**
 * What every runtime offers, be it a stub, a process of its own or a liar's wrapper. Payloads are the canonical bytes
 * of `models/tensor`. Digests are made in the node's own process, large ones off its thread.
 */
export interface ModelRuntime {
  readonly info: RuntimeInfo
  /**
   * Runs `batch` as one execution. The caller guarantees at least one entry and, if there are more, that the model is
   * batch-independent and that all entries agree in everything but the first dimension of each input.
   * Resolves with one outcome per entry, in order; an entry that fails alone (wrong input) does not fail the others.
   * May be called again before the last execution is done: what runs in order, and when, is the runtime's own affair, but
   * one that has the next at hand loses no time between two. `inputs` must stay as they are until it has resolved.
   * Rejects with a RuntimeError when the whole execution failed. Aborting `signal` ends the work at once, if need be
   * by ending the process; the next call starts a new one.
   */
  execute(batch: readonly Execution[], signal: AbortSignal): Promise<readonly ExecutionOutcome[]>
  /**
   * Starts what must be started and proves that the model loads; a node does this before it announces the model. Absent
   * where there is nothing to load. Rejects with `load-failed`, `closed`, or `aborted` when `signal` is.
   */
  load?(signal?: AbortSignal): Promise<void>
  /** Ends the process, if any, and fails what is running with `closed`. Idempotent. */
  close(): Promise<void>
}

/** Stands in receipts: what ran the model. */
export interface RuntimeInfo {
  /** For example `onnxruntime-node`. */
  readonly engine: string
  readonly version: string
  readonly lane: Lane
  /** Instruction-set class, which decides the last bits of native results: for example `x64-avx512`, `arm64`. */
  readonly instructionSet: string
}

export type Lane = 'native' | 'exact'

export interface Execution {
  /** Canonical payload of all inputs. */
  readonly inputs: Uint8Array
  /** The job's salt, 32 bytes. */
  readonly salt: Uint8Array
  /** The salted digest that the signed job states. An entry whose inputs have another fails with `digest-mismatch`. */
  readonly inputDigest: Uint8Array
}

export type ExecutionOutcome =
  | { readonly ok: true; readonly value: Executed }
  | { readonly ok: false; readonly error: RuntimeError }

export interface Executed {
  /** Canonical payload of all outputs. */
  readonly outputs: Uint8Array
  /** Salted digest of `outputs`. */
  readonly outputDigest: Uint8Array
  /** Whether more than one entry shared this execution: batching changes the last bits. */
  readonly batched: boolean
  /** Time the model itself took, in milliseconds. */
  readonly serviceMs: number
}

export type RuntimeErrorCode =
  /** Wrong input name, element type or shape: the requester's fault. The message shows expected and given. */
  | 'input-mismatch'
  | 'digest-mismatch'
  /** The `.onnx` file is corrupt, truncated or uses what the engine does not know. */
  | 'load-failed'
  /** The engine reported an error while running (not a crash). */
  | 'run-failed'
  /** The exact lane's engine had no room for a trace or a step. Says nothing about what it was given. */
  | 'out-of-memory'
  | 'deadline'
  | 'aborted'
  /** The process died. */
  | 'crashed'
  /** It crashed lately; `retryAfterMs` says when it will be tried again. */
  | 'backing-off'
  | 'closed'

export class RuntimeError extends Error {
  override readonly name = 'RuntimeError'
  readonly code: RuntimeErrorCode
  readonly retryAfterMs: number

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions & { retryAfterMs?: number }) {
    super(message, options)
    this.code = code
    this.retryAfterMs = options?.retryAfterMs ?? 0
  }
}
