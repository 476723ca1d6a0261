import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SERVICE_SAMPLES } from '../../src/provider/constants.ts'
import { createServiceTimes } from '../../src/provider/service-times.ts'
import { createRandom } from '../../src/routing/index.ts'

test('before anything is measured the guess stands', () => {
  const times = createServiceTimes(70)
  assert.equal([times.executionMs, times.jobMs], [70, 70])
})

test('what is told is the median of the latest executions, equal ones and bursts included', () => {
  const random = createRandom(1)
  const times = createServiceTimes(70)
  const seen: number[] = []
  for (let index = 0; index < 500; index++) {
    seen.push(Math.floor(random.next() * 12))
    times.add(seen.at(-1)!, 2)
    const latest = seen.slice(-SERVICE_SAMPLES).sort((a, b) => a - b)
    const median = latest[Math.floor((latest.length - 1) / 2)]!
    assert.equal([times.executionMs, times.jobMs], [median, median / 2], `after ${index + 1}`)
  }
})

test.run()
