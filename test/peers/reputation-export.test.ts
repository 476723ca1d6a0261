import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeEntry, encodeEntry } from '../../peers/reputation/entry-codec.ts'
import { type LedgerEntry, openExport, ReputationError, sealExport } from '../../peers/reputation/index.ts'
import { MessageWriter } from '../../protocols/codec/index.ts'
import { sealEnvelope } from '../../protocols/envelope/index.ts'
import { arbitraryEvidence, entryOf, evidence } from '../fixtures/evidence.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const signer = seededSigner(1)
const AT_MS = 1_790_000_000_000

const entry: LedgerEntry = {
  provider: 'p',
  suspicion: 2,
  atMs: 1,
  condemned: { kind: 'lost-dispute', jobId: 'ab', atMs: 1 },
  reliability: 0.5,
  classes: [{ modelClass: 'm', checked: 3, streak: 4, atMs: 1 }],
  counts: { agreed: 5, withheld: 300 },
  recent: [{ provider: 'p', kind: 'agreed', modelClass: 'm', jobId: 'ab', atMs: 1, strength: 0.25 }],
}

/** Little-endian doubles. */
const ENTRY_BYTES = [
  '0a 01 70', //                        1 provider "p"
  '11 00 00 00 00 00 00 00 40', //      2 suspicion 2
  '19 00 00 00 00 00 00 f0 3f', //      3 at_ms 1
  '22 0f', //                           4 condemned
  '   08 07', //                          1 kind 7
  '   12 02 61 62', //                    2 job "ab"
  '   19 00 00 00 00 00 00 f0 3f', //     3 at_ms 1
  '29 00 00 00 00 00 00 e0 3f', //      5 reliability 0.5
  '32 17', //                           6 class
  '   0a 01 6d', //                       1 model_class "m"
  '   11 00 00 00 00 00 00 08 40', //     2 checked 3
  '   18 04', //                          3 streak 4
  '   21 00 00 00 00 00 00 f0 3f', //     4 at_ms 1
  '3a 04 08 01 10 05', //               7 count of kind 1: 5
  '3a 05 08 08 10 ac 02', //            7 count of kind 8: 300
  '42 1b', //                           8 observation
  '   08 01', //                          1 kind 1
  '   12 01 6d', //                       2 model_class "m"
  '   1a 02 61 62', //                    3 job "ab"
  '   21 00 00 00 00 00 00 f0 3f', //     4 at_ms 1
  '   29 00 00 00 00 00 00 d0 3f', //     5 strength 0.25
]
  .join('')
  .replaceAll(' ', '')

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof ReputationError) return error.code
    throw error
  }
  return 'nothing'
}

test('an entry has the bytes that its vector says', () => {
  assert.is(Buffer.from(encodeEntry(entry)).toString('hex'), ENTRY_BYTES)
  assert.equal(decodeEntry(Buffer.from(ENTRY_BYTES, 'hex')), entry)
})

test('whatever a ledger holds of a provider survives its bytes, and other bytes are no entry', () => {
  fc.assert(
    fc.property(arbitraryEvidence(), fc.nat(), fc.integer({ min: 1, max: 255 }), (seen, place, change) => {
      if (seen.length === 0) return
      const bytes = encodeEntry(entryOf(seen))
      assert.equal(decodeEntry(bytes), entryOf(seen))
      const changed = bytes.slice()
      changed[place % bytes.byteLength]! ^= change
      let other: LedgerEntry
      try {
        other = decodeEntry(changed)
      } catch {
        return
      }
      // Bytes that are an entry are that entry's only encoding.
      assert.equal(encodeEntry(other), changed)
    }),
  )
})

test('an entry that names a class twice, or a number that is none, is refused', () => {
  const twice = { ...entry, classes: [...entry.classes, ...entry.classes] }
  const wrong: Partial<LedgerEntry>[] = [
    twice,
    { reliability: 1.5 },
    { suspicion: Number.POSITIVE_INFINITY },
    { suspicion: -1 },
    { atMs: Number.NaN },
    { provider: '' },
    { provider: 'p'.repeat(129) },
    { recent: [evidence({ strength: 2 })] },
    { classes: Array.from({ length: 257 }, (_, at) => ({ ...entry.classes[0]!, modelClass: `m${at}` })) },
  ]
  for (const changes of wrong)
    assert.throws(() => encodeEntry({ ...entry, ...changes }), /./, JSON.stringify(changes).slice(0, 80))
})

test('an export comes back whole, and is the same bytes in whatever order entries come', () => {
  const entries = ['c', 'a', 'b'].map((provider) => entryOf([evidence({ provider })]))
  const bytes = sealExport(signer, entries, AT_MS)
  assert.equal(sealExport(signer, entries.toReversed(), AT_MS), bytes)
  const opened = openExport(bytes, signer.peerId)
  assert.is(opened.exportedAtMs, AT_MS)
  assert.equal(
    opened.entries,
    entries.toSorted((x, y) => (x.provider < y.provider ? -1 : 1)),
  )
  assert.equal(openExport(sealExport(signer, [], AT_MS), signer.peerId).entries, [])
})

test("another node's export is refused, with the remedy", () => {
  const bytes = sealExport(seededSigner(2), [entry], AT_MS)
  assert.is(
    codeOf(() => openExport(bytes, signer.peerId)),
    'wrong-key',
  )
  assert.throws(() => openExport(bytes, signer.peerId), /identity\.key/)
})

test('an export of which any byte was changed, or that was cut, is refused', () => {
  const bytes = sealExport(signer, [entry], AT_MS)
  for (let at = 0; at < bytes.byteLength; at++) {
    const changed = bytes.slice()
    changed[at]! ^= 1
    const code = codeOf(() => openExport(changed, signer.peerId))
    // Where the key itself was changed it is perhaps another one, whose signature this is not.
    assert.is(code, 'damaged', `byte ${at}`)
    assert.is(
      codeOf(() => openExport(bytes.subarray(0, at), signer.peerId)),
      'damaged',
      `cut at ${at}`,
    )
  }
  assert.is(
    codeOf(() => openExport(Buffer.from('{"peers": []}'), signer.peerId)),
    'damaged',
  )
})

test('an export of a newer version is told apart from a damaged one', () => {
  const header = new MessageWriter().uint(1, 2).text(17, 'whatever it means').finish()
  const sealed = sealEnvelope(
    signer,
    'verimesh/reputation-export',
    new TextEncoder().encode('/verimesh/reputation-export'),
    header,
  )
  const bytes = new MessageWriter().bytes(1, sealed).finish()
  assert.is(
    codeOf(() => openExport(bytes, signer.peerId)),
    'newer-version',
  )
})

test('an export longer than any is refused before it is looked at', () => {
  assert.is(
    codeOf(() => openExport(new Uint8Array(96 * 1024 * 1024 + 1), signer.peerId)),
    'too-large',
  )
})

test('the body of one export does not go with the header of another', () => {
  const [one, other] = [entry, { ...entry, suspicion: 0, condemned: undefined }].map((only) => {
    const bytes = sealExport(signer, [only], AT_MS)
    const header = bytes.subarray(0, bytes.byteLength - encodeEntry(only).byteLength - 4)
    return { header, body: bytes.subarray(header.byteLength) }
  })
  const mixed = Buffer.concat([one!.header, other!.body])
  assert.is(
    codeOf(() => openExport(mixed, signer.peerId)),
    'damaged',
  )
  assert.is(
    codeOf(() => openExport(Buffer.concat([one!.header, one!.body]), signer.peerId)),
    'nothing',
  )
})

test.run()
