import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { LedgerEntry } from '../../peers/reputation/index.ts'
import { joinEntries, mergeEntries } from '../../peers/reputation/merging.ts'
import { arbitraryEvidence, DAY_MS, entryOf, evidence } from '../fixtures/evidence.ts'

const START_MS = evidence().atMs

function assertAlike(actual: LedgerEntry, expected: LedgerEntry): void {
  const near = (left: number, right: number, what: string) =>
    assert.ok(Math.abs(left - right) <= 1e-9 * Math.max(1, Math.abs(right)), `${what}: ${left}, not ${right}`)
  near(actual.reliability, expected.reliability, 'reliability')
  // As of one moment: from when on a number has been halving is of no matter.
  const suspicion = ({ suspicion, atMs }: LedgerEntry) => suspicion * 2 ** (atMs / (90 * DAY_MS) - 300)
  near(suspicion(actual), suspicion(expected), 'suspicion')
  assert.equal(actual.counts, expected.counts)
  assert.equal(actual.condemned, expected.condemned)
  assert.equal(actual.recent, expected.recent)
  const names = (entry: LedgerEntry) => entry.classes.map(({ modelClass }) => modelClass).sort()
  assert.equal(names(actual), names(expected))
  for (const known of expected.classes) {
    const same = actual.classes.find(({ modelClass }) => modelClass === known.modelClass)!
    near(same.checked, known.checked, `checked of ${known.modelClass}`)
    assert.equal([same.streak, same.atMs], [known.streak, known.atMs])
  }
}

test('what is told in pieces comes to what one ledger would have seen', () => {
  fc.assert(
    fc.property(arbitraryEvidence(), fc.nat(), fc.nat(), (seen, first, second) => {
      const [a, b] = [first % (seen.length + 1), second % (seen.length + 1)].sort((x, y) => x - y)
      const pieces = [seen.slice(0, a), seen.slice(a, b), seen.slice(b)].filter((piece) => piece.length > 0)
      if (pieces.length === 0) return
      assertAlike(
        pieces.map(entryOf).reduce((kept, since) => mergeEntries(kept, since)),
        entryOf(seen),
      )
    }),
  )
})

test('of two processes that saw different runs nothing is lost, whichever tells first', () => {
  const runs = (count: number, from: number) =>
    Array.from({ length: count }, (_, run) =>
      evidence({ jobId: `${from + run}`, atMs: START_MS + from + run }),
    )
  const base = entryOf(runs(10, 0))
  const [one, other] = [entryOf(runs(5, 100)), entryOf(runs(7, 103))]
  for (const merged of [
    mergeEntries(mergeEntries(base, one), other),
    mergeEntries(mergeEntries(base, other), one),
  ]) {
    assert.ok(Math.abs(merged.classes[0]!.checked - 22) < 1e-6)
    assert.is(merged.classes[0]!.streak, 22)
    assert.is(merged.counts.agreed, 22)
  }
})

test('what one process holds against a provider forfeits what another one saw before it', () => {
  const trust = entryOf([evidence({ atMs: START_MS + 5 }), evidence({ atMs: START_MS + 6 })])
  const lie = entryOf([evidence({ kind: 'disagreed', atMs: START_MS + 10 })])
  for (const merged of [mergeEntries(trust, lie), mergeEntries(lie, trust), joinEntries(trust, lie)]) {
    assert.equal(merged.classes, [])
    assert.ok(merged.suspicion > 0)
  }
  const later = entryOf([evidence({ atMs: START_MS + 20 })])
  assert.is(mergeEntries(lie, later).classes[0]?.checked, 1)
})

test('that a process merely ran does not make what another holds against a provider younger', () => {
  const lie = entryOf([evidence({ kind: 'disagreed' })])
  const month = evidence({ atMs: START_MS + 90 * DAY_MS })
  const merged = mergeEntries(lie, entryOf([month]))
  const next = mergeEntries(merged, entryOf([{ ...month, atMs: month.atMs - 1 }]))
  assert.is(next.classes[0]?.streak, 2)
  assert.equal([merged.suspicion, merged.atMs], [lie.suspicion, lie.atMs])
})

test('what was proved stays proved, by the earlier proof', () => {
  const proof = (atMs: number) => entryOf([evidence({ kind: 'fraud-proof', atMs, jobId: `${atMs}` })])
  for (const both of [mergeEntries(proof(5), proof(3)), joinEntries(proof(3), proof(5))])
    assert.equal(both.condemned, { kind: 'fraud-proof', jobId: '3', atMs: 3 })
  const honest = entryOf([evidence()])
  assert.is(mergeEntries(proof(5), honest).condemned?.atMs, 5)
  assert.is(joinEntries(honest, proof(5)).condemned?.atMs, 5)
})

test('joining what was joined already changes nothing, and the order does not matter', () => {
  fc.assert(
    fc.property(arbitraryEvidence(), arbitraryEvidence(), (some, others) => {
      if (some.length === 0 || others.length === 0) return
      const [left, right] = [entryOf(some), entryOf(others)]
      const joined = joinEntries(left, right)
      assertAlike(joinEntries(joined, right), joined)
      assertAlike(joinEntries(joined, left), joined)
      assertAlike({ ...joinEntries(right, left), recent: joined.recent }, joined)
      assertAlike(joinEntries(left, left), left)
    }),
  )
})

test('joining never makes anybody more trusted than the better known of both, nor less suspected', () => {
  fc.assert(
    fc.property(arbitraryEvidence(), arbitraryEvidence(), (some, others) => {
      if (some.length === 0 || others.length === 0) return
      const [left, right] = [entryOf(some), entryOf(others)]
      const joined = joinEntries(left, right)
      for (const { modelClass, checked } of joined.classes) {
        const known = [left, right].flatMap(({ classes }) =>
          classes.filter((one) => one.modelClass === modelClass),
        )
        assert.ok(checked <= Math.max(...known.map((one) => one.checked)) + 1e-9)
      }
      assert.ok(joined.suspicion > 0 || (left.suspicion === 0 && right.suspicion === 0))
    }),
  )
})

test('classes and observations stay within their bounds, the newest are kept', () => {
  const many = (from: number) =>
    entryOf(
      Array.from({ length: 40 }, (_, index) =>
        evidence({ modelClass: `m${from + index}`, atMs: START_MS + from + index, jobId: `${from + index}` }),
      ),
    )
  for (const both of [mergeEntries(many(0), many(40)), joinEntries(many(40), many(0))]) {
    assert.is(both.classes.length, 64)
    assert.not.ok(both.classes.some(({ modelClass }) => modelClass === 'm0'))
    assert.is(both.recent.length, 16)
    assert.is(both.recent.at(-1)?.jobId, '79')
  }
})

test.run()
