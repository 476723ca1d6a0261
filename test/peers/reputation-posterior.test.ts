import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createPosterior,
  logUniform,
  NEWCOMER,
  REPUTATION_PARAMS,
  type TrackRecord,
} from '../../peers/reputation/index.ts'

const { saboteurShare, rates } = REPUTATION_PARAMS
const { saboteur, wrong } = createPosterior(REPUTATION_PARAMS)
const MEAN_RATE = rates.reduce((sum, { rate, weight }) => sum + rate * weight, 0)

const known = (checked: number, suspicion = 0): TrackRecord => ({ checked, streak: checked, suspicion })
const near = (actual: number, expected: number, what = '') =>
  assert.ok(Math.abs(actual - expected) <= 1e-12 + 1e-9 * expected, `${what}: ${actual}, not ${expected}`)
const arbitraryRecord = fc.record({
  checked: fc.double({ min: 0, max: 1000, noNaN: true }),
  streak: fc.nat(1000),
  suspicion: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 30, noNaN: true }), fc.constant(Infinity)),
})

test('a newcomer is a saboteur as often as new keys are, and wrong alone as often as those lie', () => {
  near(saboteur(NEWCOMER), saboteurShare)
  near(wrong([NEWCOMER]), saboteurShare * MEAN_RATE)
})

test('newcomers that agree are one coalition: the chance that it lies is counted once, not once each', () => {
  for (let count = 1; count <= 16; count++)
    near(wrong(Array(count).fill(NEWCOMER)), saboteurShare ** count * MEAN_RATE, `${count}`)
  assert.ok(wrong([NEWCOMER, NEWCOMER]) > wrong([NEWCOMER]) ** 2 * 3)
})

test('an answer that nobody gives is wrong', () => {
  assert.is(wrong([]), 1)
})

test('with one rate the odds shrink by (1 - s) with each checked run, and grow by what speaks against', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 0.9, noNaN: true }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.nat(100),
      fc.double({ min: 0, max: 5, noNaN: true }),
      (share, rate, runs, suspicion) => {
        const single = createPosterior({ saboteurShare: share, rates: [{ rate, weight: 1 }] })
        const odds = (share / (1 - share)) * (1 - rate) ** runs * Math.exp(suspicion)
        near(single.saboteur(known(runs, suspicion)), odds / (1 + odds), 'saboteur')
        near(single.wrong([known(runs, suspicion)]), (rate * odds) / (1 + odds), 'wrong')
      },
    ),
  )
})

test('more checked runs never make anybody more doubtful, and more against it never less', () => {
  fc.assert(
    fc.property(arbitraryRecord, fc.double({ min: 0, max: 100, noNaN: true }), (record, more) => {
      const better = { ...record, checked: record.checked + more }
      const worse = { ...record, suspicion: record.suspicion + more }
      for (const [low, high] of [
        [better, record],
        [record, worse],
      ] as const) {
        assert.ok(saboteur(low) <= saboteur(high) + 1e-15)
        assert.ok(wrong([low]) <= wrong([high]) + 1e-15)
      }
    }),
  )
})

test('one more who agrees never makes an answer more doubtful, and is never worth as much as a stranger to the rest', () => {
  fc.assert(
    fc.property(fc.array(arbitraryRecord, { minLength: 1, maxLength: 6 }), arbitraryRecord, (group, one) => {
      const together = wrong([...group, one])
      assert.ok(together >= 0 && together <= wrong(group) + 1e-15)
      assert.ok(together >= wrong(group) * wrong([one]) - 1e-15)
    }),
  )
})

test('whose lie was proved adds nothing to those who agree with it', () => {
  const liar = known(500, Infinity)
  assert.is(saboteur(liar), 1)
  near(wrong([known(3), liar]), wrong([known(3)]))
  near(wrong([liar]), MEAN_RATE)
})

test('the order of those who agree does not matter', () => {
  fc.assert(
    fc.property(fc.array(arbitraryRecord, { minLength: 2, maxLength: 6 }), (group) => {
      near(wrong(group.toReversed()), wrong(group))
    }),
  )
})

test('the records that docs/replication.md names are the first that suffice', () => {
  for (const [risk, pair, alone] of [
    [1e-3, 13, 57],
    [2.5e-4, 39, 136],
  ] as const) {
    assert.ok(wrong([known(pair), known(pair)]) <= risk, `${risk}`)
    assert.ok(wrong([known(pair - 1), known(pair - 1)]) > risk, `${risk}`)
    assert.ok(wrong([known(alone)]) <= risk, `${risk}`)
    assert.ok(wrong([known(alone - 1)]) > risk, `${risk}`)
  }
})

test('rates that are log-uniform lie evenly by their logarithm, from end to end', () => {
  const list = logUniform(0.01, 0.99, 9)
  near(list[0]!.rate, 0.01)
  near(list.at(-1)!.rate, 0.99)
  near(
    list.reduce((sum, { weight }) => sum + weight, 0),
    1,
  )
  for (const [index, { rate }] of list.entries())
    if (index > 0) near(rate / list[index - 1]!.rate, 99 ** (1 / 8))
})

test.run()
