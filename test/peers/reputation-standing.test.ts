import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createLedger, type Evidence, standingOf } from '../../peers/reputation/index.ts'
import { DAY_MS, evidence } from '../fixtures/evidence.ts'

const NOW_MS = evidence().atMs

function standing(seen: readonly Partial<Evidence>[], nowMs = NOW_MS) {
  const ledger = createLedger()
  for (const changes of seen) ledger.record(evidence(changes))
  return standingOf(ledger.entry('p')!, (model) => ledger.trackRecord('p', model, nowMs))
}

test('each standing has its name', () => {
  assert.is(standing([{ kind: 'timed-out' }]).name, 'newcomer')
  assert.is(standing([{ strength: 0 }]).name, 'newcomer', 'that nobody could have noticed a lie is no check')
  assert.is(standing([{}]).name, 'known')
  assert.is(standing([{ kind: 'disagreed' }]).name, 'doubted')
  assert.is(standing([{ kind: 'contradicted-exact' }]).name, 'shunned')
  assert.is(standing([{ kind: 'disagreed' }, { kind: 'disagreed' }]).name, 'shunned')
  assert.is(standing([{ kind: 'lost-dispute' }]).name, 'condemned')
  assert.is(standing([{ kind: 'fraud-proof', jobId: '' }]).name, 'condemned')
})

test('doubt is forgotten with time, a proof is not', () => {
  const years = NOW_MS + 4 * 365 * DAY_MS
  assert.is(standing([{ kind: 'contradicted-exact' }], years).name, 'newcomer')
  assert.is(standing([{ kind: 'lost-dispute' }], years).name, 'condemned')
})

test('an honest provider that is caught on an unlucky input once can earn its way back', () => {
  const unlucky: Partial<Evidence>[] = [{ kind: 'disagreed' }]
  for (let run = 0; run < 300; run++) unlucky.push({})
  const { saboteur, classes } = standing(unlucky)
  assert.ok(saboteur < 0.9, `${saboteur}`)
  assert.is(classes[0]?.checked, 300)
})

test('why is told in sentences, the weightiest first', () => {
  const { reasons } = standing([
    { kind: 'disagreed' },
    { kind: 'violated-protocol' },
    { kind: 'violated-protocol' },
    { kind: 'fraud-proof', jobId: 'cafe0123456789' },
    {},
  ])
  assert.equal(reasons, [
    'a proof of fraud against its key was verified in job cafe01234567',
    'broke the protocol 2 times',
    'answered something else than what was accepted once',
    'agreed with others in 1 job, of which 1.0 count',
  ])
  assert.equal(standing([{ kind: 'lost-dispute', jobId: 'ab' }]).reasons, [
    'it was proved to have lied in job ab: a step that it signed gives something else',
  ])
})

test('a provider that seldom answers is told to be so, and one of which nothing was checked too', () => {
  const slow = Array.from({ length: 10 }, () => ({ kind: 'timed-out' }) as const)
  assert.match(standing(slow).reasons.join(), /answered 60 % of what it took lately/)
  assert.equal(standing([{ kind: 'timed-out' }]).reasons, ['nothing of it was checked yet'])
})

test('classes are told with what an answer alone would be worth, the best known first', () => {
  const { classes, saboteur } = standing([{ modelClass: 'n' }, {}, {}])
  assert.equal(
    classes.map(({ modelClass, checked }) => [modelClass, checked]),
    [
      ['m', 2],
      ['n', 1],
    ],
  )
  assert.ok(classes[0]!.wrong < classes[1]!.wrong)
  assert.ok(saboteur < 0.35)
})

test.run()
