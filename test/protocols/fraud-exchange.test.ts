import { createHash } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeFrame } from '../../protocols/framing/index.ts'
import { ServingBudget } from '../../protocols/fraud/exchange-allowances.ts'
import {
  decodeProofReply,
  decodeProofRequest,
  encodeProofReply,
  encodeProofRequest,
} from '../../protocols/fraud/exchange-messages.ts'
import {
  Allowances,
  createProofServer,
  decodeFraudNotice,
  encodeFraudNotice,
  type FraudKind,
  type FraudNotice,
  fetchFraudProof,
  NOTICE_BYTES_MAX,
  PROOF_BYTES_MAX,
  PROOF_EXCHANGE_PROTOCOL,
  ProofExchangeError,
  type ProofExchangeErrorCode,
} from '../../protocols/fraud/index.ts'
import { MODEL } from '../fixtures/jobs.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'
import { createManualClock } from '../fixtures/manual-clock.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { until } from '../fixtures/until.ts'
import { readVector } from '../fixtures/vectors.ts'

const PROOF = Buffer.from('contradicts itself')
const idOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const wanted = (bytes: Uint8Array) => ({ id: idOf(bytes), bytes: bytes.byteLength })
const notice: FraudNotice = {
  id: idOf(PROOF),
  accused: seededSigner(7).peerId,
  kind: 'execution',
  model: MODEL,
  bytes: PROOF.byteLength,
}
let pair: TestPair
test.before(async () => {
  pair = await createTestPair()
})
test.after(() => pair.stop())

const isCode = (code: ProofExchangeErrorCode) => (error: unknown) =>
  error instanceof ProofExchangeError && error.code === code
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

test('notices and messages have the bytes that their vectors say', () => {
  assert.is(hex(encodeFraudNotice(notice)), readVector('fraud-notice').hex)
  assert.is(hex(encodeProofRequest(notice.id)), readVector('fraud-request').hex)
  assert.is(hex(encodeProofReply({ type: 'proof', bytes: 300 })), readVector('fraud-reply').hex)
  assert.is(hex(encodeProofReply({ type: 'refused', reason: 'busy' })), readVector('fraud-refused').hex)
})

test('notices survive the way there and back', () => {
  fc.assert(
    fc.property(
      fc.record(
        {
          id: fc.stringMatching(/^[0-9a-f]{64}$/),
          accused: fc.constantFrom(1, 2, 3).map((seed) => seededSigner(seed).peerId),
          kind: fc.constantFrom<FraudKind>('wiring', 'execution', 'shape', 'equivocation'),
          model: fc.stringMatching(/^b[a-z2-7]{8,60}$/),
          bytes: fc.integer({ min: 1, max: PROOF_BYTES_MAX }),
        },
        { noNullPrototype: true },
      ),
      (value) => {
        assert.equal(decodeFraudNotice(encodeFraudNotice(value)), value)
      },
    ),
  )
})

