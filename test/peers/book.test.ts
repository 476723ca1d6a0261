import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type AnnouncedModel, addressGroup, Book } from '../../peers/book/index.ts'

const MODEL = 'model-a'
const announcement = (change: Partial<AnnouncedModel> = {}): AnnouncedModel => ({
  model: MODEL,
  lanes: ['native'],
  instructionSet: 'x64-avx2',
  running: 1,
  queued: 2,
  capacity: 8,
  serviceMs: 20,
  multiaddrs: ['/ip4/203.0.113.7/tcp/4001'],
  sequence: 1,
  ttlMs: 30_000,
  leaving: false,
  ...change,
})
const names = (book: Book, nowMs: number, model = MODEL) =>
  book.candidates(model, nowMs).map(({ provider }) => provider)

test('an announcement makes a candidate with its load until its time to live has passed by our own clock', () => {
  const book = new Book()
  assert.is(book.announced('a', announcement(), 1_000), 'noted')
  assert.equal(book.candidates(MODEL, 30_999), [
    {
      provider: 'a',
      group: 'ip4:203.0.113',
      load: { running: 1, queued: 2, capacity: 8, serviceMs: 20 },
      lanes: ['native'],
      instructionSet: 'x64-avx2',
      rttMs: undefined,
      serviceMs: undefined,
      outstanding: 0,
      notBeforeMs: 0,
    },
  ])
  assert.equal(names(book, 31_000), [])
  assert.equal(names(book, 2_000, 'another model'), [])
})

test('no announcement is believed longer than two minutes', () => {
  const book = new Book()
  book.announced('a', announcement({ ttlMs: 1e12 }), 0)
  assert.equal(names(book, 119_999), ['a'])
  assert.equal(names(book, 120_000), [])
})

test('only a rising sequence changes what is known, also after the old announcement has expired', () => {
  const book = new Book()
  book.announced('a', announcement({ sequence: 7, queued: 5 }), 0)
  for (const sequence of [7, 6, 0]) {
    assert.is(book.announced('a', announcement({ sequence, queued: 0 }), 10), 'stale')
    assert.is(book.announced('a', announcement({ sequence, queued: 0 }), 40_000), 'stale')
  }
  assert.is(book.candidates(MODEL, 20)[0]?.load?.queued, 5)
  assert.is(book.announced('a', announcement({ sequence: 8, queued: 0 }), 20), 'noted')
  assert.is(book.candidates(MODEL, 20)[0]?.load?.queued, 0)
})

test('who is leaving is no candidate, though the DHT still names it, until it announces again', () => {
  const book = new Book()
  book.found('a', MODEL, [], 0)
  book.announced('a', announcement(), 0)
  book.announced('a', announcement({ sequence: 2, leaving: true }), 1)
  book.found('a', MODEL, [], 2)
  assert.equal(names(book, 3), [])
  book.announced('a', announcement({ sequence: 3 }), 4)
  assert.equal(names(book, 5), ['a'])
})

test('a provider record makes a candidate without load, for a minute', () => {
  const book = new Book()
  book.found('a', MODEL, ['/ip4/198.51.100.1/tcp/1'], 0)
  assert.is(book.candidates(MODEL, 59_999)[0]?.load, undefined)
  assert.is(book.candidates(MODEL, 59_999)[0]?.lanes, undefined)
  assert.is(book.candidates(MODEL, 59_999)[0]?.group, 'ip4:198.51.100')
  assert.equal(names(book, 60_000), [])
})

test('what others say of a peer comes after what it says itself, and pushes out nothing of it', () => {
  const book = new Book()
  const invented = (from: number) =>
    Array.from({ length: 8 }, (_, index) => `/ip4/192.0.2.1/tcp/${from + index}`)
  book.found('a', MODEL, invented(1), 0)
  assert.equal(book.addresses('a'), invented(1))
  book.announced('a', announcement(), 1)
  book.found('a', MODEL, invented(100), 2)
  const [own] = announcement().multiaddrs
  assert.equal(book.addresses('a'), [own, ...invented(100).slice(0, 7)])
  assert.is(book.candidates(MODEL, 3)[0]?.group, 'ip4:203.0.113')
})

