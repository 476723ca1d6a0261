import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createEphemeralIdentity } from '../../peers/identity/index.ts'
import { type MeasuredConnection, measureRoundTrips } from '../../peers/mesh/round-trips.ts'
import { createManualClock } from '../fixtures/manual-clock.ts'

const { peerId } = await createEphemeralIdentity()

/** A host with one connection, whose pings take ever less, and what the book was told. */
function createBench() {
  const clock = createManualClock()
  const stopping = new AbortController()
  const connection = { id: 'c', remotePeer: peerId, rtt: undefined, status: 'open' } as {
    -readonly [Key in keyof MeasuredConnection]: MeasuredConnection[Key]
  }
  const told: number[] = []
  let pings = 0
  const measure = measureRoundTrips({
    host: {
      getConnections: () => [connection],
      services: { ping: { ping: async () => 100 - ++pings } },
    },
    book: { rttMeasured: (_peer, rttMs) => void told.push(rttMs) },
    clock: { now: clock.now, after: (delayMs, task) => clock.schedule(task, delayMs) },
    log: { debug() {}, info() {}, warn() {} },
    signal: stopping.signal,
  })
  const advance = async (ms: number): Promise<void> => {
    clock.advance(ms)
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }
  return { clock, connection, told, measure, advance, stop: () => stopping.abort(new Error('stopped')) }
}

test('a new connection is pinged at once and twice more, and then as the monitor finds it', async () => {
  const { connection, told, measure, advance, stop } = createBench()
  measure(connection)
  await advance(0)
  assert.equal(told, [99])
  await advance(1000)
  await advance(4000)
  assert.equal(told, [99, 98, 97])
  connection.rtt = 7
  await advance(5000)
  await advance(10_000)
  assert.equal(told, [99, 98, 97, 7, 7])
  stop()
})

test('a peer that says who it is a hundred times is measured as often as any other', async () => {
  const { clock, connection, told, measure, advance, stop } = createBench()
  for (let time = 0; time < 100; time++) measure(connection)
  await advance(0)
  assert.is(clock.pending, 2)
  for (let second = 0; second < 9; second++) await advance(1000)
  assert.is(told.length, 3)
  stop()
})

test('what is closed is pinged no more, and nothing is left to wait for when the node stops', async () => {
  const closed = createBench()
  closed.measure(closed.connection)
  await closed.advance(0)
  closed.connection.status = 'closed'
  await closed.advance(1000)
  assert.equal(closed.told, [99])
  closed.stop()
  const stopped = createBench()
  stopped.measure(stopped.connection)
  await stopped.advance(0)
  stopped.stop()
  assert.is(stopped.clock.pending, 0)
})

test.run()
