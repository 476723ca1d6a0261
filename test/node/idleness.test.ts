import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ProcessorTimes, untilIdle } from '../../src/node/idleness.ts'

const unstopped = new AbortController().signal

/** Looks at a machine of which each interval was idle by one of `shares`; resolves with how many intervals it took. */
async function looks(shares: readonly number[]): Promise<number> {
  let [idle, all, count] = [5_000, 1e6, 0]
  await untilIdle(unstopped, {
    intervalMs: 1000,
    read: (): ProcessorTimes => ({ idle, all }),
    pause: async (ms) => {
      assert.ok(count < shares.length, 'it was idle already')
      all += 2 * ms
      idle += 2 * ms * shares[count++]!
    },
  })
  return count
}

test('the machine is idle once three quarters of its time from one look to the next were spare', async () => {
  assert.is(await looks([0.75]), 1)
  assert.is(await looks([0, 0.2, 0.74, 0.8]), 4)
})

test('where no times are told there is nothing to wait for', async () => {
  await untilIdle(unstopped, { read: () => ({ idle: 0, all: 0 }), pause: async () => {} })
})

test('whoever stops waits no longer', async () => {
  const stopping = new AbortController()
  const waiting = untilIdle(stopping.signal, { intervalMs: 60_000 })
  stopping.abort(new Error('stopped'))
  await waiting.then(
    () => assert.unreachable('a machine that nobody looked at is not idle'),
    () => {},
  )
})

test.run()
