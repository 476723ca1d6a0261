import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createClock } from '../../src/simulator/clock.ts'

test('does what is due in the order of time, and of adding where that is equal', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (times) => {
      const clock = createClock()
      const done: (readonly [number, number])[] = []
      for (const [order, timeMs] of times.entries()) clock.at(timeMs, () => done.push([timeMs, order]))
      while (clock.step());
      const expected = times.map((timeMs, order) => [timeMs, order] as const)
      assert.equal(
        done,
        expected.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]),
      )
      assert.is(clock.events, times.length)
    }),
  )
})

test('what was taken back is not done, and time does not stop for it', () => {
  const clock = createClock()
  const done: string[] = []
  const alarm = clock.at(5, () => done.push('taken back'))
  clock.at(7, () => done.push('kept'))
  alarm.cancel()
  assert.is(clock.step(), true)
  assert.equal([done, clock.nowMs, clock.events], [['kept'], 7, 1])
  assert.is(clock.step(), false)
})

test('nothing is done before now', () => {
  const clock = createClock()
  clock.at(10, () => clock.at(3, () => assert.is(clock.nowMs, 10)))
  while (clock.step());
  assert.is(clock.events, 2)
})

test.run()
