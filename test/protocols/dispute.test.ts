import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createTensorDigest } from '../../models/tensor/index.ts'
import { hashLeaf, merkleRoot } from '../../models/trace/index.ts'
import { createDisputeBudget } from '../../protocols/dispute/budget.ts'
import {
  createDisputeClient,
  createDisputeServer,
  type DisputeAnswer,
  type DisputeClient,
  DisputeError,
  type DisputeErrorCode,
  type DisputeOpening,
  type DisputeServerComponents,
  type DisputeSession,
  faultOf,
  openRefusal,
  type VerifiedDemand,
} from '../../protocols/dispute/index.ts'
import {
  decodeDemand,
  decodeQuestion,
  decodeReply,
  encodeDemand,
  encodeQuestion,
  encodeReply,
} from '../../protocols/dispute/messages.ts'
import { decodeLeaves, encodeLeaves, rootOfLeaves } from '../../protocols/dispute/payloads.ts'
import { createPlaces } from '../../protocols/dispute/places.ts'
import { sealRefusal } from '../../protocols/dispute/refusal.ts'
import { sealTraceCommitment } from '../../protocols/receipt/index.ts'
import {
  type DisputedJob,
  disputedJob,
  EXACT,
  hex,
  INPUTS,
  LANE_ID,
  OPERANDS,
  other,
  testCommitment,
  testDemand,
  testLeaves,
  traceOf,
  WALL_MS,
} from '../fixtures/disputes.ts'
import { SALT } from '../fixtures/jobs.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'
import { createManualClock } from '../fixtures/manual-clock.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { readVector } from '../fixtures/vectors.ts'

let pair: TestPair
let disputed: DisputedJob
test.before(async () => {
  pair = await createTestPair()
  disputed = disputedJob(pair.requester.signer, pair.provider.signer)
})
test.after(() => pair.stop())

const REFUSAL = {
  code: 'busy',
  message: 'other disputes are being traced',
  retryAfterMs: 500,
  refusedAtMs: WALL_MS,
} as const

/** Every message, by the name of its vector. */
function messages(): Record<string, Uint8Array> {
  const provider = seededSigner(2)
  const vectored = disputedJob(seededSigner(1), provider)
  const { job } = vectored
  const refusal = sealRefusal(provider, { ...REFUSAL, jobCommitment: job.commitment })
  const commitment = sealTraceCommitment(provider, testCommitment(vectored, testLeaves(5)))
  return {
    'dispute-demand': encodeDemand({
      job: job.envelope,
      salt: SALT,
      receipt: vectored.receipt,
      conflicting: vectored.conflicting,
      inputBytes: INPUTS.byteLength,
      timeoutMs: 10_000,
      laneId: LANE_ID,
    }),
    'dispute-refused': encodeReply({ kind: 'refused', refusal }),
    'dispute-committed': encodeReply({ kind: 'committed', commitment, bytes: EXACT.byteLength }),
    'dispute-ask-leaves': encodeQuestion({ kind: 'leaves' }),
    'dispute-ask-operands': encodeQuestion({ kind: 'operands', position: '7[4]/3' }),
    'dispute-leaves': encodeReply({
      kind: 'leaves',
      bytes: Buffer.concat(encodeLeaves(testLeaves(5))).byteLength,
    }),
    'dispute-operands': encodeReply({ kind: 'operands', bytes: OPERANDS.byteLength }),
  }
}

test('messages have the bytes that their vectors say', () => {
  for (const [name, bytes] of Object.entries(messages())) assert.is(hex(bytes), readVector(name).hex, name)
})

