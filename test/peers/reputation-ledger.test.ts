import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createLedger,
  createPosterior,
  type EvidenceKind,
  REPUTATION_PARAMS,
} from '../../peers/reputation/index.ts'
import { arbitraryEvidence, DAY_MS, evidence } from '../fixtures/evidence.ts'

const NOW_MS = evidence().atMs
const NOTHING = { checked: 0, streak: 0, suspicion: 0 }
const near = (actual: number, expected: number, what = '') =>
  assert.ok(Math.abs(actual - expected) < 1e-9 * Math.max(1, expected), `${what} ${actual}, not ${expected}`)

function ledgerOf(...seen: readonly Partial<Parameters<typeof evidence>[0] & object>[]) {
  const ledger = createLedger()
  for (const changes of seen) ledger.record(evidence(changes))
  return ledger
}

test('of whom nothing was seen nothing is known', () => {
  const ledger = createLedger()
  assert.equal(ledger.trackRecord('p', 'm', NOW_MS), NOTHING)
  assert.is(ledger.reliability('p'), 1)
  assert.is(ledger.entry('p'), undefined)
  assert.is(ledger.size, 0)
})

test('checked runs count by how surely a lie would have been noticed, each class of models by itself', () => {
  const ledger = ledgerOf({}, { strength: 0.5 }, { strength: 0 }, { modelClass: 'n' })
  assert.equal(ledger.trackRecord('p', 'm', NOW_MS), { checked: 1.5, streak: 2, suspicion: 0 })
  assert.equal(ledger.trackRecord('p', 'n', NOW_MS), { checked: 1, streak: 1, suspicion: 0 })
  assert.equal(ledger.trackRecord('p', 'o', NOW_MS), NOTHING)
  assert.equal(ledger.trackRecord('q', 'm', NOW_MS), NOTHING)
})

test('what speaks for a provider counts half after thirty days, what speaks against it after ninety', () => {
  const trusted = ledgerOf({}, {})
  near(trusted.trackRecord('p', 'm', NOW_MS + 30 * DAY_MS).checked, 1)
  near(trusted.trackRecord('p', 'm', NOW_MS + 60 * DAY_MS).checked, 0.5)
  const doubted = ledgerOf({ kind: 'disagreed' })
  near(doubted.trackRecord('p', 'm', NOW_MS).suspicion, Math.log(100))
  near(doubted.trackRecord('p', 'm', NOW_MS + 90 * DAY_MS).suspicion, Math.log(100) / 2)
})

test('when it is asked for does not change what is known', () => {
  const ledger = ledgerOf({}, { kind: 'withheld', provider: 'q' })
  ledger.trackRecord('p', 'm', NOW_MS + 300 * DAY_MS)
  ledger.trackRecord('q', 'm', NOW_MS + 300 * DAY_MS)
  assert.is(ledger.trackRecord('p', 'm', NOW_MS).checked, 1)
  near(ledger.trackRecord('q', 'm', NOW_MS).suspicion, Math.log(50))
})

test('anything against a provider forfeits what it had earned, with every model', () => {
  const weighty: EvidenceKind[] = [
    'disagreed',
    'violated-protocol',
    'contradicted-exact',
    'contradicted-replay',
    'withheld',
    'lost-dispute',
    'fraud-proof',
  ]
  for (const kind of weighty) {
    const ledger = ledgerOf({}, { modelClass: 'n' }, { kind })
    for (const model of ['m', 'n']) {
      const { checked, streak, suspicion } = ledger.trackRecord('p', model, NOW_MS)
      assert.equal([checked, streak], [0, 0], kind)
      assert.ok(suspicion > 0, kind)
    }
    // What it earns from then on counts again, and the rest still speaks against it.
    ledger.record(evidence())
    assert.is(ledger.trackRecord('p', 'm', NOW_MS).checked, 1, kind)
    assert.ok(ledger.trackRecord('p', 'm', NOW_MS).suspicion > 0, kind)
  }
})

