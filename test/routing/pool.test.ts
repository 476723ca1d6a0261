import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createPosterior,
  NEWCOMER,
  REPUTATION_PARAMS,
  type TrackRecord,
} from '../../peers/reputation/index.ts'
import {
  type Candidate,
  createRandom,
  createRank,
  type PoolOptions,
  poolOf,
} from '../../src/routing/index.ts'
import { candidate as unknown } from '../fixtures/candidate.ts'

function candidate(provider: string, record?: Partial<TrackRecord>): Candidate {
  return unknown(provider, record === undefined ? {} : { record: { ...NEWCOMER, ...record } })
}

const options = (changes: Partial<PoolOptions> = {}): PoolOptions => ({
  size: 3,
  newcomerShare: 0,
  rank: createRank(7),
  shunnedAt: REPUTATION_PARAMS.shunnedAt,
  posterior: createPosterior(REPUTATION_PARAMS),
  random: createRandom(1),
  ...changes,
})
const names = (pool: readonly Candidate[]) => pool.map(({ provider }) => provider).sort()
const strangers = (count: number) => Array.from({ length: count }, (_, index) => candidate(`s${index}`))

test('those of whom most is known are worked with', () => {
  const known = [5, 80, 20, 90].map((checked) => candidate(`k${checked}`, { checked }))
  assert.equal(names(poolOf([...strangers(50), ...known], options())), ['k20', 'k80', 'k90'])
})

test('whom something speaks against comes after strangers, however much was checked', () => {
  const doubted = candidate('d', { checked: 500, suspicion: 1 })
  assert.not.ok(names(poolOf([doubted, ...strangers(3)], options())).includes('d'))
  assert.ok(names(poolOf([doubted, ...strangers(2)], options())).includes('d'))
})

test('among equals the order is secret, and the same for every job', () => {
  const crowd = strangers(200)
  const circle = names(poolOf(crowd, options()))
  assert.equal(names(poolOf(crowd.toReversed(), options({ random: createRandom(9) }))), circle)
  const others = new Set(
    Array.from({ length: 20 }, (_, seed) => names(poolOf(crowd, options({ rank: createRank(seed) }))).join()),
  )
  assert.ok(others.size > 15, 'another requester works with others')
})

test('who is shunned is left out where others are left, and only the least doubted asked where none are', () => {
  const shunned = [6, 7, 6].map((suspicion, index) => candidate(`x${index}`, { suspicion }))
  const condemned = candidate('liar', { suspicion: Number.POSITIVE_INFINITY })
  assert.equal(names(poolOf([...shunned, condemned, candidate('s')], options())), ['s'])
  assert.equal(names(poolOf([...shunned, condemned], options())), ['x0', 'x2'])
  assert.equal(names(poolOf([condemned], options())), ['liar'])
  assert.equal(poolOf([], options()), [])
})

test('a share of draws goes to those outside the circle, and to nobody in it', () => {
  const crowd = [...strangers(20), candidate('k', { checked: 5 })]
  const random = createRandom(3)
  let outside = 0
  for (let draw = 0; draw < 2000; draw++) {
    const pool = poolOf(crowd, options({ size: 1, newcomerShare: 0.1, random }))
    if (pool.length > 1) {
      outside += 1
      assert.not.ok(names(pool).includes('k'))
    } else assert.equal(names(pool), ['k'])
  }
  // Four standard deviations.
  assert.ok(Math.abs(outside - 200) < 4 * Math.sqrt(2000 * 0.1 * 0.9), `${outside}`)
})

test('where there is room for all, all are worked with', () => {
  assert.is(poolOf(strangers(3), options({ newcomerShare: 1 })).length, 3)
})

test('a pool is never empty, holds nobody twice and only those who offered themselves', () => {
  const someone = fc.record({ checked: fc.nat(100), suspicion: fc.constantFrom(0, 0.1, 3, 8, Infinity) })
  fc.assert(
    fc.property(
      fc.array(someone, { minLength: 1, maxLength: 30 }),
      fc.integer(),
      fc.double({ min: 0, max: 1 }),
      (crowd, seed, newcomerShare) => {
        const candidates = crowd.map((record, index) => candidate(`p${index}`, record))
        const pool = poolOf(candidates, options({ newcomerShare, random: createRandom(seed) }))
        assert.ok(pool.length > 0)
        assert.is(new Set(pool).size, pool.length)
        assert.ok(pool.every((one) => candidates.includes(one)))
      },
    ),
  )
})

test.run()
