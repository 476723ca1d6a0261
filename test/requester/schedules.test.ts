/** Random meshes, failures and delays; the checker inside the mesh throws at the first broken promise. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createMemoryMesh, type MemoryBehaviour } from '../fixtures/memory-mesh.ts'

const BEHAVIOURS: readonly MemoryBehaviour[] = [
  'honest',
  'honest',
  'lying',
  'silent',
  'slow',
  'busy',
  'crashing',
  'answering-twice',
  'answering-another-job',
  'badly-signing',
]

const arbitraryMesh = fc.record({
  seed: fc.nat(),
  behaviours: fc.array(fc.constantFrom(...BEHAVIOURS), { maxLength: 9, size: 'max' }),
  loss: fc.constantFrom(0, 0, 0.1, 0.5),
  latencyMs: fc.constantFrom(0, 5, 200),
  slowMs: fc.constantFrom(300, 3000),
  batching: fc.boolean(),
})

const arbitraryJobs = fc.array(
  fc.record({
    atMs: fc.nat(2000),
    replicas: fc.integer({ min: 1, max: 5 }),
    timeoutMs: fc.constantFrom(1, 400, 5000),
    observeMs: fc.constantFrom(0, 1000),
    cancelAfterMs: fc.option(fc.nat(1000)),
  }),
  { minLength: 1, maxLength: 12, size: 'max' },
)

const arbitraryFaults = fc.array(
  fc.record({ atMs: fc.nat(3000), index: fc.nat(8), kind: fc.constantFrom('crash', 'drain') }),
  { maxLength: 4, size: 'max' },
)

test('whatever happens, every job ends once, by its deadline, within its attempts', () => {
  fc.assert(
    fc.property(arbitraryMesh, arbitraryJobs, arbitraryFaults, (init, jobs, faults) => {
      const mesh = createMemoryMesh(init)
      for (const { atMs, index, kind } of faults) {
        const provider = mesh.providers[index]
        if (provider === undefined) continue
        mesh.time.at(atMs, () => (kind === 'crash' ? mesh.crash(provider) : mesh.drain(provider)))
      }
      for (const [number, { atMs, cancelAfterMs, ...job }] of jobs.entries()) {
        const id = `job-${number}`
        mesh.time.at(atMs, () => {
          const outcome = mesh.submit({ id, ...job })
          mesh.time.at(atMs + job.timeoutMs + 1, () => assert.ok(outcome.closedAtMs !== undefined, id))
        })
        if (cancelAfterMs !== null) mesh.time.at(atMs + cancelAfterMs, () => mesh.cancel(id))
      }
      mesh.finish(10_000)
    }),
    { numRuns: 200 },
  )
})

test('no honest provider is ever held to have lied, and no liar to have agreed, while liars are few', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 2, max: 6 }), fc.boolean(), (seed, honest, lossy) => {
      const behaviours = [...new Array<MemoryBehaviour>(honest).fill('honest'), 'lying' as const]
      const mesh = createMemoryMesh({ seed, behaviours, loss: lossy ? 0.1 : 0 })
      const outcomes = Array.from({ length: 4 }, () => mesh.submit({ replicas: 3 }))
      mesh.finish(10_000)
      for (const { accepted, failure, evidence } of outcomes) {
        if (failure === undefined) assert.is(accepted, 0)
        else assert.ok(lossy, failure.message)
        for (const { provider, evidence: kind } of evidence) {
          const lied = provider === mesh.providers[honest]
          assert.not(lied ? kind === 'agreed' : kind === 'disagreed', `${provider} ${kind}`)
        }
      }
    }),
    { numRuns: 100 },
  )
})

test('no job is lost when a provider dies at any moment, as long as others remain', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(300), fc.constantFrom('crash', 'drain'), (seed, atMs, kind) => {
      const mesh = createMemoryMesh({
        seed,
        behaviours: ['honest', 'honest', 'honest', 'honest'],
        batching: true,
      })
      const outcomes = Array.from({ length: 10 }, () => mesh.submit({ replicas: 3 }))
      const victim = mesh.providers[0]!
      mesh.time.at(atMs, () => (kind === 'crash' ? mesh.crash(victim) : mesh.drain(victim)))
      mesh.finish(10_000)
      for (const { accepted, failure, evidence } of outcomes) {
        assert.is(failure, undefined, failure?.message)
        assert.is(accepted, 0)
        assert.ok(
          evidence.every((entry) => entry.evidence === 'agreed'),
          'a death is nobody’s fault',
        )
      }
    }),
  )
})

test('a crowd of jobs is spread over all providers', () => {
  const mesh = createMemoryMesh({ seed: 5, behaviours: new Array<MemoryBehaviour>(8).fill('honest') })
  for (let job = 0; job < 80; job++) mesh.submit({ replicas: 1, timeoutMs: 20_000 })
  mesh.finish(20_000)
  for (const [provider, executions] of mesh.executions) {
    assert.ok(executions.length >= 6 && executions.length <= 14, `${provider} ran ${executions.length} of 80`)
  }
})

test.run()
