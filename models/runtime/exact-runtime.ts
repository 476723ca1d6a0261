import { decodePlan, type Plan } from '../plan/index.ts'
import { PAYLOAD_BYTES_MAX } from '../tensor/index.ts'
import { LEAF_BYTES_MAX, POSITION_BYTES_MAX, TRACE_VERSION } from '../trace/index.ts'
import { EXACT_ENGINE_VERSION, EXACT_IDLE_MS, EXACT_WASM_SHA256 } from './constants.ts'
import type { ExactRuntime } from './exact.ts'
import type { Answer, Ask } from './exact-answers.ts'
import { spawnExactHost } from './host-process.ts'
import { hostComponents } from './native.ts'
import { type ModelRuntime, RuntimeError, type RuntimeInfo } from './runtime.ts'
import {
  createSupervisor,
  type NativeRuntimeComponents,
  type NativeRuntimeInit,
  type Supervisor,
} from './supervisor.ts'

export type ExactRuntimeInit = Omit<NativeRuntimeInit, 'batching' | 'threads'>

export interface SupervisedExactRuntime extends ExactRuntime, Pick<Supervisor, 'status'> {
  load(signal?: AbortSignal): Promise<void>
}

/**
 * A model in the exact lane, in a process of its own. Nothing is started before the first request. Ended when idle for
 * `idleMs`, by default five minutes: what its engine once used it does not give back.
 * `components` replaces what it needs of the world, for tests.
 */
export function createExactRuntime(
  init: ExactRuntimeInit,
  components: Partial<NativeRuntimeComponents> = {},
): SupervisedExactRuntime {
  const supervisor = createSupervisor(
    { idleMs: EXACT_IDLE_MS, ...init, batching: false },
    { ...hostComponents, spawn: spawnExactHost, info: exactRuntimeInfo(), ...components },
  )
  return { ...exactRequests(supervisor, supervisor.ask), status: supervisor.status, load: supervisor.load }
}

/**
 * What stands in the receipts of every exact runtime. The version is the id of the lane: wasm and rules decide every
 * bit of what it gives, and results of different ids are never compared.
 */
export function exactRuntimeInfo(): RuntimeInfo {
  return {
    engine: 'onnxruntime-web',
    version: `${EXACT_ENGINE_VERSION}+wasm.${EXACT_WASM_SHA256.slice(0, 16)}+trace.${TRACE_VERSION}`,
    lane: 'exact',
    instructionSet: 'wasm32-simd',
  }
}

/** The requests of an ExactRuntime, as questions to whoever can answer them. */
export function exactRequests(
  runtime: Required<ModelRuntime>,
  ask: (ask: Ask, signal: AbortSignal) => Promise<Answer>,
): ExactRuntime {
  let known: Plan | undefined
  return {
    info: runtime.info,
    execute: runtime.execute,
    load: runtime.load,
    close: runtime.close,
    async plan(signal) {
      known ??= decodePlan((await ask({ ...NOTHING, what: 'plan' }, signal)).payload)
      return known
    },
    async trace(inputs, signal) {
      verifySize(inputs)
      const answer = await ask({ ...NOTHING, what: 'trace', payload: inputs }, signal)
      return { leaves: answer.leaves, outputs: answer.payload, serviceMs: answer.serviceMs }
    },
    async operands(inputs, position, signal) {
      verifySize(inputs)
      verifyPosition(position)
      return (await ask({ ...NOTHING, what: 'operands', position, payload: inputs }, signal)).payload
    },
    async runStep(position, operands, payload, signal) {
      verifySize(payload)
      verifyPosition(position)
      if (operands.length * 32 > LEAF_BYTES_MAX || operands.some(({ byteLength }) => byteLength !== 32)) {
        throw new RuntimeError(
          'input-mismatch',
          'a step has digests of 32 bytes, no more than a leaf can hold',
        )
      }
      const answer = await ask({ what: 'step', position, digests: operands, payload }, signal)
      const outputs: Uint8Array[] = []
      for (let at = 0; at < answer.payload.byteLength; at += 32)
        outputs.push(answer.payload.slice(at, at + 32))
      return { outputs, serviceMs: answer.serviceMs }
    },
  }
}

const NOTHING: Omit<Ask, 'what'> = { position: '', digests: [], payload: new Uint8Array() }

function verifySize(payload: Uint8Array): void {
  if (payload.byteLength > PAYLOAD_BYTES_MAX) {
    throw new RuntimeError('input-mismatch', `a payload may have ${PAYLOAD_BYTES_MAX} bytes at most`)
  }
}

function verifyPosition(position: string): void {
  if (position.length > POSITION_BYTES_MAX) throw new RuntimeError('input-mismatch', 'a position is too long')
}