test('only a connection shows whose address group a peer belongs to', () => {
  const book = new Book()
  book.announced('a', announcement({ multiaddrs: ['/ip4/198.51.100.1/tcp/1', '/ip4/203.0.113.7/tcp/1'] }), 0)
  assert.is(book.verifiedGroup('a'), undefined)
  book.connected('a', '/ip4/203.0.113.7/tcp/1', 1)
  assert.is(book.verifiedGroup('a'), 'ip4:203.0.113')
  book.announced('a', announcement({ sequence: 2, multiaddrs: ['/ip4/198.51.100.1/tcp/1'] }), 2)
  book.disconnected('a')
  assert.is(book.verifiedGroup('a'), 'ip4:203.0.113')
  assert.is(book.verifiedGroup('b'), undefined)
})

test('who can not be reached is no candidate until it announces itself, and pauses ever longer', () => {
  const book = new Book()
  let sequence = 1
  let pauseMs = 0
  for (let failures = 1; failures <= 10; failures++) {
    book.announced('a', announcement({ sequence: sequence++ }), 0)
    book.unreachable('a', 0)
    assert.equal(names(book, 0), [])
    book.announced('a', announcement({ sequence: sequence++ }), 0)
    const { notBeforeMs = 0 } = book.candidates(MODEL, 0)[0] ?? {}
    assert.ok(notBeforeMs >= pauseMs && notBeforeMs <= 60_000, `after ${failures} failures`)
    pauseMs = notBeforeMs
  }
  assert.is(pauseMs, 60_000)
  book.connected('a', '/ip4/203.0.113.7/tcp/4001', 1)
  assert.is(book.candidates(MODEL, 1)[0]?.notBeforeMs, 0)
})

test('busy holds for one model, unreachable for all', () => {
  const book = new Book()
  book.announced('a', announcement(), 0)
  book.announced('a', announcement({ model: 'model-b' }), 0)
  book.busy('a', MODEL, 500)
  assert.is(book.candidates(MODEL, 0)[0]?.notBeforeMs, 500)
  assert.is(book.candidates('model-b', 0)[0]?.notBeforeMs, 0)
})

test('outstanding requests are counted over all models, and each ends once', () => {
  const book = new Book()
  book.announced('a', announcement(), 0)
  const endFirst = book.dispatched('a', MODEL, 0)
  const endSecond = book.dispatched('a', 'model-b', 0)
  assert.is(book.candidates(MODEL, 0)[0]?.outstanding, 2)
  endFirst()
  endFirst()
  assert.is(book.candidates(MODEL, 0)[0]?.outstanding, 1)
  endSecond()
  assert.is(book.candidates(MODEL, 0)[0]?.outstanding, 0)
})

test('one outlier does not move the service time, and the round trip is the shortest of the latest', () => {
  const book = new Book()
  book.announced('a', announcement(), 0)
  for (const elapsedMs of [20, 21, 19, 5_000, 20]) book.dispatched('a', MODEL, 0)(elapsedMs)
  assert.is(book.candidates(MODEL, 0)[0]?.serviceMs, 20)
  book.rttMeasured('a', 700)
  for (const rttMs of [10, 12, 50]) book.rttMeasured('a', rttMs)
  assert.is(book.candidates(MODEL, 0)[0]?.rttMs, 10, 'as on a machine that has just started')
  for (let run = 0; run < 8; run++) book.rttMeasured('a', 30)
  assert.is(book.candidates(MODEL, 0)[0]?.rttMs, 30, 'a way that has become longer')
})

test('an answer that came sooner than the round trip shows that the way is shorter', () => {
  const book = new Book()
  book.announced('a', announcement(), 0)
  book.rttMeasured('a', 700)
  book.dispatched('a', MODEL, 0)(60)
  const [candidate] = book.candidates(MODEL, 100)
  assert.equal([candidate?.rttMs, candidate?.serviceMs], [60, 0])
})

test('who was slow once gets another chance: what was measured long ago is forgotten', () => {
  const book = new Book()
  const announced = announcement({ ttlMs: 120_000 })
  book.announced('a', announced, 0)
  for (let run = 0; run < 9; run++) book.dispatched('a', MODEL, 0)(900)
  assert.is(book.candidates(MODEL, 30_000)[0]?.serviceMs, 900)
  assert.is(book.candidates(MODEL, 61_000)[0]?.serviceMs, undefined)
  book.dispatched('a', MODEL, 70_000)(20)
  assert.is(book.candidates(MODEL, 70_020)[0]?.serviceMs, 20)
})

