import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Candidate,
  createEstimate,
  createRandom,
  type SelectOptions,
  selectProviders,
} from '../../src/routing/index.ts'
import { candidate } from '../fixtures/candidate.ts'

function load(queued: number, serviceMs: number): Candidate['load'] {
  return { running: 0, queued, capacity: 100, serviceMs }
}

function options(seed: number, changes: Partial<SelectOptions> = {}): SelectOptions {
  return { exclude: new Set(), nowMs: 1000, random: createRandom(seed), ...changes }
}

function share(candidates: readonly Candidate[], provider: string, changes?: Partial<SelectOptions>): number {
  const random = createRandom(1)
  const rounds = 500
  let taken = 0
  for (let round = 0; round < rounds; round++) {
    if (selectProviders(candidates, 1, options(0, { ...changes, random }))[0]?.provider === provider)
      taken += 1
  }
  return taken / rounds
}

test('takes each provider once, and no more than there are', () => {
  const candidates = [candidate('a'), candidate('b'), candidate('c'), candidate('a')]
  const chosen = selectProviders(candidates, 5, options(1)).map(({ provider }) => provider)
  assert.equal(chosen.sort(), ['a', 'b', 'c'])
})

test('leaves out the excluded and those that said busy', () => {
  const candidates = [
    candidate('a'),
    candidate('b', { notBeforeMs: 1001 }),
    candidate('c', { notBeforeMs: 1000 }),
  ]
  const chosen = selectProviders(candidates, 3, options(1, { exclude: new Set(['a']) }))
  assert.equal(
    chosen.map(({ provider }) => provider),
    ['c'],
  )
})

test('the same seed draws the same providers', () => {
  const candidates = Array.from({ length: 20 }, (_, index) => candidate(`p${index}`))
  const draw = (seed: number) => selectProviders(candidates, 3, options(seed)).map(({ provider }) => provider)
  assert.equal(draw(7), draw(7))
  assert.not.equal(draw(7), draw(8))
})

test('spreads over address groups before it doubles one', () => {
  const candidates = [
    ...Array.from({ length: 8 }, (_, index) => candidate(`a${index}`, { group: 'a' })),
    candidate('b', { group: 'b' }),
    candidate('c', { group: 'c' }),
  ]
  for (let seed = 0; seed < 20; seed++) {
    const groups = selectProviders(candidates, 3, options(seed)).map(({ group }) => group)
    assert.equal(groups.sort(), ['a', 'b', 'c'], `seed ${seed}`)
    const usedGroups = new Set(['a', 'b'])
    assert.is(selectProviders(candidates, 1, options(seed, { usedGroups }))[0]?.group, 'c', `seed ${seed}`)
    assert.is(selectProviders(candidates, 4, options(seed)).length, 4, 'doubles when it must')
  }
})

test('prefers the shorter queue, but not always: a stampede helps nobody', () => {
  const long = candidate('long', { load: load(10, 20), serviceMs: 20 })
  const short = candidate('short', { load: load(0, 20), serviceMs: 20 })
  const third = candidate('third', { load: load(5, 20), serviceMs: 20 })
  assert.is(share([long, short], 'short'), 1)
  const shares = share([long, short, third], 'short')
  assert.ok(shares > 0.55 && shares < 0.8, `two of three pairs hold it: ${shares}`)
  const uniform = share([long, short, third], 'short', { policy: 'random' })
  assert.ok(uniform > 0.25 && uniform < 0.42, `${uniform}`)
})

test('counts requests of our own that nobody has announced yet', () => {
  const both = { load: load(0, 20), serviceMs: 20 }
  assert.is(share([candidate('a', { ...both, outstanding: 3 }), candidate('b', both)], 'b'), 1)
})

test('our own measurement outweighs what a provider claims', () => {
  const boaster = candidate('boaster', { load: load(0, 1), serviceMs: 100 })
  const modest = candidate('modest', { load: load(0, 50), serviceMs: 50 })
  assert.is(share([boaster, modest], 'modest'), 1)
})

test('a claim in its own interest makes nobody better than the median', () => {
  const known = ['a', 'b', 'c'].map((name, index) =>
    candidate(name, { serviceMs: 50 + index, rttMs: 10, load: load(2, 50) }),
  )
  const boaster = candidate('boaster', { load: load(0, 0.001) })
  const median = createEstimate([...known, boaster])
  assert.is(median(boaster), median(known[1]!))
  const honest = candidate('honest', { load: load(9, 500) })
  assert.ok(createEstimate([...known, honest])(honest) > 4000, 'one against its interest is believed')
})

test('every selection is distinct, eligible and as large as possible', () => {
  const arbitrary = fc.uniqueArray(
    fc.record({
      provider: fc.constantFrom(...'abcdefghijklmnop'),
      group: fc.constantFrom('1', '2', '3'),
      notBeforeMs: fc.constantFrom(0, 2000),
      outstanding: fc.nat(5),
      serviceMs: fc.option(fc.nat(100), { nil: undefined }),
    }),
    { selector: ({ provider }) => provider },
  )
  fc.assert(
    fc.property(arbitrary, fc.nat(8), fc.nat(), (entries, count, seed) => {
      const candidates = entries.map(({ provider, ...changes }) => candidate(provider, changes))
      const exclude = new Set(['a', 'b'])
      const eligible = candidates.filter(
        ({ provider, notBeforeMs }) => !exclude.has(provider) && notBeforeMs === 0,
      )
      const chosen = selectProviders(candidates, count, options(seed, { exclude }))
      assert.is(new Set(chosen).size, chosen.length)
      assert.is(chosen.length, Math.min(count, eligible.length))
      assert.ok(chosen.every((entry) => eligible.includes(entry)))
    }),
  )
})

test('a generator is uniform, and its forks are not it', () => {
  const random = createRandom(3)
  const values = Array.from({ length: 10_000 }, () => random.next())
  assert.ok(values.every((value) => value >= 0 && value < 1))
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  assert.ok(Math.abs(mean - 0.5) < 0.01, `mean ${mean}`)
  const parent = createRandom(3)
  const fork = parent.fork()
  const next = Array.from({ length: 5 }, () => parent.next())
  assert.not(Array.from({ length: 5 }, () => fork.next()).some((value) => next.includes(value)))
})

test('who answers one job in four counts as four times as slow, and never as more than twenty times', () => {
  const slow = candidate('slow', { serviceMs: 300, rttMs: 0 })
  const fickle = (reliability: number) => candidate('fickle', { serviceMs: 100, rttMs: 0, reliability })
  assert.is(share([slow, fickle(0.25)], 'slow'), 1)
  assert.is(share([slow, fickle(0.5)], 'slow'), 0)
  const slower = candidate('slower', { serviceMs: 2100, rttMs: 0 })
  assert.is(share([slower, fickle(0)], 'slower'), 0)
})

test.run()
