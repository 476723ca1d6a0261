/** When those who have committed are asked for their answers. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { InferenceError } from '../../protocols/inference/index.ts'
import { createCommitBarrier, type Seat } from '../../src/node/commit-barrier.ts'
import { createManualClock } from '../fixtures/manual-clock.ts'

const WINDOW_MS = 1_000

function scene() {
  const clock = createManualClock()
  const barrier = createCommitBarrier(clock)
  const passed: string[] = []
  const commit = (name: string, seat: Seat) =>
    seat.committed().then(
      () => void passed.push(name),
      (error: unknown) => void passed.push(`${name}: ${(error as InferenceError).code}`),
    )
  return { clock, join: (windowMs = WINDOW_MS) => barrier.join(windowMs), passed, commit }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('nobody is asked before all that were asked together have committed', async () => {
  const { join, passed, commit, clock } = scene()
  const [a, b, c] = [join(), join(), join()]
  commit('a', a!)
  commit('b', b!)
  await settled()
  assert.equal(passed, [])
  commit('c', c!)
  await settled()
  assert.equal(passed, ['a', 'b', 'c'])
  assert.is(clock.pending, 0)
})

test('who has failed or is gone is not waited for', async () => {
  const { join, passed, commit } = scene()
  const [a, b, c] = [join(), join(), join()]
  b!.leave()
  commit('a', a!)
  await settled()
  assert.equal(passed, [])
  c!.leave()
  c!.leave()
  await settled()
  assert.equal(passed, ['a'])
})

test('one that says nothing holds the others up until its time is over, and is not let in afterwards', async () => {
  const { join, passed, commit, clock } = scene()
  const [a, silent] = [join(), join()]
  assert.is(silent!.withinMs, WINDOW_MS)
  commit('a', a!)
  clock.advance(WINDOW_MS - 1)
  await settled()
  assert.equal(passed, [])
  clock.advance(1)
  await settled()
  assert.equal(passed, ['a'])
  commit('silent', silent!)
  await settled()
  assert.equal(passed, ['a', 'silent: timeout'])
})

test('who is asked later is waited for by nobody, waits for nobody, and has its whole time', async () => {
  const { join, passed, commit, clock } = scene()
  const [a, b] = [join(), join()]
  await settled()
  clock.advance(WINDOW_MS - 10)
  const later = join(500)
  assert.is(later.withinMs, 500)
  commit('a', a!)
  commit('b', b!)
  await settled()
  assert.equal(passed, ['a', 'b'])
  commit('later', later)
  await settled()
  assert.equal(passed, ['a', 'b', 'later'])
  assert.is(clock.pending, 0)
})

test('one that fails at once does not open the barrier for who joins in the same moment', async () => {
  const { join, passed, commit } = scene()
  const a = join()
  a.leave()
  const b = join()
  const c = join()
  commit('b', b)
  await settled()
  assert.equal(passed, [])
  commit('c', c)
  await settled()
  assert.equal(passed, ['b', 'c'])
})

test('one alone waits for nobody', async () => {
  const { join, passed, commit } = scene()
  commit('a', join())
  await settled()
  assert.equal(passed, ['a'])
})

test('in whatever order they commit, fail or stay silent: nobody passes before the last of the others, everybody in time', async () => {
  const fates = fc.array(fc.constantFrom('commits', 'fails', 'silent'), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(fates, fc.infiniteStream(fc.nat(1_000)), async (all, keys) => {
      const { join, passed, commit, clock } = scene()
      const seats = all.map((fate) => ({ fate, seat: join() }))
      const order = seats.map((entry) => ({ ...entry, key: keys.next().value as number }))
      order.sort((left, right) => left.key - right.key)
      const live = order.filter(({ fate }) => fate !== 'silent')
      const isSilent = live.length < order.length
      for (const [at, { fate, seat }] of live.entries()) {
        if (fate === 'fails') seat.leave()
        else commit('a', seat)
        await settled()
        const isLast = at === live.length - 1 && !isSilent
        if (!isLast) assert.equal(passed, [], `${at} of ${all}`)
      }
      clock.advance(WINDOW_MS)
      await settled()
      assert.is(passed.length, all.filter((fate) => fate === 'commits').length)
    }),
    { numRuns: 50 },
  )
})

test('an error that is told is one that the inference client passes on', async () => {
  const { join, clock } = scene()
  const [a] = [join(), join()]
  clock.advance(WINDOW_MS)
  try {
    await a!.committed()
    assert.unreachable()
  } catch (error) {
    assert.ok(error instanceof InferenceError && error.code === 'timeout')
  }
})

test.run()
