import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { RecordEnvelope } from '@libp2p/peer-record'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createSigner,
  decodeEnvelope,
  EnvelopeError,
  openEnvelope,
  sealEnvelope,
} from '../../protocols/envelope/index.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const DOMAIN = 'verimesh/test/1'
const TYPE = new TextEncoder().encode('/verimesh/test/1')
const PAYLOAD = new TextEncoder().encode('what is said')
const signer = seededSigner(1)

const isCode = (code: string) => (error: unknown) => error instanceof EnvelopeError && error.code === code

/** A record of libp2p's own envelope, for both directions. */
const record = {
  domain: DOMAIN,
  codec: TYPE,
  marshal: () => PAYLOAD,
  equals: () => false,
}

test('opens what it sealed and tells who signed', () => {
  const opened = openEnvelope(sealEnvelope(signer, DOMAIN, TYPE, PAYLOAD), DOMAIN, TYPE)
  assert.is(opened.peerId, signer.peerId)
  assert.equal(Buffer.from(opened.payload), Buffer.from(PAYLOAD))
  assert.equal(Buffer.from(opened.publicKey), Buffer.from(signer.publicKey))
})

test('names peers as libp2p does', async () => {
  const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(1))
  assert.is(signer.peerId, key.publicKey.toString())
  assert.is(createSigner(key.raw).peerId, signer.peerId)
})

test('libp2p opens our envelope, and we open its', async () => {
  const ours = sealEnvelope(signer, DOMAIN, TYPE, PAYLOAD)
  const certified = await RecordEnvelope.openAndCertify(ours, DOMAIN)
  assert.is(certified.publicKey.toString(), signer.peerId)
  assert.equal(Buffer.from(certified.payload as Uint8Array), Buffer.from(PAYLOAD))

  const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(1))
  const theirs = (await RecordEnvelope.seal(record, key)).marshal()
  assert.equal(Buffer.from(theirs), Buffer.from(ours), 'Ed25519 is deterministic, so even the bytes agree')
  assert.is(openEnvelope(theirs, DOMAIN, TYPE).peerId, signer.peerId)
})

test('has the bytes of RFC 0002', () => {
  const hex = Buffer.from(sealEnvelope(signer, 'd', Uint8Array.of(0x03, 0x01), Uint8Array.of(0xaa))).toString(
    'hex',
  )
  const key = '8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c'
  assert.ok(hex.startsWith(`0a2408011220${key}120203011a01aa2a40`), hex)
  assert.is(hex.length / 2, 38 + 4 + 3 + 66)
})

test('refuses every change of every bit', () => {
  const good = sealEnvelope(signer, DOMAIN, TYPE, PAYLOAD)
  for (let bit = 0; bit < good.byteLength * 8; bit++) {
    const bad = good.slice()
    bad[bit >> 3]! ^= 1 << (bit & 7)
    assert.throws(
      () => openEnvelope(bad, DOMAIN, TYPE),
      (error: unknown) => error instanceof EnvelopeError,
      `bit ${bit}`,
    )
  }
})

test('refuses an envelope for another domain, of another type, cut short or with more behind it', () => {
  const good = sealEnvelope(signer, DOMAIN, TYPE, PAYLOAD)
  assert.throws(() => openEnvelope(good, 'verimesh/other/1', TYPE), isCode('bad-signature'))
  assert.throws(() => openEnvelope(good, DOMAIN, TYPE.subarray(1)), isCode('wrong-type'))
  assert.throws(() => openEnvelope(good.subarray(0, -1), DOMAIN, TYPE), isCode('malformed'))
  assert.throws(
    () => openEnvelope(Buffer.concat([good, Buffer.of(0x30, 1)]), DOMAIN, TYPE),
    isCode('malformed'),
  )
  assert.throws(() => openEnvelope(new Uint8Array(2 ** 20 + 1), DOMAIN, TYPE), isCode('too-large'))
})

test('refuses the signature of another key', () => {
  const ours = decodeEnvelope(sealEnvelope(signer, DOMAIN, TYPE, PAYLOAD))
  const other = sealEnvelope({ ...seededSigner(2), publicKey: ours.publicKey }, DOMAIN, TYPE, PAYLOAD)
  assert.throws(() => openEnvelope(other, DOMAIN, TYPE), isCode('bad-signature'))
})

test('refuses keys that are not Ed25519', async () => {
  const key = await generateKeyPair('secp256k1')
  const sealed = (await RecordEnvelope.seal(record, key)).marshal()
  assert.throws(
    () => openEnvelope(sealed, DOMAIN, TYPE),
    (error: unknown) => error instanceof EnvelopeError,
  )
  const swapped = sealEnvelope(
    { ...signer, publicKey: Buffer.from(signer.publicKey).fill(2, 1, 2) },
    DOMAIN,
    TYPE,
    PAYLOAD,
  )
  assert.throws(() => openEnvelope(swapped, DOMAIN, TYPE), isCode('unsupported-key'))
})

test('a signer refuses a private key whose halves do not belong together', () => {
  assert.throws(() => createSigner(new Uint8Array(64).fill(1)), /do not belong together/)
  assert.throws(() => createSigner(new Uint8Array(32)), /has 64 bytes/)
})

test('verifies with a key that a thousand others pushed out of its memory', async () => {
  const sealed = sealEnvelope(signer, DOMAIN, TYPE, PAYLOAD)
  for (let index = 0; index < 1100; index++) {
    const seed = new Uint8Array(32)
    new DataView(seed.buffer).setUint32(0, index + 10)
    const other = createSigner((await generateKeyPairFromSeed('Ed25519', seed)).raw)
    assert.is.not(other.peerId, signer.peerId)
  }
  assert.is(openEnvelope(sealed, DOMAIN, TYPE).peerId, signer.peerId)
})

test.run()
