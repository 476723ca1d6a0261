import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ANNOUNCEMENT_BYTES_MAX,
  type Announcement,
  AnnouncementError,
  decodeAnnouncement,
  encodeAnnouncement,
} from '../../protocols/announcement/index.ts'
import { MODEL } from '../fixtures/jobs.ts'
import { readVector } from '../fixtures/vectors.ts'

const announcement: Announcement = {
  model: MODEL,
  lanes: ['native', 'exact'],
  running: 1,
  queued: 2,
  capacity: 16,
  serviceMs: 12.5,
  instructionSet: 'x64-avx512',
  multiaddrs: ['/ip4/192.0.2.1/tcp/4001'],
  sequence: 300,
  issuedAtMs: 1_790_000_000_000,
  ttlMs: 30_000,
  leaving: false,
}
const isMalformed = (error: unknown) => error instanceof AnnouncementError && error.code === 'malformed'

test('an announcement has the bytes that its vector says', () => {
  assert.is(Buffer.from(encodeAnnouncement(announcement)).toString('hex'), readVector('announcement').hex)
})

test('announcements survive the way there and back', () => {
  const count = fc.integer({ min: 0, max: 1_000_000 })
  fc.assert(
    fc.property(
      fc.record(
        {
          model: fc.stringMatching(/^b[a-z2-7]{8,60}$/),
          lanes: fc.constantFrom(['native'], ['exact'], ['native', 'exact']) as fc.Arbitrary<
            Announcement['lanes']
          >,
          running: count,
          queued: count,
          capacity: count,
          serviceMs: fc.double({ min: 0, max: 3_600_000, noNaN: true }).map(Math.abs),
          instructionSet: fc.string({ minLength: 1, maxLength: 16 }),
          multiaddrs: fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 8 }),
          sequence: fc.maxSafeNat(),
          issuedAtMs: fc.maxSafeNat(),
          ttlMs: fc.integer({ min: 1, max: 3_600_000 }),
          leaving: fc.boolean(),
        },
        { noNullPrototype: true },
      ),
      (value) => {
        assert.equal(decodeAnnouncement(encodeAnnouncement(value)), value)
      },
    ),
  )
})

test('any bytes that are accepted are the bytes that would be written', () => {
  const good = encodeAnnouncement(announcement)
  fc.assert(
    fc.property(fc.nat(good.byteLength - 1), fc.nat(255), fc.nat(2), (at, byte, removed) => {
      const bad = [...good]
      bad.splice(at, removed, byte)
      const bytes = Uint8Array.from(bad)
      try {
        const decoded = decodeAnnouncement(bytes)
        assert.equal(Buffer.from(encodeAnnouncement(decoded)), Buffer.from(bytes))
      } catch (error) {
        if (!isMalformed(error)) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

test('refuses what is outside the limits', () => {
  const cases: Partial<Announcement>[] = [
    { model: '' },
    { lanes: [] },
    { running: -1 },
    { capacity: 1_000_001 },
    { serviceMs: Number.NaN },
    { serviceMs: 3_600_001 },
    { instructionSet: '' },
    { multiaddrs: Array.from({ length: 9 }, () => '/ip4/192.0.2.1') },
    { multiaddrs: ['x'.repeat(257)] },
    { multiaddrs: [''] },
    { ttlMs: 0 },
  ]
  for (const change of cases) {
    assert.throws(
      () => encodeAnnouncement({ ...announcement, ...change }),
      isMalformed,
      JSON.stringify(change),
    )
  }
})

test('refuses more than two KiB before it looks at them', () => {
  assert.throws(
    () => decodeAnnouncement(new Uint8Array(ANNOUNCEMENT_BYTES_MAX + 1)),
    (error: unknown) => error instanceof AnnouncementError && error.code === 'too-large',
  )
})

test.run()