test('no other bytes than those of a message are read', () => {
  const { 'dispute-demand': demand, 'dispute-committed': committed } = messages()
  assert.is(decodeDemand(demand!).timeoutMs, 10_000)
  assert.is(decodeReply(committed!).kind, 'committed')
  assert.equal(decodeQuestion(Buffer.from('0801', 'hex')), { kind: 'leaves' })
  assert.equal(decodeReply(Buffer.from('0803', 'hex')), { kind: 'leaves', bytes: 0 })
  for (const at of [demand!, committed!].flatMap((bytes) => [
    bytes.subarray(0, -1),
    Buffer.concat([bytes, Buffer.of(0)]),
  ])) {
    assert.throws(() => decodeDemand(at), /malformed/)
    assert.throws(() => decodeReply(at), /malformed/)
  }
  const questions = [
    '',
    '0800',
    '0803',
    '0802',
    '080112013a',
    '08021200',
    `080212${'79'}${'30'.repeat(121)}`,
    '08021201ff',
  ]
  for (const text of questions)
    assert.throws(() => decodeQuestion(Buffer.from(text, 'hex')), /malformed/, text)
  // No kind, an unknown one, what belongs to another kind, nothing where something must be, and too many bytes.
  const replies = [
    '',
    '0800',
    '0805',
    '0801',
    '08011801',
    '0802',
    '0804',
    '0803120100',
    '08041881808020',
    '08031881808110',
  ]
  for (const text of replies) assert.throws(() => decodeReply(Buffer.from(text, 'hex')), /malformed/, text)
})

test('demands outside their limits are not read', () => {
  const message = decodeDemand(messages()['dispute-demand']!)
  const cases = [
    { salt: new Uint8Array(31) },
    { job: new Uint8Array(0) },
    { job: new Uint8Array(2000) },
    { receipt: new Uint8Array(0) },
    { conflicting: new Uint8Array(2000) },
    { inputBytes: 0 },
    { inputBytes: 2 ** 26 + 1 },
    { timeoutMs: 0 },
    { timeoutMs: 600_001 },
    { laneId: '' },
    { laneId: 'x'.repeat(65) },
  ]
  for (const change of cases) {
    const bytes = encodeDemand({ ...message, ...change })
    assert.throws(() => decodeDemand(bytes), /malformed/, Object.keys(change)[0])
  }
})

test('a refusal is signed by its provider, and every change of every byte of it is found', () => {
  const { commitment: jobCommitment } = disputed.job
  const sealed = sealRefusal(other, { ...REFUSAL, jobCommitment })
  const { provider, sealed: _sealed, ...refusal } = openRefusal(sealed)
  assert.is(provider, other.peerId)
  assert.equal(
    { ...refusal, jobCommitment: hex(refusal.jobCommitment) },
    { ...REFUSAL, jobCommitment: hex(jobCommitment) },
  )
  for (let at = 0; at < sealed.byteLength; at++) {
    const bad = sealed.slice()
    bad[at]! ^= 1
    assert.throws(() => openRefusal(bad), isDisputeError, `byte ${at}`)
  }
  const long = sealRefusal(other, {
    ...REFUSAL,
    jobCommitment,
    message: 'é'.repeat(1000),
    retryAfterMs: 1e12,
  })
  assert.is(openRefusal(long).message, 'é'.repeat(256))
  assert.is(openRefusal(long).retryAfterMs, 3_600_000)
})

test('the root over many leaves is that of the whole tree, whatever their number', async () => {
  for (const count of [0, 1, 2, 3, 1023, 1024, 1025, 2048, 2049, 3073, 5000]) {
    const leaves = testLeaves(1).flatMap((leaf) =>
      Array.from({ length: count }, (_, index) => Buffer.concat([leaf, Buffer.of(index & 255, index >> 8)])),
    )
    let pauses = 0
    const root = await rootOfLeaves(leaves, async () => {
      pauses++
    })
    assert.is(hex(root), hex(merkleRoot(leaves.map(hashLeaf))), `${count} leaves`)
    assert.is(pauses, Math.max(0, Math.ceil(count / 1024) - 1))
  }
})

test('leaves are taken apart as they were put together, and in no other way', () => {
  const leaves = testLeaves(3)
  const payload = Buffer.concat(encodeLeaves(leaves))
  assert.equal(decodeLeaves(payload, 3).map(hex), leaves.map(hex))
  assert.equal(decodeLeaves(new Uint8Array(0), 0), [])
  const cases: readonly (readonly [string, Uint8Array, number])[] = [
    ['one leaf too few', payload, 4],
    ['one leaf too many', payload, 2],
    ['a cut leaf', payload.subarray(0, -1), 3],
    ['a cut length', Buffer.concat([payload, Buffer.of(1, 0)]), 3],
    ['an empty leaf', Buffer.concat([payload, Buffer.alloc(4)]), 4],
    ['a leaf of 4 GB', Buffer.concat([payload, Buffer.alloc(4, 255)]), 4],
    ['bytes where no leaf may be', Buffer.of(1), 0],
  ]
  for (const [what, bytes, count] of cases) {
    assert.throws(() => decodeLeaves(bytes, count), isCode('wrong-leaves'), what)
  }
})

