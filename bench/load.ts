import { setTimeout as delay } from 'node:timers/promises'
import { percentile } from './statistics.ts'
import type { Target } from './targets/target.ts'
import type { WireCounter } from './wire.ts'

/** What one target did in one measuring window. */
export interface Window {
  readonly requests: number
  readonly failures: number
  readonly firstFailure: string | undefined
  readonly elapsedMs: number
  /** Of requests that succeeded; NaN if none did. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly requestsPerSecond: number
  /** TCP payload both ways for each request that succeeded, everything included. */
  readonly bytesPerRequest: number
}

export interface Load {
  readonly concurrency: number
  readonly durationMs: number
}

/** Makes checks of answers that are cheap enough for every request, and thorough ones for few. */
export interface Checker {
  /** A reason, or undefined if the answer has the right form. */
  quick(answer: Uint8Array): string | undefined
  /** A reason, or undefined if the answer is right within the tolerance. */
  full(answer: Uint8Array, payloadIndex: number): string | undefined
}

/** After a failure a caller waits: a target that refuses at once must not be hammered. */
const FAILURE_PAUSE_MS = 5

/**
 * Closed loop: `concurrency` callers, each with one request in flight, until the time is over; what is in flight then
 * is waited for and counted. The last answer of each caller is checked in full, outside of the measured time.
 */
export async function runLoad(
  target: Target,
  payloads: readonly Uint8Array[],
  checker: Checker,
  load: Load,
  wire: WireCounter,
): Promise<Window> {
  const latencies: number[] = []
  let failures = 0
  let firstFailure: string | undefined
  const fail = (reason: string): void => {
    failures++
    firstFailure ??= reason
  }

  const bytesBefore = wire.total()
  const startedAt = performance.now()
  const endsAt = startedAt + load.durationMs
  const last = await Promise.all(
    Array.from({ length: load.concurrency }, async (_, caller) => {
      let answered: { answer: Uint8Array; index: number } | undefined
      for (let turn = caller; answered === undefined || performance.now() < endsAt; turn++) {
        const index = turn % payloads.length
        const calledAt = performance.now()
        try {
          const answer = await target.call(payloads[index] ?? new Uint8Array())
          latencies.push(performance.now() - calledAt)
          answered = { answer, index }
          const wrong = checker.quick(answer)
          if (wrong !== undefined) fail(wrong)
        } catch (error) {
          fail(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
          if (performance.now() >= endsAt) break
          await delay(FAILURE_PAUSE_MS)
        }
      }
      return answered
    }),
  )
  const elapsedMs = performance.now() - startedAt
  await target.drain()
  const bytes = wire.total() - bytesBefore

  for (const answered of last) {
    const wrong = answered === undefined ? undefined : checker.full(answered.answer, answered.index)
    if (wrong !== undefined) fail(wrong)
  }
  const sorted = Float64Array.from(latencies).sort()
  return {
    requests: sorted.length,
    failures,
    firstFailure,
    elapsedMs,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    requestsPerSecond: (sorted.length / elapsedMs) * 1000,
    bytesPerRequest: bytes / sorted.length,
  }
}

/** Checks against the answers that the model gave when it was called directly. */
export function createChecker(expected: readonly Float32Array[], tau: number): Checker {
  const largest = expected.map((values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0))
  return {
    quick(answer) {
      const bytes = expected[0]?.byteLength ?? 0
      return answer.byteLength === bytes ? undefined : `an answer of ${answer.byteLength} bytes, not ${bytes}`
    },
    full(answer, index) {
      const right = expected[index] ?? new Float32Array()
      const got = new Float32Array(new Uint8Array(answer).buffer)
      const allowed = 1e-6 + tau * (largest[index] ?? 0)
      const at = right.findIndex(
        (value, element) => !(Math.abs(value - (got[element] ?? Number.NaN)) <= allowed),
      )
      return at < 0 ? undefined : `element ${at} is ${got[at]}, the direct run gave ${right[at]}`
    },
  }
}
