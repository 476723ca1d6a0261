import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRandom, createShares } from '../../src/routing/index.ts'

test('nobody gets more than its share of all executions, beyond the first few', () => {
  const [cap, slack] = [0.1, 5]
  const shares = createShares(cap, slack)
  const random = createRandom(1)
  const counts = new Map<string, number>()
  let total = 0
  for (let draw = 0; draw < 5000; draw++) {
    // The first is drawn ten times as often as others.
    const provider = `p${Math.floor(random.next() * 24) % 15}`
    if (shares.isFull(provider)) continue
    shares.add(provider, 1)
    counts.set(provider, (counts.get(provider) ?? 0) + 1)
    total += 1
    assert.ok(counts.get(provider)! <= Math.max(slack, cap * total), `${provider} at ${total}`)
  }
  assert.ok(total > 1000)
})

test('the first few are always allowed, so that a requester with few jobs is not kept from anybody', () => {
  const shares = createShares(0.01, 3)
  for (let run = 0; run < 3; run++) {
    assert.not.ok(shares.isFull('only one'))
    shares.add('only one', 1)
  }
  assert.ok(shares.isFull('only one'))
  assert.not.ok(shares.isFull('another'))
})

test('what was long ago counts less and less', () => {
  const shares = createShares(0.1, 8)
  shares.add('early', 30_000)
  assert.ok(shares.isFull('early'))
  for (let run = 0; run < 60_000; run++) shares.add(`p${run % 20}`, 1)
  assert.not.ok(shares.isFull('early'))
})

test.run()