test('places are given in the order of asking, to each name no more than its part', async () => {
  const places = createPlaces({ max: 3, perNameMax: 2 })
  const never = new AbortController().signal
  const leave = [places.tryTake('a')!, places.tryTake('a')!]
  assert.is(places.tryTake('a'), undefined)
  assert.ok(places.isFree('b'))
  leave.push(places.tryTake('b')!)
  assert.not(places.isFree('b'))
  const entered: string[] = []
  const enter = (name: string, signal = never) =>
    places.take(name, signal).then((left) => {
      entered.push(name)
      return left
    })
  const cancelled = new AbortController()
  const waiting = [enter('a'), enter('c')]
  const gone = enter('c', cancelled.signal).catch(() => 'gone')
  cancelled.abort()
  assert.is(await gone, 'gone')
  // The place that becomes free is one that the first in line may not have.
  leave[2]!()
  leave[2]!()
  await waiting[1]
  assert.equal(entered, ['c'])
  leave[0]!()
  await waiting[0]
  assert.equal(entered, ['c', 'a'])
  assert.is(places.tryTake('d'), undefined)
})

test('a budget lets in so many disputes, bytes and demands of a peer and of all', () => {
  const budget = createDisputeBudget({
    sessionsMax: 3,
    sessionsPerPeerMax: 2,
    peerBytesMax: 100,
    nodeBytesMax: 150,
    demandsBurst: 4,
    demandIntervalMs: 1000,
  })
  const admit = (peer: string, nowMs = 0) => {
    const share = budget.admit(peer, nowMs)
    if ('code' in share) throw new Error(`refused: ${share.message}`)
    return share
  }
  const first = admit('a')
  const second = admit('a')
  assert.throws(() => admit('a'), /your disputes are open/)
  const third = admit('b')
  assert.throws(() => admit('c'), /disputes are open/)
  assert.is(first.hold(60), undefined)
  assert.is(second.hold(41)?.code, 'busy', 'more than a peer may hold')
  assert.is(second.hold(40), undefined)
  assert.is(third.hold(51)?.code, 'busy', 'more than all may hold')
  assert.is(third.hold(50), undefined)
  assert.is(third.hold(51)?.code, 'cannot-trace', 'more than will ever fit')
  first.drop(60)
  assert.is(second.hold(50), undefined)
  second.release()
  second.release()
  assert.is(second.hold(1)?.code, 'busy', 'a share that was given back holds nothing')
  first.release()
  third.release()
  // Four at once, and then one each second; who was told to wait has used up nothing.
  admit('a').release()
  admit('a').release()
  const refused = budget.admit('a', 0)
  assert.equal('code' in refused && [refused.code, refused.retryAfterMs], ['busy', 1000])
  assert.throws(() => admit('a', 999), /too many demands/)
  admit('a', 1000).release()
  assert.throws(() => admit('a', 1001), /too many demands/)
  admit('b', 1001).release()
})

test('a dispute gives the commitment, the outputs, all leaves and the operands of a step, everything verified', async () => {
  await hosted({}, async ({ client, demands }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    assert.is(session.provider, pair.provider.peerId)
    assert.is(session.commitment.leafCount, 5)
    assert.is(hex(session.outputs), hex(EXACT))
    assert.equal((await session.leaves()).map(hex), testLeaves(5).map(hex))
    assert.is(await session.leaves(), await session.leaves())
    assert.is(hex(await session.operands('3')), hex(OPERANDS))
    assert.throws(() => session.operands('5'), /no leaf/)
    assert.is(await session.operands('3'), await session.operands('3'))
    const { sent, received } = session.bytes
    assert.ok(sent > INPUTS.byteLength + 900 && sent < 2000, `${sent} bytes sent`)
    assert.ok(
      received > EXACT.byteLength + OPERANDS.byteLength + 5 * 130 && received < 2500,
      `${received} received`,
    )
    session.close()
    const [demand] = demands
    assert.is(demand!.remotePeer, pair.requester.peerId)
    assert.is(hex(demand!.inputs), hex(INPUTS))
    assert.is(hex(demand!.job.commitment), hex(disputed.job.commitment))
    assert.is(demand!.conflicting.provider, other.peerId)
    assert.is(demand!.laneId, LANE_ID)
  })
})

