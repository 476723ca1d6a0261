import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeEnvelope, sealEnvelope } from '../../protocols/envelope/index.ts'
import {
  CALL_BYTES_MAX,
  decodeOpenCall,
  encodeOpenCall,
  type Offer,
  type OpenCall,
  OpenCallError,
  type OpenCallErrorCode,
  openCallId,
  readOffer,
  SEALED_OFFER_BYTES_MAX,
  sealOffer,
} from '../../protocols/open-call/index.ts'
import { sealReceipt } from '../../protocols/receipt/index.ts'
import { MODEL, testReceipt } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { readVector } from '../fixtures/vectors.ts'

const caller = seededSigner(1)
const provider = seededSigner(2)
const call: OpenCall = {
  nonce: new Uint8Array(16).fill(7),
  model: MODEL,
  lane: 'native',
  replicas: 3,
  referee: true,
  publicDisputes: true,
  timeoutMs: 30_000,
  issuedAtMs: 1_790_000_000_000,
  windowMs: 1_500,
}
const id = openCallId(caller.peerId, encodeOpenCall(call))
const offer: Offer = { call: id, lanes: ['native', 'exact'], multiaddrs: ['/ip4/192.0.2.1/tcp/4001'] }
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const isCode = (code: OpenCallErrorCode) => (error: unknown) =>
  error instanceof OpenCallError && error.code === code

test('a call and an offer have the bytes and the id that their vectors say', () => {
  const { hex: bytes, fields } = readVector('open-call')
  assert.is(hex(encodeOpenCall(call)), bytes)
  assert.equal([caller.peerId, id], [fields.author, fields.id])
  assert.is(hex(sealOffer(provider, offer)), readVector('open-call-offer').hex)
})

test('calls survive the way there and back', () => {
  const lane = fc.constantFrom(undefined, 'native' as const, 'exact' as const)
  const calls = fc.record(
    {
      nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      model: fc.stringMatching(/^b[a-z2-7]{8,60}$/),
      lane,
      replicas: fc.integer({ min: 0, max: 64 }),
      referee: fc.boolean(),
      publicDisputes: fc.boolean(),
      timeoutMs: fc.integer({ min: 0, max: 3_600_000 }),
      issuedAtMs: fc.maxSafeNat(),
      windowMs: fc.integer({ min: 100, max: 10_000 }),
    },
    { noNullPrototype: true },
  )
  fc.assert(fc.property(calls, (value) => assert.equal(decodeOpenCall(encodeOpenCall(value)), value)))
})

test('offers survive the way there and back, with who signed them', () => {
  const offers = fc.record(
    {
      call: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hex),
      lanes: fc.constantFrom(['native'], ['exact'], ['native', 'exact']) as fc.Arbitrary<Offer['lanes']>,
      multiaddrs: fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 4 }),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(offers, (value) => {
      const read = readOffer(sealOffer(provider, value))
      read.verifySignature()
      assert.equal([read.offer, read.provider], [value, provider.peerId])
    }),
    { numRuns: 50 },
  )
})

test('any bytes of a call that are accepted are the bytes that would be written', () => {
  const good = encodeOpenCall(call)
  fc.assert(
    fc.property(fc.nat(good.byteLength - 1), fc.nat(255), fc.nat(2), (at, byte, removed) => {
      const bad = [...good]
      bad.splice(at, removed, byte)
      const bytes = Uint8Array.from(bad)
      try {
        assert.is(hex(encodeOpenCall(decodeOpenCall(bytes))), hex(bytes))
      } catch (error) {
        if (!isCode('malformed')(error)) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

test('an offer of which any byte was changed does not verify', () => {
  const good = sealOffer(provider, offer)
  for (let at = 0; at < good.byteLength; at++) {
    const bad = good.slice()
    bad[at]! ^= 1
    assert.throws(
      () => readOffer(bad).verifySignature(),
      (error: unknown) => isCode('malformed')(error) || isCode('bad-signature')(error),
      `byte ${at}`,
    )
  }
})

test('refuses calls that are outside the limits, a far end of the window among them', () => {
  const cases: Partial<OpenCall>[] = [
    { nonce: new Uint8Array(15) },
    { nonce: new Uint8Array(17) },
    { model: '' },
    { model: 'b'.repeat(129) },
    { model: 'Qmwhatever' },
    { model: '../../etc' },
    { replicas: 65 },
    { replicas: -1 },
    { timeoutMs: 3_600_001 },
    { issuedAtMs: 0.5 },
    { windowMs: 0 },
    { windowMs: 99 },
    { windowMs: 10_001 },
    { windowMs: Number.MAX_SAFE_INTEGER },
  ]
  for (const change of cases) {
    assert.throws(() => encodeOpenCall({ ...call, ...change }), isCode('malformed'), JSON.stringify(change))
  }
  assert.throws(() => decodeOpenCall(new Uint8Array()), isCode('malformed'))
  assert.throws(() => decodeOpenCall(new Uint8Array(CALL_BYTES_MAX + 1)), isCode('too-large'))
})

test('refuses offers that are outside the limits', () => {
  const cases: Partial<Offer>[] = [
    { call: '' },
    { call: id.slice(2) },
    { call: `${id}00` },
    { lanes: [] },
    { multiaddrs: [''] },
    { multiaddrs: ['x'.repeat(257)] },
    { multiaddrs: ['a', 'b', 'c', 'd', 'e'] },
  ]
  for (const change of cases) {
    assert.throws(
      () => sealOffer(provider, { ...offer, ...change }),
      isCode('malformed'),
      JSON.stringify(change),
    )
  }
  const long = { ...offer, multiaddrs: ['x', 'y', 'z'].map((letter) => letter.repeat(256)) }
  assert.throws(() => sealOffer(provider, long), isCode('too-large'))
  assert.throws(() => readOffer(new Uint8Array()), isCode('malformed'))
  assert.throws(() => readOffer(new Uint8Array(SEALED_OFFER_BYTES_MAX + 1)), isCode('too-large'))
})

test('what is sealed for something else is no offer, whoever signed it', () => {
  const receipt = sealReceipt(provider, testReceipt(new Uint8Array(32), new Uint8Array(8)))
  assert.throws(() => readOffer(receipt), isCode('malformed'))
  const type = new TextEncoder().encode('/verimesh/offer/1')
  const { payload } = decodeEnvelope(sealOffer(provider, offer))
  const other = sealEnvelope(provider, 'verimesh/job/1', type, payload)
  assert.throws(() => readOffer(other).verifySignature(), isCode('bad-signature'))
})

test('the same words of two authors are two calls, and no other words have the id', () => {
  const bytes = encodeOpenCall(call)
  const other = encodeOpenCall({ ...call, nonce: new Uint8Array(16).fill(8) })
  const ids = [id, openCallId(provider.peerId, bytes), openCallId(caller.peerId, other)]
  assert.is(new Set(ids).size, 3)
})

test('the longest call and the longest offer keep below one KiB', () => {
  const longest = encodeOpenCall({
    ...call,
    model: 'b'.repeat(128),
    replicas: 64,
    timeoutMs: 3_600_000,
    issuedAtMs: Number.MAX_SAFE_INTEGER,
    windowMs: 10_000,
  })
  assert.ok(longest.byteLength < CALL_BYTES_MAX && CALL_BYTES_MAX <= 1024, `${longest.byteLength} bytes`)
  assert.ok(SEALED_OFFER_BYTES_MAX <= 1024)
})

test.run()
