/** Which notices are looked at, and whose is followed next. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NoticeGate, NoticeQueue, type NoticeVerdict } from '../../peers/fraud/index.ts'
import { encodeFraudNotice, type FraudNotice } from '../../protocols/fraud/index.ts'
import { MODEL } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const MIB = 1024 * 1024
const KEYS = Array.from({ length: 40 }, (_, seed) => seededSigner(seed + 1).peerId)
const notice = (seed: number, bytes = 1000): FraudNotice => ({
  id: seed.toString(16).padStart(64, '0'),
  accused: KEYS[seed]!,
  kind: 'shape',
  model: MODEL,
  bytes,
})
const from = (data: Uint8Array, neighbour = 'neighbour', author = neighbour) => ({ author, neighbour, data })
const said = (verdict: NoticeVerdict) => (verdict.type === 'consider' ? 'consider' : verdict.reason)

test('a notice is considered when its neighbour signed it', () => {
  const gate = new NoticeGate('self')
  const verdict = gate.check(from(encodeFraudNotice(notice(1))), 0)
  assert.equal(verdict, { type: 'consider', notice: notice(1) })
  assert.is(said(gate.check(from(encodeFraudNotice(notice(1)), 'neighbour', 'another'), 0)), 'relayed')
  assert.is(said(gate.check(from(encodeFraudNotice(notice(1)), 'neighbour', 'self'), 0)), 'own')
})

test('what is too long or malformed is rejected, and no bytes make the gate throw', () => {
  const gate = new NoticeGate('self')
  assert.is(said(gate.check(from(new Uint8Array(1025)), 0)), 'too-long')
  assert.is(said(gate.check(from(encodeFraudNotice(notice(1)).subarray(1)), 0)), 'malformed')
  let nowMs = 0
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
      nowMs += 1_000
      assert.is(gate.check(from(data), nowMs).type, 'reject')
    }),
  )
})

test('one neighbour is read only so often, others meanwhile', () => {
  const gate = new NoticeGate('self')
  const data = encodeFraudNotice(notice(1))
  const considered = Array.from({ length: 200 }, () => said(gate.check(from(data), 0)))
  assert.is(considered.filter((verdict) => verdict === 'consider').length, 64)
  assert.is(said(gate.check(from(data, 'another'), 0)), 'consider')
  assert.is(said(gate.check(from(data), 499)), 'too-many')
  assert.is(said(gate.check(from(data), 500)), 'consider')
})

test('neighbours take turns, however much one of them tells', () => {
  const queue = new NoticeQueue()
  for (let seed = 0; seed < 6; seed++) queue.offer({ neighbour: 'loud', notice: notice(seed) }, 0)
  queue.offer({ neighbour: 'quiet', notice: notice(10) }, 0)
  const order: string[] = []
  for (let next = queue.next(); next !== undefined; next = queue.next()) {
    order.push(next.neighbour)
    queue.done(next.neighbour)
  }
  assert.equal(order, ['loud', 'quiet', 'loud', 'loud', 'loud', 'loud', 'loud'])
})

test('one neighbour is asked for one proof at a time, and three at once', () => {
  const queue = new NoticeQueue()
  for (const [index, neighbour] of ['a', 'a', 'b', 'c', 'd'].entries())
    queue.offer({ neighbour, notice: notice(index) }, 0)
  const asked = [queue.next(), queue.next(), queue.next()]
  assert.equal(
    asked.map((one) => one?.neighbour),
    ['a', 'b', 'c'],
  )
  assert.is(queue.next(), undefined)
  queue.done('b')
  assert.is(queue.next()?.neighbour, 'd')
  queue.done('c')
  assert.is(queue.next(), undefined, 'a is still being asked')
  queue.done('a')
  assert.is(queue.next()?.neighbour, 'a')
})

test('two neighbours may tell of one key, and each is a chance; one neighbour tells of it once', () => {
  const queue = new NoticeQueue()
  assert.ok(queue.offer({ neighbour: 'liar', notice: notice(1) }, 0))
  assert.not(queue.offer({ neighbour: 'liar', notice: notice(1) }, 0))
  assert.ok(queue.offer({ neighbour: 'honest', notice: notice(1) }, 0))
  assert.equal([queue.next()?.neighbour, queue.next()?.neighbour], ['liar', 'honest'])
})

test('a neighbour is followed only so often in the long run', () => {
  const queue = new NoticeQueue()
  const taken = (nowMs: number) =>
    KEYS.filter((_, seed) => queue.offer({ neighbour: 'a', notice: notice(seed) }, nowMs)).length
  assert.is(taken(0), 8)
  assert.is(taken(29_000), 0)
  assert.is(taken(31_000), 1)
})

test('large proofs are not fetched beside each other, and a small one need not wait for them', () => {
  const queue = new NoticeQueue()
  for (const [index, bytes] of [60 * MIB, 60 * MIB, 1000].entries())
    queue.offer({ neighbour: `${index}`, notice: notice(index, bytes) }, 0)
  assert.equal([queue.next()?.neighbour, queue.next()?.neighbour, queue.next()], ['0', '2', undefined])
  queue.done('0')
  queue.done('2')
  assert.is(queue.next()?.neighbour, '1')
})

test('who rests is not followed, and what it told is forgotten', () => {
  const queue = new NoticeQueue()
  queue.offer({ neighbour: 'a', notice: notice(1) }, 0)
  queue.rest('a', 100)
  queue.rest('a', 50)
  assert.is(queue.next(), undefined)
  assert.not(
    queue.offer({ neighbour: 'a', notice: notice(1) }, 99),
    'a shorter rest does not end a longer one',
  )
  assert.ok(queue.offer({ neighbour: 'a', notice: notice(1) }, 100))
})

test('where all is full, the longest queue gives way, so that many loud keys do not shut out a quiet one', () => {
  const queue = new NoticeQueue()
  for (let key = 0; key < 40; key++)
    for (let seed = 0; seed < 8; seed++) queue.offer({ neighbour: `loud-${key}`, notice: notice(seed) }, 0)
  assert.ok(queue.offer({ neighbour: 'quiet', notice: notice(9) }, 0))
  let followed = 0
  for (let next = queue.next(); next !== undefined; next = queue.next()) {
    followed++
    queue.done(next.neighbour)
  }
  assert.is(followed, 256)
})

test.run()