test('operands may be asked for before the leaves, and questions asked at once are answered in turn', async () => {
  await hosted({}, async ({ client }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    const [two, leaves, three] = await Promise.all([
      session.operands('2'),
      session.leaves(),
      session.operands('3'),
    ])
    assert.is(two.byteLength + three.byteLength, 2 * OPERANDS.byteLength)
    assert.is(leaves.length, 5)
    session.close()
  })
})

test('operands are asked for as often as a provider answers, and no more often', async () => {
  const handler = async (demand: VerifiedDemand) => traceOf(pair.provider.signer, demand, testLeaves(17))
  await hosted({ handler }, async ({ client }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    await session.leaves()
    for (let step = 0; step < 16; step++) {
      assert.is((await session.operands(`${step}`)).byteLength, OPERANDS.byteLength)
    }
    assert.throws(() => session.operands('16'), RangeError)
    await session.operands('0')
    session.close()
  })
})

test('a trace of no step, and one of many, are taken as they are', async () => {
  for (const count of [0, 3000]) {
    const handler = async (demand: VerifiedDemand) => traceOf(pair.provider.signer, demand, testLeaves(count))
    await hosted({ handler }, async ({ client }) => {
      const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
      assert.is((await session.leaves()).length, count)
      session.close()
    })
  }
})

test('in the exact lane two receipts of one lane are disputed as native ones are', async () => {
  const exact = disputedJob(pair.requester.signer, pair.provider.signer, { lane: 'exact' })
  await hosted({}, async ({ client }) => {
    const opening = await client.open(pair.provider.peerId, testDemand(exact))
    // The receipts of this fixture are of the native lane.
    assert.is(refusalOf(opening).code, 'invalid-demand')
  })
})

for (const code of ['busy', 'cannot-trace', 'invalid-demand'] as const) {
  test(`a refusal "${code}" comes as the provider signed it`, async () => {
    const handler = async (): Promise<DisputeAnswer> => ({
      kind: 'refused',
      code,
      message: 'why',
      retryAfterMs: 7,
    })
    await hosted({ handler }, async ({ client }) => {
      const refusal = refusalOf(await client.open(pair.provider.peerId, testDemand(disputed)))
      assert.equal([refusal.code, refusal.message, refusal.retryAfterMs], [code, 'why', 7])
      assert.is(refusal.refusedAtMs, WALL_MS)
      assert.is(openRefusal(refusal.sealed).provider, pair.provider.peerId)
      assert.is(hex(refusal.jobCommitment), hex(disputed.job.commitment))
    })
  })
}

test('operands that cannot be had are refused, signed, and the dispute goes on', async () => {
  const handler = async (demand: VerifiedDemand): Promise<DisputeAnswer> => ({
    ...traceOf(pair.provider.signer, demand),
    operandsOf: async (position) => {
      if (position === '1') throw new Error('the process died')
      return position === '2' ? undefined : OPERANDS
    },
  })
  await hosted({ handler }, async ({ client, errors }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    for (const position of ['1', '2']) {
      const error = await failure(session.operands(position))
      assert.is(error.code, 'refused')
      assert.is(error.refusal?.code, 'cannot-trace')
    }
    assert.is(errors.length, 1)
    assert.is((await failure(session.operands('17'))).refusal?.code, 'invalid-demand')
    assert.is(hex(await session.operands('3')), hex(OPERANDS))
    session.close()
  })
})

