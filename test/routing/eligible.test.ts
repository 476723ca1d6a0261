import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Candidate, canServe, createEstimate, timely } from '../../src/routing/index.ts'

function candidate(provider: string, changes: Partial<Candidate> = {}): Candidate {
  return {
    provider,
    group: provider,
    load: undefined,
    rttMs: 0,
    serviceMs: 100,
    outstanding: 0,
    notBeforeMs: 0,
    ...changes,
  }
}

/** `queued` of ten. */
function load(queued: number): Candidate['load'] {
  return { running: 0, queued, capacity: 10, serviceMs: 100 }
}

function queuing(provider: string, queued: number, serviceMs = 100): Candidate {
  return candidate(provider, { load: load(queued), serviceMs })
}

function names(candidates: readonly Candidate[], withinMs: number, atLeast = 1): string {
  const expectedMs = createEstimate(candidates)
  return timely(candidates, { withinMs, atLeast, expectedMs })
    .map(({ provider }) => provider)
    .join('')
}

test('who announces other lanes only cannot serve the lane; who announces none may', () => {
  const needs = { lane: 'exact' }
  assert.not.ok(canServe(candidate('a', { lanes: ['native'] }), needs))
  assert.not.ok(canServe(candidate('b', { lanes: [] }), needs))
  assert.ok(canServe(candidate('c', { lanes: ['native', 'exact'] }), needs))
  assert.ok(canServe(candidate('d'), needs))
})

test('a class of instructions that is asked for must be announced; else any will do', () => {
  const needs = { lane: 'native', instructionSet: 'x64-avx2' }
  assert.ok(canServe(candidate('a', { instructionSet: 'x64-avx2' }), needs))
  assert.not.ok(canServe(candidate('b', { instructionSet: 'x64-avx512' }), needs))
  assert.not.ok(canServe(candidate('c'), needs))
  assert.ok(canServe(candidate('b', { instructionSet: 'x64-avx512' }), { lane: 'native' }))
})

test('who cannot be done by the deadline is dropped where others can', () => {
  const all = [queuing('a', 5), queuing('b', 0), queuing('c', 0, 900)]
  assert.is(names(all, 500), 'b')
  assert.is(names(all, 700), 'ab')
  assert.is(names(all, 1000), 'abc')
})

test('where nobody can be done by the deadline, the least late is asked', () => {
  const all = [queuing('a', 5), queuing('b', 0), queuing('c', 0, 900)]
  assert.is(names(all, 50), 'b')
  assert.is(names(all, 50, 2), 'ab')
  assert.is(names(all, 50, 9), 'abc')
})

test('who says that it is full is asked last', () => {
  const all = [queuing('a', 10), queuing('b', 9, 500)]
  assert.is(names(all, 60_000), 'b')
  assert.is(names(all, 1000), 'b')
  assert.is(names(all, 60_000, 2), 'ab')
  assert.is(names(all.slice(0, 1), 60_000), 'a')
})

test('as many are left as are wanted, and nobody in time is dropped for somebody late', () => {
  const someone = fc.record({
    queued: fc.integer({ min: 0, max: 12 }),
    serviceMs: fc.integer({ min: 1, max: 2000 }),
  })
  fc.assert(
    fc.property(fc.array(someone, { maxLength: 12 }), fc.nat(3000), fc.nat(6), (crowd, withinMs, atLeast) => {
      const candidates = crowd.map(({ queued, serviceMs }, index) => queuing(`p${index}`, queued, serviceMs))
      const expectedMs = createEstimate(candidates)
      const left = timely(candidates, { withinMs, atLeast, expectedMs })
      assert.ok(left.length >= Math.min(atLeast, candidates.length))
      const isInTime = (one: Candidate) => one.load!.queued < 10 && expectedMs(one) <= withinMs
      const punctual = candidates.filter(isInTime)
      assert.ok(punctual.every((one) => left.includes(one)))
      assert.ok(left.length <= Math.max(punctual.length, atLeast))
      assert.equal(
        left,
        candidates.filter((one) => left.includes(one)),
      )
    }),
  )
})

test.run()
