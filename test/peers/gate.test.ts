import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AnnouncementGate, type GateVerdict } from '../../peers/announcements/index.ts'
import { type Announcement, encodeAnnouncement } from '../../protocols/announcement/index.ts'

const MODEL = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const encoded = (change: Partial<Announcement> = {}) =>
  encodeAnnouncement({
    model: MODEL,
    lanes: ['native'],
    instructionSet: 'x64-avx2',
    running: 0,
    queued: 0,
    capacity: 8,
    serviceMs: 5,
    multiaddrs: [],
    sequence: 1,
    issuedAtMs: 1,
    ttlMs: 30_000,
    leaving: false,
    ...change,
  })
const from = (data: Uint8Array, author = 'author', neighbour = 'neighbour') => ({
  model: MODEL,
  author,
  neighbour,
  data,
})
const said = (verdict: GateVerdict) => (verdict.type === 'accept' ? 'accept' : verdict.reason)

test('accepts an announcement of the topic, and says whether its author is new', () => {
  const gate = new AnnouncementGate('self')
  const verdicts = [1, 2].map((sequence) => gate.check(from(encoded({ sequence })), 0))
  assert.equal(
    verdicts.map((verdict) => verdict.type === 'accept' && verdict.first),
    [true, false],
  )
})

test('rejects what no honest neighbour passes on: garbage, too much, and a model of another topic', () => {
  const gate = new AnnouncementGate('self')
  const good = encoded()
  assert.is(said(gate.check(from(new Uint8Array()), 0)), 'malformed')
  assert.is(said(gate.check(from(good.subarray(0, -1)), 0)), 'malformed')
  assert.is(said(gate.check(from(new Uint8Array(100_000)), 0)), 'too-long')
  assert.is(said(gate.check(from(encoded({ model: 'bafkother' })), 0)), 'wrong-model')
  assert.is(said(gate.check(from(good), 0)), 'accept', 'none of these cost the author its sequence')
})

test('no bytes make it throw, and none that are not an announcement pass', () => {
  const gate = new AnnouncementGate('self')
  let nowMs = 0
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (data) => {
      nowMs += 1_000
      assert.is(gate.check(from(data), nowMs).type, 'reject')
    }),
  )
})

test('ignores a replay, an older sequence and its own voice, and blames nobody', () => {
  const gate = new AnnouncementGate('self')
  gate.check(from(encoded({ sequence: 5 })), 0)
  for (const sequence of [5, 4, 0]) {
    assert.is(said(gate.check(from(encoded({ sequence })), 1e9)), 'stale', `sequence ${sequence}`)
  }
  assert.is(said(gate.check(from(encoded({ sequence: 6 }), 'self'), 1e9)), 'own')
  assert.is(said(gate.check(from(encoded({ sequence: 5 }), 'another author'), 1e9)), 'accept')
})

test('an author that says too much is ignored until it has been quiet, and others are heard meanwhile', () => {
  const gate = new AnnouncementGate('self')
  let accepted = 0
  let sequence = 1
  for (; sequence <= 100; sequence++) {
    if (said(gate.check(from(encoded({ sequence })), 0)) === 'accept') accepted++
  }
  assert.is(accepted, 10)
  assert.is(said(gate.check(from(encoded(), 'another author'), 0)), 'accept')
  assert.is(said(gate.check(from(encoded({ sequence })), 249)), 'too-many')
  assert.is(said(gate.check(from(encoded({ sequence })), 250)), 'accept')
})

test('one neighbour can pass on only so much, however many keys it invents', () => {
  const gate = new AnnouncementGate('self')
  const data = encoded()
  let accepted = 0
  for (let key = 0; key < 2_000; key++) {
    if (said(gate.check(from(data, `key-${key}`, 'flooder'), 0)) === 'accept') accepted++
  }
  assert.is(accepted, 400)
  assert.is(said(gate.check(from(data, 'honest', 'another neighbour'), 0)), 'accept')
})

test('a clock that is set back refills nothing', () => {
  const gate = new AnnouncementGate('self')
  for (let sequence = 1; sequence <= 10; sequence++) gate.check(from(encoded({ sequence })), 1e6)
  assert.is(said(gate.check(from(encoded({ sequence: 11 })), 0)), 'too-many')
})

test.run()
