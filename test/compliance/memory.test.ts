/** The compliance suite over machines in memory, in virtual time. */
import { test } from 'uvu'
import { createMemoryMesh } from '../fixtures/memory-mesh.ts'
import { type CreateMesh, type MeshTimes, SCENARIOS } from './suite.ts'

const TIMES: MeshTimes = {
  attemptTimeoutMs: 500,
  patienceMs: 3000,
  slowMs: 1000,
  observeMs: 2000,
  timeoutMs: 10_000,
}
const SEEDS = 10

const createMesh =
  (seed: number): CreateMesh =>
  async (behaviours, times) => {
    const { slowMs, patienceMs, attemptTimeoutMs, observeMs } = times
    const mesh = createMemoryMesh({ seed, behaviours, slowMs, requesterLimits: { patienceMs } })
    return {
      providers: mesh.providers,
      submit: async ({ replicas, timeoutMs }) => {
        const startedAtMs = mesh.time.nowMs
        const outcome = mesh.submit({ replicas, timeoutMs, attemptTimeoutMs, observeMs })
        // Jobs that are submitted together run together: virtual time goes on when all have been submitted.
        await Promise.resolve()
        mesh.finish(startedAtMs + timeoutMs)
        const { accepted, failure, verdicts, evidence, endedAtMs } = outcome
        return {
          isRight: accepted === undefined ? undefined : accepted === 0,
          verdict: verdicts.at(-1),
          failure,
          evidence,
          elapsedMs: endedAtMs! - startedAtMs,
        }
      },
      stop: async () => undefined,
    }
  }

for (const { name, run } of SCENARIOS) {
  test(`in memory: ${name}`, async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      try {
        await run(createMesh(seed), TIMES)
      } catch (cause) {
        throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : cause}`, { cause })
      }
    }
  })
}

test.run()