test('any bytes that are accepted as a notice are the bytes that would be written', () => {
  const good = encodeFraudNotice(notice)
  fc.assert(
    fc.property(fc.nat(good.byteLength - 1), fc.nat(255), fc.nat(2), (at, byte, removed) => {
      const bad = [...good]
      bad.splice(at, removed, byte)
      const bytes = Uint8Array.from(bad)
      try {
        assert.is(hex(encodeFraudNotice(decodeFraudNotice(bytes))), hex(bytes))
      } catch (error) {
        if (!isCode('malformed')(error)) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

test('a notice is refused when a value of it is outside the limits', () => {
  const cases: Partial<FraudNotice>[] = [
    { id: '' },
    { id: notice.id.toUpperCase() },
    { id: `${notice.id}00` },
    { accused: '' },
    { accused: '../../../../../../../../../../../../../../../etc/pass' },
    { accused: `12D3KooW${'0'.repeat(44)}` },
    { accused: `${notice.accused}1` },
    { kind: 'rumour' as FraudKind },
    { model: '' },
    { model: 'B'.repeat(20) },
    { model: `b${'a'.repeat(128)}` },
    { bytes: 0 },
    { bytes: PROOF_BYTES_MAX + 1 },
    { bytes: 1.5 },
  ]
  for (const change of cases) {
    assert.throws(
      () => encodeFraudNotice({ ...notice, ...change }),
      isCode('malformed'),
      JSON.stringify(change),
    )
  }
  assert.throws(() => decodeFraudNotice(new Uint8Array(NOTICE_BYTES_MAX + 1)), /1024 bytes at most/)
})

test('requests and replies have one form only', () => {
  for (const bytes of ['', '0a0161', `0a20${notice.id}0a20${notice.id}`, `0a21${notice.id}00`]) {
    assert.throws(() => decodeProofRequest(Buffer.from(bytes, 'hex')), isCode('malformed'), bytes)
  }
  for (const bytes of ['', '0800', '0803', '1000', '08011005', '100a100a', '10ffffffff0f']) {
    assert.throws(() => decodeProofReply(Buffer.from(bytes, 'hex')), isCode('malformed'), bytes)
  }
  assert.throws(() => encodeProofReply({ type: 'proof', bytes: PROOF_BYTES_MAX + 1 }), isCode('malformed'))
})

test('a proof is given to who asks for it by its id, megabytes of it too, and no other', async () => {
  const large = new Uint8Array(5 * 1024 * 1024 + 3).fill(7)
  const proofs = new Map([PROOF, large].map((bytes) => [idOf(bytes), bytes]))
  const server = serverOf(proofs)
  await server.start()
  for (const proof of [PROOF, large]) assert.is(idOf(await fetched(wanted(proof))), idOf(proof))
  await rejects(fetched({ id: idOf(Buffer.from('another')), bytes: 7 }), 'unknown-proof')
  await server.stop()
  await rejects(fetched(wanted(PROOF)), 'unreachable')
})

test('nothing is asked for that no honest notice names', async () => {
  await rejects(fetched({ id: 'beef', bytes: 1 }), 'malformed')
  for (const bytes of [0, -1, Number.NaN, PROOF_BYTES_MAX + 1]) {
    await rejects(fetched({ id: notice.id, bytes }), 'malformed')
  }
})

test('a proof of another length than the notice says is refused before any of it is read', async () => {
  const server = serverOf(new Map([[notice.id, PROOF]]))
  await server.start()
  for (const bytes of [PROOF.byteLength - 1, PROOF.byteLength + 1]) {
    const error = await rejects(fetched({ id: notice.id, bytes }), 'malformed')
    assert.ok(error.peerIsToBlame)
  }
  await server.stop()
})

test('bytes that the id does not name are refused, and who sent them is to blame', async () => {
  const server = serverOf(new Map([[notice.id, Buffer.from('contradicts nobody')]]))
  await server.start()
  const error = await rejects(fetched({ id: notice.id, bytes: PROOF.byteLength }), 'wrong-bytes')
  assert.ok(error.peerIsToBlame)
  await server.stop()
})

test('a proof that is gone when it is read is unknown, and nobody is to blame', async () => {
  const server = createProofServer({
    libp2p: pair.provider.libp2p,
    proofOf: () => ({ bytes: 9, read: async () => undefined }),
  })
  await server.start()
  assert.not((await rejects(fetched({ id: notice.id, bytes: 9 }), 'unknown-proof')).peerIsToBlame)
  await server.stop()
})

test('a peer that asks too often is refused until it has been quiet, and others are served', async () => {
  const clock = createManualClock()
  const server = createProofServer({ libp2p: pair.provider.libp2p, proofOf: serving(PROOF), clock })
  await server.start()
  for (let request = 0; request < 32; request++) await fetched(wanted(PROOF))
  await rejects(fetched(wanted(PROOF)), 'busy')
  clock.advance(999)
  await rejects(fetched(wanted(PROOF)), 'busy')
  clock.advance(1)
  await fetched(wanted(PROOF))
  await server.stop()
})

test('bytes are given to one peer only so fast', () => {
  const allowances = new Allowances({ burst: 100, perSecond: 10, keysMax: 2 })
  assert.ok(allowances.take('one', 100, 0))
  assert.not(allowances.take('one', 1, 50))
  assert.is(allowances.waitMs('one', 1, 50), 50)
  assert.ok(allowances.take('one', 1, 100))
  assert.ok(allowances.take('two', 100, 100), 'another has its own')
  assert.not(allowances.take('one', 1, 0), 'a clock that is set back refills nothing')
  assert.not(allowances.take('two', 101, 1e9), 'more than the burst is never there')
})

test('large proofs are given to one peer only so often, to all peers together too, and four at once', () => {
  const taken = (budget: ServingBudget, peers: number, nowMs = 0) => {
    let count = 0
    for (let peer = 0; peer < peers; peer++) {
      while (budget.begin(`${peer}`, PROOF_BYTES_MAX, nowMs)) {
        count++
        budget.done()
      }
    }
    return count
  }
  assert.is(taken(new ServingBudget(), 1), 2)
  const busy = new ServingBudget()
  assert.is(taken(busy, 20), 8)
  assert.is(taken(busy, 20, 10_000), 0)
  assert.is(taken(busy, 20, 18_000), 1, 'after 65 MiB at 4 MiB a second')
  const parallel = new ServingBudget()
  assert.equal(
    Array.from({ length: 5 }, (_, peer) => parallel.begin(`${peer}`, 1, 0)),
    [true, true, true, true, false],
  )
  parallel.done()
  assert.ok(parallel.begin('4', 1, 0))
})

test('what was being served is over when the asker is gone, so that others are served', async () => {
  const asked: AbortSignal[] = []
  const server = createProofServer({
    libp2p: pair.provider.libp2p,
    proofOf: () => ({
      bytes: PROOF.byteLength,
      read: (signal) => {
        asked.push(signal)
        return asked.length > 4
          ? Promise.resolve(PROOF)
          : new Promise((_, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason))
            })
      },
    }),
  })
  await server.start()
  const { libp2p } = pair.requester
  const controller = new AbortController()
  const hanging = [1, 2, 3, 4].map(() =>
    rejects(fetchFraudProof(libp2p, pair.provider.peerId, wanted(PROOF), controller.signal), 'aborted'),
  )
  await until('four are being served', () => asked.length === 4)
  controller.abort()
  await Promise.all(hanging)
  await until('their places are free', () => asked.every(({ aborted }) => aborted))
  await fetched(wanted(PROOF))
  await server.stop()
})

test('an asker that takes nothing is cut off when its time is over', async () => {
  const clock = createManualClock()
  const errors = Promise.withResolvers<Error>()
  const large = new Uint8Array(20 * 1024 * 1024)
  const server = createProofServer({
    libp2p: pair.provider.libp2p,
    proofOf: serving(large),
    clock,
    onError: (_peer, error) => errors.resolve(error),
  })
  await server.start()
  const stream = await pair.dial(PROOF_EXCHANGE_PROTOCOL)
  stream.pause()
  const closed = closeOf(stream)
  stream.send(encodeFrame(encodeProofRequest(idOf(large))))
  const ticking = setInterval(() => clock.advance(50_000), 20)
  const error = await errors.promise
  clearInterval(ticking)
  assert.ok(isCode('timeout')(error))
  assert.is((await closed)?.name, 'StreamResetError')
  await server.stop()
})

test('a server refuses requests that are malformed or too long, and looks nothing up', async () => {
  let asked = 0
  const errors: Error[] = []
  const server = createProofServer({
    libp2p: pair.provider.libp2p,
    proofOf: () => {
      asked++
      return undefined
    },
    onError: (_peer, error) => errors.push(error),
  })
  await server.start()
  for (const bytes of [Buffer.of(0), Buffer.of(2, 0x10, 1), Buffer.from('ffff7f0a', 'hex')]) {
    const stream = await pair.dial(PROOF_EXCHANGE_PROTOCOL)
    const closed = closeOf(stream)
    stream.send(bytes)
    assert.is((await closed)?.name, 'StreamResetError')
  }
  assert.is(errors.length, 3)
  assert.ok(errors.every(isCode('malformed')))
  assert.is(asked, 0)
  await server.stop()
})

/** Each answers a request for `PROOF` in a way that is not allowed. */
const HOSTILE: readonly (readonly [string, Uint8Array[] | 'reset' | 'close', ProofExchangeErrorCode])[] = [
  ['a reply that is too long', [Buffer.from('ffffff7f', 'hex')], 'malformed'],
  ['an empty reply', [Buffer.of(0)], 'malformed'],
  ['an unknown refusal', [encodeFrame(Buffer.from('0803', 'hex'))], 'malformed'],
  ['nothing at all', 'close', 'hung-up'],
  ['a reset', 'reset', 'hung-up'],
  [
    'half a proof and then the end',
    [encodeFrame(encodeProofReply({ type: 'proof', bytes: PROOF.byteLength })), PROOF.subarray(0, 5)],
    'hung-up',
  ],
]
for (const [what, answer, code] of HOSTILE) {
  test(`an asker fails with ${code} when it gets ${what}`, async () => {
    await answering(async (stream) => {
      if (answer === 'reset') return stream.abort(new Error('no'))
      if (answer !== 'close') for (const bytes of answer) stream.send(bytes)
      await stream.close()
    })
    await rejects(fetched(wanted(PROOF)), code)
    await pair.provider.libp2p.unhandle(PROOF_EXCHANGE_PROTOCOL)
  })
}

test('an asker waits neither for a peer that falls silent nor for one that sends a byte now and then', async () => {
  const reply = encodeFrame(encodeProofReply({ type: 'proof', bytes: PROOF.byteLength }))
  for (const drip of [false, true]) {
    const clock = createManualClock()
    await answering((stream) => {
      stream.send(reply)
      const ticking = setInterval(() => {
        if (drip && stream.writeStatus === 'writable') stream.send(Buffer.of(1))
        clock.advance(drip ? 6_000 : 10_000)
      }, 20)
      stream.addEventListener('close', () => clearInterval(ticking))
    })
    const { libp2p } = pair.requester
    const error = await rejects(
      fetchFraudProof(libp2p, pair.provider.peerId, wanted(PROOF), undefined, clock),
      'timeout',
    )
    assert.not(error.peerIsToBlame, 'networks are slow')
    await pair.provider.libp2p.unhandle(PROOF_EXCHANGE_PROTOCOL)
  }
})

test('an asker that gives up resets the stream, and the server reads no further', async () => {
  const gone = Promise.withResolvers<void>()
  const controller = new AbortController()
  const server = createProofServer({
    libp2p: pair.provider.libp2p,
    proofOf: () => ({
      bytes: PROOF.byteLength,
      read: (signal) => {
        signal.addEventListener('abort', () => gone.resolve())
        controller.abort()
        return new Promise(() => {})
      },
    }),
  })
  await server.start()
  const { libp2p } = pair.requester
  await rejects(fetchFraudProof(libp2p, pair.provider.peerId, wanted(PROOF), controller.signal), 'aborted')
  await gone.promise
  await server.stop()
})

test.run()

function fetched(proof: { id: string; bytes: number }): Promise<Uint8Array> {
  return fetchFraudProof(pair.requester.libp2p, pair.provider.peerId, proof)
}

function serving(bytes: Uint8Array) {
  return () => ({ bytes: bytes.byteLength, read: async () => bytes })
}

function serverOf(proofs: ReadonlyMap<string, Uint8Array>) {
  return createProofServer({
    libp2p: pair.provider.libp2p,
    proofOf: (id) => {
      const bytes = proofs.get(id)
      return bytes === undefined ? undefined : serving(bytes)()
    },
  })
}

/** Handles the protocol by `answer`, once something was asked. */
async function answering(answer: (stream: Stream) => Promise<void> | void): Promise<void> {
  await pair.provider.libp2p.handle(PROOF_EXCHANGE_PROTOCOL, async (stream) => {
    await new Promise((resolve) => stream.addEventListener('message', resolve, { once: true }))
    await answer(stream)
  })
}

function closeOf(stream: Stream): Promise<Error | undefined> {
  return new Promise((resolve) => stream.addEventListener('close', (event) => resolve(event.error)))
}

async function rejects(promise: Promise<unknown>, code: ProofExchangeErrorCode): Promise<ProofExchangeError> {
  let thrown: unknown
  try {
    await promise
  } catch (error) {
    thrown = error
  }
  assert.ok(isCode(code)(thrown), `expected ${code}, got ${String(thrown)}`)
  return thrown as ProofExchangeError
}
