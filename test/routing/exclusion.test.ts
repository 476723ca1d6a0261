import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createExclusion } from '../../src/routing/index.ts'

test('knows what was added, and says whether it was new', () => {
  const exclusion = createExclusion(3)
  assert.ok(exclusion.add('a'))
  assert.not(exclusion.add('a'))
  assert.ok(exclusion.has('a'))
  assert.not(exclusion.has('b'))
  assert.is(exclusion.size, 1)
})

test('a flood of keys pushes out none that is met again', () => {
  const exclusion = createExclusion(10)
  exclusion.add('condemned')
  exclusion.add('forgotten')
  for (let key = 0; key < 100; key++) {
    exclusion.add(`flood ${key}`)
    assert.ok(exclusion.has('condemned'))
  }
  assert.not(exclusion.has('forgotten'))
})

test('never holds more than it may, nor forgets while there is room', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.constantFrom(...'abcdefgh')), (max, keys) => {
      const exclusion = createExclusion(max)
      for (const key of keys) {
        exclusion.add(key)
        assert.ok(exclusion.has(key))
      }
      assert.is(exclusion.size, Math.min(max, new Set(keys).size))
    }),
  )
})

test.run()