test('the time of one request leaves out the round trip and those that were there before', () => {
  const book = new Book()
  book.announced('a', announcement(), 0)
  book.rttMeasured('a', 10)
  const ends = [1, 2, 3].map(() => book.dispatched('a', MODEL, 0))
  for (const [index, end] of ends.entries()) end(10 + 30 * (index + 1))
  assert.is(book.candidates(MODEL, 0)[0]?.serviceMs, 30)
  book.dispatched('a', MODEL, 0)()
  assert.is(book.candidates(MODEL, 0)[0]?.serviceMs, 30, 'what brought no answer measures nothing')
})

test('the group is that of the connection, whatever addresses the peer announces', () => {
  const book = new Book()
  book.announced('a', announcement({ multiaddrs: ['/ip4/198.51.100.9/tcp/1'] }), 0)
  assert.is(book.candidates(MODEL, 0)[0]?.group, 'ip4:198.51.100')
  book.connected('a', '/ip4/203.0.113.7/tcp/4001', 0)
  book.announced('a', announcement({ sequence: 2, multiaddrs: ['/ip4/192.0.2.1/tcp/1'] }), 0)
  assert.is(book.candidates(MODEL, 0)[0]?.group, 'ip4:203.0.113')
})

test('addresses are grouped by /24 and /48; loopback and private ones only where configured', () => {
  const cases: [string, string | undefined, string | undefined][] = [
    ['/ip4/203.0.113.7/tcp/1', 'ip4:203.0.113', 'ip4:203.0.113'],
    ['/ip4/203.0.113.200/tcp/1', 'ip4:203.0.113', 'ip4:203.0.113'],
    ['/ip4/127.0.0.1/tcp/1', undefined, 'ip4:127.0.0'],
    ['/ip4/10.1.2.3/tcp/1', undefined, 'ip4:10.1.2'],
    ['/ip4/172.16.0.1/tcp/1', undefined, 'ip4:172.16.0'],
    ['/ip4/172.32.0.1/tcp/1', 'ip4:172.32.0', 'ip4:172.32.0'],
    ['/ip4/192.168.1.1/tcp/1', undefined, 'ip4:192.168.1'],
    ['/ip4/192.169.1.1/tcp/1', 'ip4:192.169.1', 'ip4:192.169.1'],
    ['/ip4/100.64.0.1/tcp/1', undefined, 'ip4:100.64.0'],
    ['/ip4/169.254.0.1/tcp/1', undefined, 'ip4:169.254.0'],
    ['/ip6/2001:db8:1:2::7/tcp/1', 'ip6:2001:db8:1', 'ip6:2001:db8:1'],
    ['/ip6/2001:db8:1:ffff:1:2:3:4/tcp/1', 'ip6:2001:db8:1', 'ip6:2001:db8:1'],
    ['/ip6/::1/tcp/1', undefined, 'ip6:0:0:0'],
    ['/ip6/fd00::1/tcp/1', undefined, 'ip6:fd00:0:0'],
    ['/ip6/fe80::1/tcp/1', undefined, 'ip6:fe80:0:0'],
    ['/ip6/::ffff:203.0.113.7/tcp/1', 'ip4:203.0.113', 'ip4:203.0.113'],
    ['/ip6/::ffff:cb00:7107/tcp/1', 'ip4:203.0.113', 'ip4:203.0.113'],
    ['/dns4/Example.org/tcp/1', 'dns:example.org', 'dns:example.org'],
    ['/ip4/300.1.1.1/tcp/1', undefined, undefined],
    ['/ip6/1::2::3/tcp/1', undefined, undefined],
    ['nonsense', undefined, undefined],
    ['', undefined, undefined],
  ]
  for (const [address, exempt, strict] of cases) {
    assert.is(addressGroup(address, { exemptPrivate: true }), exempt, address)
    assert.is(addressGroup(address, { exemptPrivate: false }), strict, address)
  }
})

test('no text makes the grouping of addresses throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((host) => `/ip6/${host}/tcp/1`),
        fc.ipV6().map((host) => `/ip6/${host}`),
      ),
      (text) => {
        addressGroup(text, { exemptPrivate: true })
      },
    ),
  )
})

test('at an exempt address the key itself is the group', () => {
  const book = new Book({ exemptPrivate: true })
  book.connected('a', '/ip4/127.0.0.1/tcp/1', 0)
  book.announced('a', announcement(), 0)
  assert.is(book.candidates(MODEL, 0)[0]?.group, 'a')
})

