/** Who is drawn from the offers for a call: a mesh that is told by the test who can be reached, and from where. */
import { multiaddr } from '@multiformats/multiaddr'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Lane } from '../../models/runtime/index.ts'
import { Book } from '../../peers/book/index.ts'
import { type CallTerms, OpenCallsError, type ReceivedOffer } from '../../peers/open-calls/index.ts'
import { silentLog } from '../../src/node/log.ts'
import { createOpenCalling, type OpenSearch } from '../../src/node/open-calling.ts'
import { createRandom } from '../../src/routing/index.ts'
import { MODEL } from '../fixtures/jobs.ts'

interface Offered {
  readonly key: string
  /** What it says of its address. */
  readonly claims: string
  /** Where it is found to be; undefined: nowhere. */
  readonly at: string | undefined
  readonly lanes?: readonly Lane[]
}

const honest = (host: number): Offered => {
  const address = `/ip4/198.51.${host}.1/tcp/4001`
  return { key: `honest-${host}`, claims: address, at: address }
}

function scene(offered: readonly Offered[], { seed = 1, exposed = [] as string[] } = {}) {
  const book = new Book({ exemptPrivate: false })
  const called: CallTerms[] = []
  const dialled: string[] = []
  let current = offered
  let failure: Error | undefined
  let release: Promise<void> | undefined
  const calling = createOpenCalling({
    mesh: {
      book,
      connect: async (peer) => {
        dialled.push(peer)
        const at = current.find(({ key }) => key === peer)?.at
        if (at === undefined) throw new Error('nobody there')
        return { remoteAddr: multiaddr(at) }
      },
    },
    calls: {
      call: async (terms, signal) => {
        called.push(terms)
        await release
        signal.throwIfAborted()
        if (failure !== undefined) throw failure
        return current.map(
          ({ key, claims, lanes = ['native'] }): ReceivedOffer => ({
            provider: key,
            lanes,
            multiaddrs: [`${claims}/p2p/${key}`],
          }),
        )
      },
    },
    isExposed: (peer) => exposed.includes(peer),
    exemptPrivate: false,
    random: createRandom(seed),
    log: silentLog,
  })
  return {
    ...{ calling, called, dialled },
    hold: (until: Promise<void>) => {
      release = until
    },
    offer: (others: readonly Offered[]) => {
      current = others
    },
    fail: (error: Error) => {
      failure = error
    },
    find: (change: Partial<OpenSearch> = {}) =>
      calling.find({ model: MODEL, atLeast: 2, signal: new AbortController().signal, ...change }),
  }
}

const keys = (candidates: readonly { readonly provider: string }[]) =>
  candidates.map(({ provider }) => provider)
const HONEST = [1, 2, 3, 4, 5].map(honest)

test('as many as are wanted are drawn, reached and told, and no more are dialled', async () => {
  const { find, dialled } = scene(HONEST)
  const found = await find({ jobId: 'job' })
  assert.is(found.length, 2)
  assert.equal(dialled, keys(found))
  assert.ok(found.every(({ load, serviceMs }) => load === undefined && serviceMs === undefined))
})

test('each job draws anew from the offers of one call, and nobody can tell whom', async () => {
  const { find, called } = scene(HONEST)
  const drawn = new Map<string, number>()
  for (let job = 0; job < 300; job++) {
    for (const key of keys(await find({ jobId: `job ${job}` }))) drawn.set(key, (drawn.get(key) ?? 0) + 1)
  }
  assert.is(called.length, 1)
  // Two of five each time: 120 on average; five standard deviations are 42.
  for (const { key } of HONEST)
    assert.ok(Math.abs((drawn.get(key) ?? 0) - 120) < 42, `${key}: ${drawn.get(key)}`)
})