test('a handler that fails, or does not finish in time, is a signed refusal', async () => {
  await hosted(
    {
      handler: async () => {
        throw new Error('no such model')
      },
    },
    async ({ client, errors }) => {
      const refusal = refusalOf(await client.open(pair.provider.peerId, testDemand(disputed)))
      assert.is(refusal.code, 'cannot-trace')
      assert.not(refusal.message.includes('no such model'), 'our own errors are ours')
      assert.is(errors.length, 1)
    },
  )
  const clock = createManualClock()
  const running = Promise.withResolvers<AbortSignal>()
  const handler = (_demand: VerifiedDemand, signal: AbortSignal) => {
    running.resolve(signal)
    // Deaf to its signal: the requester is told all the same.
    return new Promise<DisputeAnswer>(() => {})
  }
  await hosted({ handler, clock }, async ({ client }) => {
    const opening = client.open(pair.provider.peerId, testDemand(disputed))
    const signal = await running.promise
    // Of the requester's ten seconds it is told eight, less what the way here took, and says so half a second before.
    clock.advance(7_000)
    assert.not(signal.aborted)
    clock.advance(500)
    assert.is(refusalOf(await opening).code, 'cannot-trace')
    assert.ok(signal.aborted)
  })
})

test('a demand that its requester gives up is given up by the provider', async () => {
  const running = Promise.withResolvers<AbortSignal>()
  const handler = (_demand: VerifiedDemand, signal: AbortSignal) => {
    running.resolve(signal)
    return new Promise<DisputeAnswer>((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason)),
    )
  }
  await hosted({ handler }, async ({ client, errors }) => {
    const cancel = new AbortController()
    const opening = failure(client.open(pair.provider.peerId, testDemand(disputed), cancel.signal))
    const signal = await running.promise
    cancel.abort()
    assert.is((await opening).code, 'aborted')
    await until(() => signal.aborted)
    assert.equal(errors, [])
  })
})

test('what is over budget is told to come again, before its inputs are read', async () => {
  const gate = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  const handler = async (demand: VerifiedDemand) => {
    started.resolve()
    await gate.promise
    return traceOf(pair.provider.signer, demand)
  }
  await hosted({ handler, limits: { tracesPerPeerMax: 1 } }, async ({ client, demands }) => {
    const first = client.open(pair.provider.peerId, testDemand(disputed))
    await started.promise
    const refusal = refusalOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    assert.is(refusal.code, 'busy')
    assert.ok(refusal.retryAfterMs > 0)
    gate.resolve()
    const session = sessionOf(await first)
    // The trace is done: its place is free although the dispute is open.
    const again = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    assert.is(demands.length, 2)
    session.close()
    again.close()
  })
})

test('a peer has so many demands at once, and disputes open at the same time', async () => {
  await hosted({ limits: { demandsBurst: 2, demandIntervalMs: 60_000 } }, async ({ client }) => {
    for (const expected of ['committed', 'committed', 'refused']) {
      const opening = await client.open(pair.provider.peerId, testDemand(disputed))
      assert.is(opening.kind, expected)
      if (opening.kind === 'committed') opening.session.close()
      else assert.ok(opening.refusal.retryAfterMs > 50_000, `${opening.refusal.retryAfterMs} ms`)
    }
  })
  await hosted({ limits: { sessionsPerPeerMax: 1 } }, async ({ client, streams }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    assert.is(refusalOf(await client.open(pair.provider.peerId, testDemand(disputed))).code, 'busy')
    session.close()
    await until(() => streams() === 0)
    sessionOf(await client.open(pair.provider.peerId, testDemand(disputed))).close()
  })
})

test('memory that a dispute would not fit into is never set aside', async () => {
  const cases = [
    { peerBytesMax: INPUTS.byteLength - 1 },
    { peerBytesMax: INPUTS.byteLength + EXACT.byteLength + 1 },
  ]
  for (const limits of cases) {
    await hosted({ limits }, async ({ client }) => {
      const refusal = refusalOf(await client.open(pair.provider.peerId, testDemand(disputed)))
      assert.is(refusal.code, 'cannot-trace')
    })
  }
  const leaves = testLeaves(5).reduce((sum, { byteLength }) => sum + byteLength, 0)
  const room = INPUTS.byteLength + EXACT.byteLength + leaves + OPERANDS.byteLength
  await hosted({ limits: { peerBytesMax: room - 1 } }, async ({ client }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    assert.is((await failure(session.operands('1'))).refusal?.code, 'cannot-trace')
    session.close()
  })
  await hosted({ limits: { peerBytesMax: room } }, async ({ client }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    for (const position of ['1', '2'])
      assert.is((await session.operands(position)).byteLength, OPERANDS.byteLength)
    session.close()
  })
})