test('a flood of announced keys pushes out nobody who is connected, proven or alive before it', () => {
  const book = new Book()
  book.announced('early', announcement({ ttlMs: 120_000 }), 0)
  book.connected('connected', '/ip4/203.0.113.7/tcp/1', 0)
  book.connected('proven', '/ip4/203.0.113.8/tcp/1', 0)
  book.resulted('proven', true, 0)
  book.disconnected('proven')
  const outcomes = flood(book, 5_000, 1)
  assert.is(outcomes.filter((outcome) => outcome === 'full').length, 5_000 - 511)
  const present = book.peers(1).map(({ peerId }) => peerId)
  assert.is(present.length, 514)
  for (const peer of ['early', 'connected', 'proven']) assert.ok(present.includes(peer), peer)
  assert.is(
    book.connected('honest', '/ip4/192.0.2.1/tcp/1', 2),
    'noted',
    'there is room for who is really there',
  )
  assert.is(book.announced('honest', announcement(), 2), 'noted')
})

test('dead claims make room for new ones', () => {
  const book = new Book()
  flood(book, 600, 0)
  assert.is(book.announced('late', announcement(), 1), 'full')
  assert.is(book.announced('late', announcement(), 40_000), 'noted')
})

test('one address group can fill a sixteenth of the book, and pushes out only its own', () => {
  const book = new Book()
  book.connected('other', '/ip4/192.0.2.1/tcp/1', 0)
  book.disconnected('other')
  for (let index = 0; index < 500; index++) {
    book.connected(`sybil-${index}`, `/ip4/203.0.113.${index % 256}/tcp/${index}`, index)
    book.disconnected(`sybil-${index}`)
  }
  const present = book.peers(500).map(({ peerId }) => peerId)
  assert.is(present.length, 65)
  assert.ok(present.includes('other'))
  assert.ok(present.includes('sybil-499'))
})

test('the book never holds more than its limit, and a full one still takes who is connected', () => {
  const book = new Book()
  for (let index = 0; index < 3_000; index++) {
    book.connected(`peer-${index}`, `/ip4/${11 + (index % 80)}.${index >> 8}.${index & 255}.1/tcp/1`, index)
    if (index % 3 !== 0) book.disconnected(`peer-${index}`)
  }
  assert.ok(book.peers(3_000).length <= 1024)
  assert.ok(book.peers(3_000).some(({ peerId }) => peerId === 'peer-2999'))
})

test('who works for us is never pushed out', () => {
  const book = new Book()
  const end = book.dispatched('busy-one', MODEL, 0)
  flood(book, 2_000, 100_000)
  assert.ok(book.peers(100_000).some(({ peerId }) => peerId === 'busy-one'))
  end()
})

test('one peer can announce only so many models, and they crowd out only its own dead ones', () => {
  const book = new Book()
  for (let index = 0; index < 64; index++) book.announced('a', announcement({ model: `m${index}` }), index)
  assert.is(book.announced('a', announcement({ model: 'one more' }), 100), 'full')
  assert.is(book.announced('a', announcement({ model: 'one more' }), 30_000), 'noted')
  assert.equal(names(book, 30_000, 'one more'), ['a'])
})

test('a view shows what was measured rather than what was announced, and leaves out what expired', () => {
  const book = new Book()
  book.announced('a', announcement(), 0)
  book.announced('a', announcement({ model: 'model-b', ttlMs: 10 }), 0)
  book.dispatched('a', MODEL, 0)(33)
  book.resulted('a', true, 0)
  book.resulted('a', false, 0)
  const [view] = book.peers(20)
  assert.equal(
    view?.models.map(({ cid, serviceMs, queued }) => ({ cid, serviceMs, queued })),
    [{ cid: MODEL, serviceMs: 33, queued: 2 }],
  )
  assert.is(view?.results, 2)
  assert.is(view?.disagreed, 1)
})

test('candidates come in order of their key, however the news arrived', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 12 }), (peers) => {
      const book = new Book()
      for (const peer of peers) book.announced(peer, announcement(), 0)
      assert.equal(names(book, 0), [...peers].sort())
    }),
  )
})

function flood(book: Book, count: number, nowMs: number): string[] {
  return Array.from({ length: count }, (_, index) =>
    book.announced(
      `flood-${index}`,
      announcement({ multiaddrs: [`/ip4/${20 + (index % 100)}.${index >> 8}.${index & 255}.9/tcp/1`] }),
      nowMs,
    ),
  )
}

test.run()