test('to be slow or to fail says nothing of answers, and only makes a provider less reliable', () => {
  for (const kind of ['timed-out', 'failed'] as const) {
    const ledger = ledgerOf({}, { kind })
    assert.equal(ledger.trackRecord('p', 'm', NOW_MS), { checked: 1, streak: 1, suspicion: 0 }, kind)
    near(ledger.reliability('p'), 0.95)
    for (let job = 0; job < 100; job++) ledger.record(evidence({ kind }))
    assert.ok(ledger.reliability('p') < 0.01 && ledger.reliability('p') >= 0)
    for (let job = 0; job < 100; job++) ledger.record(evidence())
    assert.ok(ledger.reliability('p') > 0.99 && ledger.reliability('p') <= 1)
  }
})

test('what was proved is final: neither time nor good work takes it away', () => {
  for (const kind of ['lost-dispute', 'fraud-proof'] as const) {
    const ledger = ledgerOf({ kind, jobId: 'lie' })
    for (let job = 0; job < 1000; job++) ledger.record(evidence({ atMs: NOW_MS + job * DAY_MS }))
    const { suspicion } = ledger.trackRecord('p', 'm', NOW_MS + 10_000 * DAY_MS)
    assert.is(suspicion, Number.POSITIVE_INFINITY)
    assert.equal(ledger.entry('p')?.condemned, { kind, jobId: 'lie', atMs: NOW_MS })
  }
})

test('a clock that was set back forgets nothing and doubles nothing', () => {
  const ledger = ledgerOf({}, { atMs: NOW_MS - DAY_MS })
  assert.is(ledger.trackRecord('p', 'm', NOW_MS - 2 * DAY_MS).checked, 2)
  assert.is(ledger.trackRecord('p', 'm', NOW_MS).checked, 2)
})

test('what a ledger tells of a provider puts it back elsewhere', () => {
  fc.assert(
    fc.property(arbitraryEvidence(), (seen) => {
      const [one, other] = [createLedger(), createLedger()]
      for (const observed of seen) one.record(observed)
      for (const entry of one.entries()) other.restore(entry)
      assert.equal([...other.entries()], [...one.entries()])
      const atMs = NOW_MS + 100 * DAY_MS
      assert.equal(other.trackRecord('p', 'm', atMs), one.trackRecord('p', 'm', atMs))
      assert.is(other.reliability('p'), one.reliability('p'))
    }),
  )
})

test('good work never makes a provider more suspect, nor bad work less', () => {
  const posterior = createPosterior(REPUTATION_PARAMS)
  fc.assert(
    fc.property(arbitraryEvidence(), fc.constantFrom<EvidenceKind>('disagreed', 'withheld'), (seen, bad) => {
      const atMs = NOW_MS + 365 * DAY_MS
      const saboteurAfter = (kind: EvidenceKind | undefined) => {
        const ledger = createLedger()
        for (const observed of seen) ledger.record(observed)
        if (kind !== undefined) ledger.record(evidence({ kind, atMs }))
        return posterior.saboteur(ledger.trackRecord('p', 'm', atMs))
      }
      const before = saboteurAfter(undefined)
      assert.ok(saboteurAfter('agreed') <= before)
      assert.ok(saboteurAfter(bad) > before)
      assert.is(saboteurAfter('timed-out'), before)
    }),
  )
})

test('whoever makes keys by the thousand pushes out its own, and nobody who is known or found out', () => {
  const ledger = createLedger({ ...REPUTATION_PARAMS, providersMax: 100 })
  for (let run = 0; run < 3; run++) ledger.record(evidence({ provider: 'friend' }))
  ledger.record(evidence({ provider: 'suspect', kind: 'disagreed' }))
  ledger.record(evidence({ provider: 'liar', kind: 'lost-dispute' }))
  for (let key = 0; key < 5000; key++) ledger.record(evidence({ provider: `sybil ${key}`, strength: 0.65 }))
  assert.is(ledger.size, 100)
  for (const provider of ['friend', 'suspect', 'liar']) assert.ok(ledger.entry(provider), provider)
})

test('classes and observations are bounded, and the counts are not', () => {
  const ledger = createLedger()
  for (let run = 0; run < 300; run++)
    ledger.record(evidence({ modelClass: `m${run % 100}`, atMs: NOW_MS + run, jobId: `${run}` }))
  const { classes, recent, counts } = ledger.entry('p')!
  assert.equal([classes.length, recent.length, counts.agreed], [64, 16, 300])
  assert.is(recent.at(-1)?.jobId, '299')
})

test.run()