test('disputes beyond a peer’s share wait in line at the requester', async () => {
  const gate = Promise.withResolvers<void>()
  const handler = async (demand: VerifiedDemand) => {
    await gate.promise
    return traceOf(pair.provider.signer, demand)
  }
  const limits = { tracesMax: 100, tracesPerPeerMax: 100, sessionsPerPeerMax: 100, demandsBurst: 100 }
  await hosted({ handler, limits }, async ({ client, streams, demands }) => {
    const openings = Array.from({ length: 12 }, async () => {
      const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
      session.close()
    })
    await until(() => demands.length === 8)
    assert.is(streams(), 8)
    gate.resolve()
    await Promise.all(openings)
    assert.is(demands.length, 12)
  })
})

test('a large demand goes through whole, and others get their turn while it is digested', async () => {
  const inputs = new Uint8Array(3 * 1024 * 1024).fill(5)
  const inputDigest = createTensorDigest(SALT).update(inputs).digest()
  const changes = { inputDigest, inputBytes: inputs.byteLength }
  const large = disputedJob(pair.requester.signer, pair.provider.signer, changes)
  await hosted({}, async ({ client, demands }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(large, { inputs })))
    assert.is(demands[0]!.inputs.byteLength, inputs.byteLength)
    session.close()
  })
})

test('a peer that is not there, or does not speak the protocol, is unreachable', async () => {
  const client = createDisputeClient({ libp2p: pair.requester.libp2p })
  const demand = testDemand(disputed)
  assert.is((await failure(client.open(pair.provider.peerId, demand))).code, 'unreachable')
  assert.is((await failure(client.open(other.peerId, demand))).code, 'unreachable')
  assert.is((await failure(client.open('nobody', demand))).code, 'unreachable')
  client.close()
  assert.is((await failure(client.open(pair.provider.peerId, demand))).code, 'aborted')
})

test('an honest provider whose requester waited too long is never taken for silent', async () => {
  const clock = createManualClock()
  await hosted({ clock }, async ({ client }) => {
    for (const lingers of [false, true]) {
      const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
      clock.advance(30_000)
      // Whether the stream is still half open or already reset, what the provider said is not lost.
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
      if (lingers) {
        clock.advance(5_000)
        for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
      }
      const error = await failure(session.leaves())
      assert.is(error.code, 'refused', error.message)
      assert.is(error.refusal?.code, 'busy')
      assert.is(faultOf(error.code), 'none')
      session.close()
    }
  })
})

test('an honest provider that stops says so, in the middle of a trace and of a dispute', async () => {
  const running = Promise.withResolvers<AbortSignal>()
  let isFirst = true
  const handler = async (demand: VerifiedDemand, signal: AbortSignal) => {
    if (isFirst) {
      isFirst = false
      return traceOf(pair.provider.signer, demand)
    }
    running.resolve(signal)
    return new Promise<DisputeAnswer>(() => {})
  }
  await hosted({ handler }, async ({ client, stop }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    const opening = client.open(pair.provider.peerId, testDemand(disputed))
    const signal = await running.promise
    await stop()
    assert.is(refusalOf(await opening).code, 'cannot-trace')
    assert.is((await failure(session.leaves())).refusal?.code, 'cannot-trace')
    assert.ok(signal.aborted)
  })
})

test('an honest provider that is cut off is not taken for silent', async () => {
  const running = Promise.withResolvers<void>()
  let isFirst = true
  const handler = async (demand: VerifiedDemand) => {
    if (isFirst) {
      isFirst = false
      return traceOf(pair.provider.signer, demand)
    }
    running.resolve()
    return new Promise<DisputeAnswer>(() => {})
  }
  await hosted({ handler }, async ({ client }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    const opening = failure(client.open(pair.provider.peerId, testDemand(disputed)))
    await running.promise
    for (const connection of pair.provider.libp2p.getConnections()) connection.abort(new Error('a cut cable'))
    assert.is((await opening).code, 'disconnected')
    assert.is((await failure(session.leaves())).code, 'disconnected')
  })
})

