/** What a node hears of calls, and which offers it takes and passes on: pure decisions, with time as an argument. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  CallGate,
  type CallVerdict,
  OfferGate,
  OfferSender,
  type OfferVerdict,
  offerableAddresses,
  type Route,
} from '../../peers/open-calls/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import {
  encodeOpenCall,
  type Offer,
  type OpenCall,
  openCallId,
  sealOffer,
} from '../../protocols/open-call/index.ts'
import { MODEL } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const NOW_MS = 1_790_000_000_000
let nonces = 0

function encoded(change: Partial<OpenCall> = {}): Uint8Array {
  const nonce = new Uint8Array(16)
  new DataView(nonce.buffer).setUint32(0, ++nonces)
  return encodeOpenCall({
    nonce,
    model: MODEL,
    lane: undefined,
    replicas: 2,
    referee: false,
    publicDisputes: false,
    timeoutMs: 30_000,
    issuedAtMs: NOW_MS,
    windowMs: 1_000,
    ...change,
  })
}

const from = (data: Uint8Array, author = 'author', neighbour = 'neighbour') => ({ author, neighbour, data })
const said = (verdict: CallVerdict | OfferVerdict) => ('reason' in verdict ? verdict.reason : verdict.type)

test('a call is accepted with its id, once', () => {
  const gate = new CallGate('self')
  const data = encoded()
  const verdict = gate.check(from(data), NOW_MS)
  assert.is(verdict.type === 'accept' && verdict.id, openCallId('author', data))
  assert.is(said(gate.check(from(data), NOW_MS)), 'known')
  // From another author the same words are another call; by another neighbour they are not.
  assert.is(said(gate.check(from(data, 'author', 'another'), NOW_MS)), 'known')
  assert.is(said(gate.check(from(data, 'another author'), NOW_MS)), 'accept')
})

test('rejects what no honest neighbour passes on, and it costs the author nothing', () => {
  const gate = new CallGate('self')
  const good = encoded()
  assert.is(said(gate.check(from(new Uint8Array()), NOW_MS)), 'malformed')
  assert.is(said(gate.check(from(good.subarray(0, -1)), NOW_MS)), 'malformed')
  assert.is(said(gate.check(from(new Uint8Array(513)), NOW_MS)), 'too-long')
  assert.is(said(gate.check(from(good), NOW_MS)), 'accept')
})

test('rejects a call whose window ends far away, however it is written', () => {
  const gate = new CallGate('self')
  const good = Buffer.from(encoded({ windowMs: 10_000 }))
  // window_ms is the last field: 0x50, then 10,000 as a varint of two bytes.
  assert.equal([...good.subarray(-3)], [0x50, 0x90, 0x4e])
  assert.is(said(gate.check(from(good), NOW_MS)), 'accept')
  const longer = Buffer.concat([good.subarray(0, -2), Buffer.from([0x91, 0x4e])])
  const endless = Buffer.concat([
    good.subarray(0, -2),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]),
  ])
  for (const data of [longer, endless]) assert.is(said(gate.check(from(data), NOW_MS)), 'malformed')
})

test('ignores a call from another time, and its own voice, and blames nobody', () => {
  const gate = new CallGate('self')
  for (const issuedAtMs of [NOW_MS - 120_001, NOW_MS + 120_001, 0, Number.MAX_SAFE_INTEGER]) {
    assert.is(said(gate.check(from(encoded({ issuedAtMs })), NOW_MS)), 'stale', `issued at ${issuedAtMs}`)
  }
  for (const issuedAtMs of [NOW_MS - 120_000, NOW_MS + 120_000]) {
    assert.is(said(gate.check(from(encoded({ issuedAtMs })), NOW_MS)), 'accept', `issued at ${issuedAtMs}`)
  }
  assert.is(said(gate.check(from(encoded(), 'self'), NOW_MS)), 'own')
})

test('a call is known for as long as its time is good, whatever was heard since', () => {
  const gate = new CallGate('self')
  const data = encoded({ issuedAtMs: NOW_MS + 120_000 })
  gate.check(from(data), NOW_MS)
  // As much as 150 neighbours can make it hear until the call is stale.
  let heard = 0
  for (let second = 1; second <= 240; second++) {
    const nowMs = NOW_MS + second * 1_000
    for (let neighbour = 0; neighbour < 150; neighbour++) {
      const other = encoded({ issuedAtMs: nowMs })
      const verdict = gate.check(from(other, `key ${nonces}`, `neighbour ${neighbour}`), nowMs)
      if (verdict.type === 'accept') heard++
    }
  }
  assert.ok(heard > 2_400, `${heard} were heard`)
  assert.is(said(gate.check(from(data, 'author', 'quiet'), NOW_MS + 240_000)), 'known')
})

test('an author that calls too often is ignored until it has been quiet, and others are heard meanwhile', () => {
  const gate = new CallGate('self')
  const count = (author: string, calls: number, nowMs: number) => {
    let accepted = 0
    for (let call = 0; call < calls; call++) {
      if (said(gate.check(from(encoded({ issuedAtMs: nowMs }), author), nowMs)) === 'accept') accepted++
    }
    return accepted
  }
  assert.is(count('author', 20, NOW_MS), 8)
  assert.is(count('another', 1, NOW_MS), 1)
  assert.is(count('author', 1, NOW_MS + 4_900), 0)
  assert.is(count('author', 2, NOW_MS + 10_000), 2)
})

test('one neighbour can pass on only so much, however many keys it invents', () => {
  const gate = new CallGate('self')
  let accepted = 0
  for (let key = 0; key < 500; key++) {
    if (said(gate.check(from(encoded(), `key-${key}`, 'flooder'), NOW_MS)) === 'accept') accepted++
  }
  assert.is(accepted, 40)
  assert.is(said(gate.check(from(encoded(), 'honest', 'another neighbour'), NOW_MS)), 'accept')
})

test('many neighbours that flood do not keep a quiet one from being heard, and the sum is bounded', () => {
  const gate = new CallGate('self')
  let accepted = 0
  for (let round = 0; round < 60; round++) {
    for (let neighbour = 0; neighbour < 50; neighbour++) {
      const verdict = gate.check(from(encoded(), `key-${round}-${neighbour}`, `flooder ${neighbour}`), NOW_MS)
      if (verdict.type === 'accept') accepted++
    }
  }
  // 80 in all, and what each of them is assured of.
  assert.is(accepted, 80 + 50 * 4)
  assert.is(said(gate.check(from(encoded(), 'honest', 'quiet'), NOW_MS)), 'accept')
})

test('no bytes make the gate of calls throw, and none that are no call pass', () => {
  const gate = new CallGate('self')
  let nowMs = NOW_MS
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (data) => {
      nowMs += 1_000
      assert.is(gate.check(from(data), nowMs).type, 'reject')
    }),
  )
})

const ID = 'ab'.repeat(32)
const route = (change: Partial<Route> = {}): Route => ({
  id: ID,
  caller: 'caller',
  towards: 'towards',
  windowMs: 1_000,
  ...change,
})
const sealed = (signer: Signer, change: Partial<Offer> = {}) =>
  sealOffer(signer, { call: ID, lanes: ['native'], multiaddrs: [], ...change })

function openGate(change: Partial<Route> = {}): OfferGate {
  const gate = new OfferGate()
  gate.open(route(change), 0)
  return gate
}

test('an offer for an own call is taken with who signed it, and one for another goes the way its call came', () => {
  const bytes = sealed(seededSigner(2))
  const own = openGate({ towards: undefined }).check({ neighbour: 'neighbour', sealed: bytes }, 1)
  assert.is(own.type === 'take' && own.provider, seededSigner(2).peerId)
  const passed = openGate().check({ neighbour: 'neighbour', sealed: bytes }, 1)
  assert.is(passed.type === 'pass' && passed.route.towards, 'towards')
})

test('an offer is for one call: for another, for none, or after the window it is not taken', () => {
  const bytes = sealed(seededSigner(2))
  const check = (gate: OfferGate, nowMs: number, data = bytes) =>
    said(gate.check({ neighbour: 'neighbour', sealed: data }, nowMs))
  assert.is(check(new OfferGate(), 1), 'unknown-call')
  assert.is(check(openGate(), 1, sealed(seededSigner(2), { call: 'cd'.repeat(32) })), 'unknown-call')
  assert.is(check(openGate({ towards: undefined }), 999), 'take')
  assert.is(check(openGate({ towards: undefined }), 1_000), 'late')
  // Whoever passes on heard of the call at another time than the caller made it.
  assert.is(check(openGate(), 1_499), 'pass')
  assert.is(check(openGate(), 1_500), 'late')
  const closed = openGate({ towards: undefined })
  closed.close(ID)
  assert.is(check(closed, 1), 'unknown-call')
})

test('an offer counts once a key, by whatever neighbour it comes again', () => {
  const gate = openGate({ towards: undefined })
  const bytes = sealed(seededSigner(2))
  assert.is(said(gate.check({ neighbour: 'one', sealed: bytes }, 1)), 'take')
  assert.is(said(gate.check({ neighbour: 'one', sealed: bytes }, 2)), 'known')
  const other = sealed(seededSigner(2), { lanes: ['exact'] })
  assert.is(said(gate.check({ neighbour: 'two', sealed: other }, 2)), 'known')
})

test('an offer never goes back to where it came from, nor does the caller answer itself', () => {
  const bytes = sealed(seededSigner(2))
  assert.is(said(openGate().check({ neighbour: 'towards', sealed: bytes }, 1)), 'known')
  const own = openGate({ caller: seededSigner(2).peerId })
  assert.is(said(own.check({ neighbour: 'neighbour', sealed: bytes }, 1)), 'known')
})

test('rejects a forged offer, and it does not keep out the true one', () => {
  const gate = openGate({ towards: undefined })
  const good = sealed(seededSigner(2))
  const forged = good.slice()
  forged[forged.byteLength - 1]! ^= 1
  assert.is(said(gate.check({ neighbour: 'liar', sealed: forged }, 1)), 'forged')
  // In another's name: its key before one's own signature.
  const own = sealed(seededSigner(3))
  const stolen = Buffer.concat([good.subarray(0, -64), own.subarray(-64)])
  assert.is(said(gate.check({ neighbour: 'liar', sealed: stolen }, 1)), 'forged')
  assert.is(said(gate.check({ neighbour: 'honest', sealed: good }, 1)), 'take')
})

test('rejects offers that are too long or malformed', () => {
  const gate = openGate()
  const good = sealed(seededSigner(2))
  const check = (data: Uint8Array) => said(gate.check({ neighbour: 'neighbour', sealed: data }, 1))
  assert.is(check(new Uint8Array(1025)), 'too-long')
  assert.is(check(new Uint8Array()), 'malformed')
  assert.is(check(good.subarray(0, -1)), 'malformed')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(), (data, peer) => {
      assert.is(gate.check({ neighbour: `peer ${peer}`, sealed: data }, 1).type, 'reject')
    }),
  )
})

test('a neighbour cannot fill a call with its keys: others are heard, and who offers itself always is', () => {
  const gate = openGate({ towards: undefined })
  const flood = (neighbour: string, first: number, count: number) => {
    let taken = 0
    for (let key = first; key < first + count; key++) {
      if (said(gate.check({ neighbour, sealed: sealed(seededSigner(1, key)) }, 1)) === 'take') taken++
    }
    return taken
  }
  assert.is(flood('flooder 1', 0, 80), 64)
  assert.is(flood('flooder 2', 80, 80), 64)
  assert.is(flood('flooder 3', 160, 80), 64)
  assert.is(flood('flooder 4', 240, 80), 64)
  assert.is(flood('honest relay', 320, 1), 0, 'so many are enough')
  const honest = seededSigner(1, 321)
  assert.is(said(gate.check({ neighbour: honest.peerId, sealed: sealed(honest) }, 1)), 'take')
})

test('a neighbour that sends more than it may is not read on, and is heard again later', () => {
  const gate = openGate()
  const bytes = sealed(seededSigner(2))
  const verdicts = Array.from({ length: 300 }, () =>
    said(gate.check({ neighbour: 'flooder', sealed: bytes }, 1)),
  )
  assert.is(verdicts.filter((verdict) => verdict === 'too-many').length, 300 - 256)
  assert.is(said(gate.check({ neighbour: 'another', sealed: bytes }, 1)), 'known')
  assert.is(said(gate.check({ neighbour: 'flooder', sealed: bytes }, 32)), 'too-many')
  assert.is(said(gate.check({ neighbour: 'flooder', sealed: bytes }, 33)), 'known')
})

test('the calls that are remembered are bounded, and the oldest goes first', () => {
  const gate = new OfferGate()
  const idOf = (call: number) => call.toString(16).padStart(64, '0')
  for (let call = 0; call < 600; call++) gate.open(route({ id: idOf(call), windowMs: 10_000 }), 0)
  const check = (call: number) =>
    said(gate.check({ neighbour: 'one', sealed: sealed(seededSigner(2), { call: idOf(call) }) }, 1))
  assert.is(check(600 - 513), 'unknown-call')
  assert.is(check(600 - 512), 'pass')
  assert.is(check(599), 'pass')
  // What is over is forgotten before anything that is not.
  gate.open(route({ id: ID, windowMs: 60_000 }), 10_500)
  assert.is(said(gate.check({ neighbour: 'one', sealed: sealed(seededSigner(2)) }, 10_501)), 'pass')
  assert.is(
    said(gate.check({ neighbour: 'one', sealed: sealed(seededSigner(3), { call: idOf(599) }) }, 10_501)),
    'unknown-call',
  )
})

test('what waits for one neighbour is bounded, and for how many it may wait', async () => {
  const asked: string[] = []
  const sender = new OfferSender({
    connectionTo: (neighbour) => ({
      newStream: () => {
        asked.push(neighbour)
        return new Promise<never>(() => {})
      },
    }),
    log: { debug() {}, info() {}, warn() {} },
  })
  const sent = Array.from({ length: 100 }, () => sender.send('slow', new Uint8Array(1)))
  assert.is(sent.filter(Boolean).length, 64)
  const others = Array.from({ length: 100 }, (_, other) => sender.send(`slow ${other}`, new Uint8Array(1)))
  assert.is(others.filter(Boolean).length, 63)
  assert.is(new Set(asked).size, 64, 'one stream for each')
  assert.is(asked.length, 64)
  const unconnected = new OfferSender({
    connectionTo: () => undefined,
    log: { debug() {}, info() {}, warn() {} },
  })
  assert.not(unconnected.send('gone', new Uint8Array(1)))
})

test('an offer holds as many of its own addresses as fit, and leaves out what is too long', () => {
  const short = (host: number) => `/ip4/192.0.2.${host}/tcp/4001`
  assert.equal(offerableAddresses([1, 2, 3, 4, 5].map(short)), [1, 2, 3, 4].map(short))
  const long = `/dns4/${'x'.repeat(253)}/tcp/4001`
  const longer = `/dns4/${'x'.repeat(250)}/tcp/4001/p2p/12D3KooW`
  assert.equal(offerableAddresses([longer, short(1)]), [short(1)])
  const half = `/dns4/${'x'.repeat(230)}/tcp/4001`
  assert.equal(offerableAddresses([half, half, half, short(1)]), [half, half, short(1)])
  assert.ok(long.length > 256 && half.length <= 256)
  sealed(seededSigner(2), { multiaddrs: offerableAddresses([half, half, half, short(1)]) })
})

test.run()
