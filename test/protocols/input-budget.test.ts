import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createInputBudget, type InputBudget, type Reservation } from '../../protocols/inference/budget.ts'

const LIMITS = { peerInputBytesMax: 6_000_000, nodeInputBytesMax: 10_000_000 }

/** Requests of peers; who had to give way. */
function bench() {
  const budget: InputBudget = createInputBudget(LIMITS)
  const ended: string[] = []
  const ask = (peer: string, bytes: number, nowMs: number): Reservation | undefined => {
    const reserved = budget.reserve(peer, bytes, nowMs, () => ended.push(peer))
    return 'code' in reserved ? undefined : reserved
  }
  return { ask, ended }
}

test('memory is given by peer and in all, and given back once', () => {
  const { ask, ended } = bench()
  const first = ask('a', 6_000_000, 0)!
  assert.not(ask('a', 1, 0))
  assert.ok(ask('b', 4_000_000, 0))
  assert.not(ask('c', 1, 0))
  first.release()
  first.release()
  assert.ok(ask('c', 6_000_000, 0))
  assert.not(ask('a', 1, 0))
  assert.equal(ended, [])
})

test('a few keys that announce much and send little do not keep others out', () => {
  const { ask, ended } = bench()
  const [slow, slower] = [ask('slow', 5_000_000, 0)!, ask('slower', 5_000_000, 0)!]
  slow.received(2)
  slower.received(1)
  assert.not(ask('honest', 40, 999), 'nobody is slow before a second')
  assert.ok(ask('honest', 40, 1_000))
  assert.equal(ended, ['slower'], 'the slowest, and no more than need be')
  // What gave way gives nothing back a second time.
  slower.release()
  assert.ok(ask('honest', 4_999_960, 1_000))
  assert.equal(ended, ['slower'])
  assert.ok(ask('another', 1, 1_000))
  assert.equal(ended, ['slower', 'slow'])
})

test('whoever sends fast enough, or has sent all, never gives way', () => {
  const { ask, ended } = bench()
  ask('fast', 5_000_000, 0)!.received(256_000)
  ask('done', 5_000_000, 0)!.received(5_000_000)
  assert.not(ask('late', 1, 1_000))
  assert.not(ask('late', 1, 1_000))
  assert.equal(ended, [])
  assert.ok(ask('late', 1, 2_000), 'but not for ever')
  assert.equal(ended, ['fast'])
})

test('nobody gives way for a request that would not fit even so', () => {
  const { ask, ended } = bench()
  ask('slow', 4_000_000, 0)
  ask('done', 6_000_000, 0)!.received(6_000_000)
  assert.not(ask('late', 5_000_000, 5_000))
  assert.equal(ended, [])
  assert.ok(ask('late', 4_000_000, 5_000))
  assert.equal(ended, ['slow'])
})

test('who asks for more than a peer may have ends nobody', () => {
  const { ask, ended } = bench()
  ask('slow', 5_000_000, 0)
  ask('slower', 5_000_000, 0)
  assert.not(ask('greedy', 6_000_001, 5_000))
  assert.equal(ended, [])
})

test.run()