test('an honest provider that is overloaded says so before its requester gives up', async () => {
  const gate = Promise.withResolvers<void>()
  const clock = createManualClock()
  const handler = async (demand: VerifiedDemand): Promise<DisputeAnswer> => ({
    ...traceOf(pair.provider.signer, demand),
    operandsOf: async () => {
      await gate.promise
      return OPERANDS
    },
  })
  await hosted({ handler, clock, limits: { tracesPerPeerMax: 1 } }, async ({ client }) => {
    const sessions: DisputeSession[] = []
    for (let count = 0; count < 2; count++) {
      sessions.push(sessionOf(await client.open(pair.provider.peerId, testDemand(disputed))))
    }
    const operands = sessions.map((session) => failure(session.operands('1')))
    await until(() => clock.pending >= 2)
    let isOver = false
    Promise.all(operands).then(() => {
      isOver = true
    })
    while (!isOver) {
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
      clock.advance(1_000)
    }
    for (const error of await Promise.all(operands)) assert.is(error.refusal?.code, 'busy')
    assert.ok(clock.now() < 10_000, `${clock.now()} ms`)
    gate.resolve()
    for (const session of sessions) session.close()
  })
})

test('a closed client takes its sessions with it', async () => {
  await hosted({}, async ({ client, streams }) => {
    const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
    client.close()
    assert.is((await failure(session.leaves())).code, 'aborted')
    await until(() => streams() === 0)
  })
})

test('whose fault an error is, is said in one place', () => {
  const faults: Record<DisputeErrorCode, ReturnType<typeof faultOf>> = {
    unreachable: 'network',
    disconnected: 'network',
    slow: 'network',
    'hung-up': 'silence',
    silent: 'silence',
    refused: 'none',
    'not-comparable': 'none',
    malformed: 'violation',
    'too-large': 'violation',
    'wrong-statement': 'violation',
    'wrong-outputs': 'violation',
    'wrong-leaves': 'violation',
    'wrong-operands': 'violation',
    aborted: 'none',
    'too-many-disputes': 'none',
  }
  for (const [code, fault] of Object.entries(faults))
    assert.is(faultOf(code as DisputeErrorCode), fault, code)
})

test.run()

interface Hosted {
  readonly client: DisputeClient
  /** What the handler was given, in order. */
  readonly demands: readonly VerifiedDemand[]
  readonly errors: readonly Error[]
  streams(): number
  stop(): Promise<void>
}

async function hosted(
  components: Partial<DisputeServerComponents>,
  use: (hosted: Hosted) => Promise<void>,
): Promise<void> {
  const demands: VerifiedDemand[] = []
  const errors: Error[] = []
  const { handler = async (demand: VerifiedDemand) => traceOf(pair.provider.signer, demand), ...others } =
    components
  const server = createDisputeServer({
    libp2p: pair.provider.libp2p,
    signer: pair.provider.signer,
    handler: (demand, signal) => {
      demands.push(demand)
      return handler(demand, signal)
    },
    onError: (_peer, error) => errors.push(error),
    wallClock: () => WALL_MS,
    ...others,
  })
  await server.start()
  const client = createDisputeClient({ libp2p: pair.requester.libp2p })
  const streams = () =>
    pair.provider.libp2p
      .getConnections()
      .flatMap((connection) => connection.streams)
      .filter(({ protocol }) => protocol === '/verimesh/dispute/1.0.0').length
  try {
    await use({ client, demands, errors, streams, stop: server.stop })
  } finally {
    client.close()
    await server.stop()
    await until(() => streams() === 0)
  }
}

function sessionOf(opening: DisputeOpening): DisputeSession {
  if (opening.kind === 'committed') return opening.session
  throw new Error(`refused: ${opening.refusal.code}: ${opening.refusal.message}`)
}

function refusalOf(opening: DisputeOpening) {
  if (opening.kind === 'refused') return opening.refusal
  opening.session.close()
  throw new Error('it was not refused')
}

async function failure(promise: Promise<unknown>): Promise<DisputeError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof DisputeError) return error
    throw error
  }
  throw new Error('it did not fail')
}

const isDisputeError = (error: unknown) => error instanceof DisputeError
const isCode = (code: DisputeErrorCode) => (error: unknown) =>
  error instanceof DisputeError && error.code === code

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
