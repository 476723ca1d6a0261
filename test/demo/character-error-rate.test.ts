import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { characterErrorRate } from '../../src/demo/character-error-rate.ts'

test('counts insertions, deletions and replacements against the expected length', () => {
  assert.is(characterErrorRate('whale', 'whole'), 1 / 5)
  assert.is(characterErrorRate('whale', 'whales'), 1 / 5)
  assert.is(characterErrorRate('whale', 'wale'), 1 / 5)
  assert.is(characterErrorRate('ab', 'xyz'), 3 / 2)
  assert.is(characterErrorRate('kitten', 'sitting'), 3 / 6)
})

test('white space does not count', () => {
  assert.is(characterErrorRate('call me\n\nIshmael', ' callmeIsh\tmael '), 0)
})

test('a character outside of the basic plane is one character', () => {
  assert.is(characterErrorRate('🐋a', '🐟a'), 1 / 2)
})

test('nothing expected is right only when nothing is read', () => {
  assert.is(characterErrorRate('', ' \n'), 0)
  assert.is(characterErrorRate('', 'a'), Infinity)
})

test('is 0 of equal texts, at most 1 of texts that are not longer, and symmetric for equal lengths', () => {
  const texts = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      const [left, right] = [a.join(''), b.join('')]
      assert.is(characterErrorRate(left, left), 0)
      assert.ok(characterErrorRate(left, right) <= 1)
      assert.is(characterErrorRate(left, right), characterErrorRate(right, left))
    }),
  )
})

test.run()
