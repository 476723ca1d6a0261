import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRandom, drawAcrossGroups } from '../../src/routing/index.ts'

const member = (provider: string, group: string) => ({ provider, group })

test('everybody is drawn, once, and groups take turns', () => {
  const values = fc.array(fc.record({ provider: fc.uuid(), group: fc.constantFrom('a', 'b', 'c', 'd') }), {
    maxLength: 30,
  })
  fc.assert(
    fc.property(values, fc.integer(), (all, seed) => {
      const order = drawAcrossGroups(all, createRandom(seed))
      assert.equal(new Set(order), new Set(all))
      assert.is(order.length, all.length)
      // Nobody comes before all other groups have had as many places as its own had, as far as they have members.
      const places = new Map<string, number>()
      const sizes = Map.groupBy(all, ({ group }) => group)
      for (const { group } of order) {
        const had = places.get(group) ?? 0
        for (const [other, members] of sizes) {
          assert.ok((places.get(other) ?? 0) >= Math.min(had, members.length), `${other} waits for ${group}`)
        }
        places.set(group, had + 1)
      }
    }),
  )
})

test('one owner with many keys is drawn as often as one with a single key', () => {
  const owner = Array.from({ length: 60 }, (_, key) => member(`sybil ${key}`, 'owner'))
  const others = [1, 2, 3, 4].map((key) => member(`honest ${key}`, `group ${key}`))
  const all = [...owner, ...others]
  const random = createRandom(7)
  const draws = 5_000
  let first = 0
  let both = 0
  for (let draw = 0; draw < draws; draw++) {
    const order = drawAcrossGroups(all, random)
    const two = order.slice(0, 2).map(({ group }) => group)
    if (two[0] === 'owner') first++
    if (two.every((group) => group === 'owner')) both++
  }
  // A fifth of the draws; five standard deviations are 0.028.
  assert.ok(Math.abs(first / draws - 0.2) < 0.028, `${first} of ${draws}`)
  assert.is(both, 0)
})

test('within a group each key is drawn as often as any other, wherever it stands', () => {
  const all = Array.from({ length: 5 }, (_, key) => member(`key ${key}`, 'owner'))
  const random = createRandom(11)
  const draws = 5_000
  const firsts = new Map<string, number>()
  for (let draw = 0; draw < draws; draw++) {
    const { provider } = drawAcrossGroups(all, random)[0]!
    firsts.set(provider, (firsts.get(provider) ?? 0) + 1)
  }
  for (const { provider } of all) {
    const share = (firsts.get(provider) ?? 0) / draws
    assert.ok(Math.abs(share - 0.2) < 0.028, `${provider}: ${share}`)
  }
})

test('the order in which offers came decides nothing', () => {
  const all = Array.from({ length: 8 }, (_, key) => member(`key ${key}`, `group ${key}`))
  const count = (values: typeof all) => {
    const random = createRandom(13)
    let first = 0
    for (let draw = 0; draw < 4_000; draw++) {
      if (drawAcrossGroups(values, random)[0]!.provider === 'key 0') first++
    }
    return first / 4_000
  }
  // An eighth each; five standard deviations are 0.026.
  for (const share of [count(all), count(all.toReversed())]) {
    assert.ok(Math.abs(share - 0.125) < 0.026, String(share))
  }
})

test.run()