test('a job that needs more goes on where its draw ended, and nobody comes twice', async () => {
  const { find, called } = scene(HONEST)
  const first = keys(await find({ jobId: 'job' }))
  const more = keys(await find({ jobId: 'job', atLeast: 4 }))
  assert.equal(more.slice(0, 2), first)
  assert.is(new Set(more).size, 4)
  assert.equal(keys(await find({ jobId: 'job', atLeast: 3 })), more.slice(0, 3), 'enough are known')
  assert.is(called.length, 1)
})

test('when all offers are used up another call is made, for those that are new', async () => {
  const { find, called, offer } = scene([honest(1), honest(2)])
  assert.is((await find({ jobId: 'job' })).length, 2)
  offer([honest(1), honest(2), honest(3)])
  const more = keys(await find({ jobId: 'job', atLeast: 3 }))
  assert.equal(more.toSorted(), ['honest-1', 'honest-2', 'honest-3'])
  assert.is(called.length, 2)
})

test('jobs that look at once share one call', async () => {
  const { find, called, hold } = scene(HONEST)
  const held = Promise.withResolvers<void>()
  hold(held.promise)
  const finding = [1, 2, 3].map((job) => find({ jobId: `job ${job}` }))
  held.resolve()
  for (const found of await Promise.all(finding)) assert.is(found.length, 2)
  assert.is(called.length, 1)
})

test('a job that is given up does not end the call that others wait for', async () => {
  const { find, hold } = scene(HONEST)
  const held = Promise.withResolvers<void>()
  hold(held.promise)
  const controller = new AbortController()
  const given = find({ jobId: 'given up', signal: controller.signal })
  const waiting = find({ jobId: 'waiting' })
  controller.abort()
  assert.equal(await given, [])
  held.resolve()
  assert.is((await waiting).length, 2)
})

/** Keys of one owner at one place, each of which claims another. */
const sybil = (key: number): Offered => ({
  key: `sybil-${key}`,
  claims: `/ip4/203.0.${key % 256}.1/tcp/4001`,
  at: '/ip4/192.0.2.9/tcp/4001',
})
const isSybil = (key: string) => key.startsWith('sybil')

test('one owner with many keys at one place gets one place of three, whatever addresses they claim', async () => {
  const sybils = Array.from({ length: 100 }, (_, key) => sybil(key))
  for (let seed = 1; seed <= 40; seed++) {
    const { find } = scene([...sybils, honest(1), honest(2)], { seed })
    const found = keys(await find({ jobId: 'job', atLeast: 3 }))
    assert.equal(found.filter((key) => !isSybil(key)).toSorted(), ['honest-1', 'honest-2'], `seed ${seed}`)
  }
})

test('nor where they are more than one search can dial: the next one goes on', async () => {
  const sybils = Array.from({ length: 250 }, (_, key) => sybil(key))
  for (let seed = 1; seed <= 10; seed++) {
    const { find, dialled } = scene([...sybils, honest(1), honest(2)], { seed })
    let found: string[] = []
    for (let search = 0; search < 3 && found.length < 3; search++) {
      const before = dialled.length
      found = keys(await find({ jobId: 'job', atLeast: 3 }))
      assert.ok(found.filter(isSybil).length <= 1, `seed ${seed}: ${found}`)
      assert.ok(dialled.length - before <= 136, `${dialled.length - before} dials`)
    }
    assert.equal(found.filter((key) => !isSybil(key)).toSorted(), ['honest-1', 'honest-2'], `seed ${seed}`)
  }
})

test('an owner that claims one address has one place among the first', async () => {
  const sybils = Array.from({ length: 200 }, (_, key) => ({
    key: `sybil-${key}`,
    claims: '/ip4/192.0.2.9/tcp/4001',
    at: '/ip4/192.0.2.9/tcp/4001',
  }))
  for (let seed = 1; seed <= 40; seed++) {
    const { find, dialled } = scene([...sybils, honest(1), honest(2)], { seed })
    const found = keys(await find({ jobId: 'job', atLeast: 3 }))
    assert.is(found.filter(isSybil).length, 1, `seed ${seed}: ${found}`)
    assert.is(dialled.length, 3)
  }
})

