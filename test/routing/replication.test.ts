import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createPosterior,
  NEWCOMER,
  REPUTATION_PARAMS,
  type TrackRecord,
} from '../../peers/reputation/index.ts'
import { createDoubt, wrongAmong } from '../../src/routing/index.ts'

const { wrong } = createPosterior(REPUTATION_PARAMS)
const known = (checked: number): TrackRecord => ({ checked, streak: checked, suspicion: 0 })
const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual}, not ${expected}`)

test('an answer is served when it is wrong with no more than the risk, to the last provider', () => {
  for (const risk of [0.05, 0.01, 1e-3, 1e-5]) {
    const { isEnough } = createDoubt({ risk, floorRate: 0 }, REPUTATION_PARAMS)
    for (let count = 1; count <= 16; count++) {
      const group = Array<TrackRecord>(count).fill(NEWCOMER)
      assert.is(isEnough(group, 0.5), wrong(group) <= risk, `${count} at ${risk}`)
    }
  }
})

test('one provider is enough only above the floor, two are whatever is drawn, nobody never is', () => {
  const { isEnough } = createDoubt({ risk: 0.01, floorRate: 0.03 }, REPUTATION_PARAMS)
  assert.not.ok(isEnough([known(500)], 0))
  assert.not.ok(isEnough([known(500)], 0.0299))
  assert.ok(isEnough([known(500)], 0.03))
  assert.ok(isEnough([known(500), known(500)], 0))
  assert.not.ok(isEnough([], 0.99))
  const always = createDoubt({ risk: 0.01, floorRate: 1 }, REPUTATION_PARAMS)
  assert.not.ok(always.isEnough([known(500)], 0.999_999))
})

test('a smaller risk never makes fewer enough', () => {
  const record = fc.record({ checked: fc.nat(300), streak: fc.constant(0), suspicion: fc.nat(6) })
  const risk = fc.double({ min: 1e-9, max: 0.5, noNaN: true })
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 8 }),
      risk,
      risk,
      fc.double({ min: 0, max: 1 }),
      (group, a, b, draw) => {
        const [strict, lax] = [Math.min(a, b), Math.max(a, b)].map((each) =>
          createDoubt({ risk: each, floorRate: 0.03 }, REPUTATION_PARAMS),
        )
        if (strict!.isEnough(group, draw)) assert.ok(lax!.isEnough(group, draw))
        assert.is(strict!.wrong?.(group), wrong(group))
      },
    ),
  )
})

test('of answers that differ, each is right as far as it is credible and the others are not', () => {
  const chance = (lies: readonly number[]) =>
    wrongAmong(
      lies.map(() => [NEWCOMER]),
      (() => {
        let at = 0
        return () => lies[at++]!
      })(),
    )
  near(chance([0.1]), 0.1)
  near(chance([0.1, 0.1]), 1 - 0.09 / 0.19)
  near(chance([0.01, 0.1]), 1 - 0.099 / 0.109)
  near(chance([0, 0.5]), 0)
  near(chance([0.2, 0.2, 0.2]), 1 - 0.032 / (3 * 0.032 + 0.008))
  near(chance([1, 1]), 1)
  assert.is(wrongAmong([], wrong), 1)
})

test('whoever contradicts an answer makes it more doubtful, a known one more than a stranger', () => {
  const group = [known(100), known(100)]
  const alone = wrong(group)
  const doubted = wrongAmong([group, [NEWCOMER]], wrong)
  const shaken = wrongAmong([group, [known(100)]], wrong)
  assert.ok(alone < doubted && doubted < shaken && shaken < 0.5)
  const { prevails } = createDoubt({ risk: (doubted + shaken) / 2, floorRate: 0 }, REPUTATION_PARAMS)
  assert.ok(prevails([group, [NEWCOMER]], 0))
  assert.not.ok(prevails([group, [known(100)]], 0))
  assert.not.ok(prevails([[NEWCOMER], group], 0))
})

test.run()