test('where there is one owner only, it gets the places that are left', async () => {
  const one = [1, 2, 3].map((key) => ({ ...honest(9), key: `key-${key}` }))
  const { find } = scene(one)
  assert.is((await find({ jobId: 'job' })).length, 2)
})

test('who cannot be reached is passed over, and the dials of one search are bounded', async () => {
  const gone = Array.from({ length: 250 }, (_, key) => ({
    ...honest(key),
    key: `gone-${key}`,
    at: undefined,
  }))
  const { find, dialled } = scene([...gone.slice(0, 10), honest(251), honest(252)])
  assert.equal(keys(await find({ jobId: 'job' })).toSorted(), ['honest-251', 'honest-252'])
  assert.ok(dialled.length <= 12)
  const hopeless = scene(gone)
  assert.equal(await hopeless.find({ jobId: 'job' }), [])
  assert.ok(hopeless.dialled.length <= 136, `${hopeless.dialled.length} dials`)
})

test('whoever does not serve the lane of the job is not drawn, and without a lane everybody is', async () => {
  const exact = { ...honest(7), key: 'exact', lanes: ['exact'] as const }
  const { find } = scene([exact, honest(1), honest(2)])
  for (let job = 0; job < 20; job++) {
    assert.not(keys(await find({ jobId: `job ${job}`, lane: 'native' })).includes('exact'))
    assert.equal(keys(await find({ jobId: `exact ${job}`, lane: 'exact', atLeast: 1 })), ['exact'])
  }
  assert.is((await find({ atLeast: 3 })).length, 3)
})

test('the exposed are not dialled, nor who offered what it does not have', async () => {
  const { find, calling, dialled } = scene(HONEST, { exposed: ['honest-1'] })
  calling.disappointed('honest-2')
  for (let job = 0; job < 10; job++) assert.is((await find({ jobId: `job ${job}`, atLeast: 5 })).length, 3)
  assert.not(dialled.includes('honest-1') || dialled.includes('honest-2'))
})

test('the call tells the terms of the job, and nothing that follows from its input', async () => {
  const { find, called } = scene(HONEST)
  const terms = { replicas: 3, referee: true, publicDisputes: true, timeoutMs: 5_000 }
  await find({ jobId: 'job', lane: 'native', terms })
  assert.equal(called, [{ model: MODEL, lane: 'native', windowMs: 1_500, ...terms }])
})

test('a call that fails is no error of the search, and the next search calls again', async () => {
  const { find, called, fail } = scene(HONEST)
  fail(new OpenCallsError('unheard', 'nobody listens'))
  assert.equal(await find({ jobId: 'job' }), [])
  fail(new Error('broken'))
  assert.equal(await find({ jobId: 'job' }), [])
  assert.is(called.length, 2)
})

test('a call that nobody answered is followed by a longer one, up to a limit; one that was answered is not', async () => {
  const { find, called, offer } = scene([])
  for (let job = 0; job < 5; job++) assert.equal(await find({ jobId: `job ${job}` }), [])
  offer([honest(1)])
  for (let job = 0; job < 2; job++) await find({ jobId: 'another' })
  assert.equal(
    called.map(({ windowMs }) => windowMs),
    [1_500, 3_000, 6_000, 10_000, 10_000, 10_000, 1_500],
  )
})

test('who wants any provider calls again a few times while nobody answers', async () => {
  const { calling, called, offer } = scene([])
  const search = { model: MODEL, atLeast: 3, signal: new AbortController().signal }
  assert.equal(await calling.findAny(search), [])
  assert.is(called.length, 3)
  offer([honest(1)])
  assert.equal(keys(await calling.findAny(search)), ['honest-1'])
  assert.is(called.length, 4)
})

test('when the node stops no search hangs', async () => {
  const { find, calling, hold } = scene(HONEST)
  const held = Promise.withResolvers<void>()
  hold(held.promise)
  const finding = find({ jobId: 'job' })
  calling.stop()
  held.resolve()
  assert.equal(await finding, [])
})

test.run()
