import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeTensors, encodeTensors } from '../../models/tensor/index.ts'
import { digestValue, hashLeaf, merkleRoot } from '../../models/trace/index.ts'
import {
  createDisputeClient,
  DISPUTE_PROTOCOL,
  type DisputeClient,
  DisputeError,
  type DisputeErrorCode,
  type DisputeOpening,
  type DisputeSession,
} from '../../protocols/dispute/index.ts'
import {
  decodeDemand,
  decodeQuestion,
  encodeReply,
  type QuestionMessage,
  type ReplyMessage,
} from '../../protocols/dispute/messages.ts'
import { encodeLeaves } from '../../protocols/dispute/payloads.ts'
import { sealRefusal } from '../../protocols/dispute/refusal.ts'
import { encodeFrame, FramedStream, SYSTEM_CLOCK } from '../../protocols/framing/index.ts'
import { sealReceipt, sealTraceCommitment, type TraceCommitment } from '../../protocols/receipt/index.ts'
import {
  ANSWER,
  type DisputedJob,
  disputedJob,
  EXACT,
  floats,
  hex,
  OPERANDS,
  other,
  testCommitment,
  testDemand,
  testLeaves,
  WALL_MS,
} from '../fixtures/disputes.ts'
import { testReceipt } from '../fixtures/jobs.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'
import { createManualClock, type ManualClock } from '../fixtures/manual-clock.ts'

let pair: TestPair
let disputed: DisputedJob
test.before(async () => {
  pair = await createTestPair()
  disputed = disputedJob(pair.requester.signer, pair.provider.signer)
})
test.after(() => pair.stop())

/** What a provider that is not honest does with a demand that it has read. */
type Misdeed = (stream: FramedStream) => unknown

const LEAVES = testLeaves(5)

function reply(message: ReplyMessage): Uint8Array {
  return encodeFrame(encodeReply(message))
}

/** The provider's commitment, changed, and the outputs behind it. */
function committed(changes: Partial<TraceCommitment> = {}, signer = pair.provider.signer): Uint8Array {
  const commitment = sealTraceCommitment(signer, testCommitment(disputed, LEAVES, changes))
  return reply({ kind: 'committed', commitment, bytes: EXACT.byteLength })
}

function refusal(jobCommitment = disputed.job.commitment, signer = pair.provider.signer): Uint8Array {
  const words = { code: 'busy', message: 'later', retryAfterMs: 9, refusedAtMs: WALL_MS } as const
  return sealRefusal(signer, { ...words, jobCommitment })
}

/** A job of the same requester on other terms: another model, another policy, another nonce. */
const OTHER_JOBS = [
  ['another job', { nonce: new Uint8Array(16).fill(9) }],
  ['a job for another model', { model: 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdj' }],
  [
    'a job under another policy',
    { policy: { replicas: 3, quorum: 2, referee: true, publicDisputes: false } },
  ],
] as const

const OPENINGS: readonly (readonly [string, Misdeed, DisputeErrorCode])[] = [
  ['a frame that is too long', (stream) => stream.write(Buffer.from('ffff7f', 'hex')), 'too-large'],
  ['no message', (stream) => stream.write(encodeFrame(Buffer.from('ffff', 'hex'))), 'malformed'],
  ['an empty frame', (stream) => stream.write(Buffer.of(0)), 'malformed'],
  [
    'leaves that nobody asked for',
    (stream) => stream.write(reply({ kind: 'leaves', bytes: 1 })),
    'malformed',
  ],
  ['nothing but the end', (stream) => stream.stream.close(), 'hung-up'],
  ['a reset', (stream) => stream.abort(new Error('no')), 'hung-up'],
  ['silence', () => undefined, 'silent'],
  ['half a commitment and silence', (stream) => stream.write(committed().subarray(0, 99)), 'silent'],
  ['a commitment and silence', (stream) => stream.write(committed()), 'silent'],
  [
    'half the outputs and the end',
    (stream) => {
      stream.write(committed(), EXACT.subarray(0, 9))
      return stream.stream.close()
    },
    'hung-up',
  ],
  [
    'other outputs than were committed to',
    (stream) => stream.write(committed(), flipped(EXACT)),
    'wrong-outputs',
  ],
  [
    'more outputs than were committed to',
    (stream) => {
      const commitment = sealTraceCommitment(pair.provider.signer, testCommitment(disputed, LEAVES))
      stream.write(
        reply({ kind: 'committed', commitment, bytes: EXACT.byteLength + 8 }),
        EXACT,
        new Uint8Array(8),
      )
    },
    'wrong-outputs',
  ],
  [
    'a commitment to another length of the same outputs',
    (stream) => stream.write(committed({ outputBytes: 1 }), EXACT),
    'wrong-outputs',
  ],
  [
    'a commitment with a flipped bit',
    (stream) => {
      const commitment = flipped(sealTraceCommitment(pair.provider.signer, testCommitment(disputed, LEAVES)))
      stream.write(reply({ kind: 'committed', commitment, bytes: EXACT.byteLength }), EXACT)
    },
    'wrong-statement',
  ],
  ["another key's commitment", (stream) => stream.write(committed({}, other), EXACT), 'wrong-statement'],
  [
    'a receipt in place of a commitment',
    (stream) =>
      stream.write(
        reply({ kind: 'committed', commitment: disputed.receipt, bytes: EXACT.byteLength }),
        EXACT,
      ),
    'wrong-statement',
  ],
  ...OTHER_JOBS.map(([what, changes]): readonly [string, Misdeed, DisputeErrorCode] => [
    `a commitment to ${what}`,
    (stream) => {
      const { job } = disputedJob(pair.requester.signer, pair.provider.signer, changes)
      stream.write(committed({ jobCommitment: job.commitment }), EXACT)
    },
    'wrong-statement',
  ]),
  [
    'a commitment about another receipt of its own',
    (stream) => {
      const receipt = sealReceipt(
        pair.provider.signer,
        testReceipt(disputed.job.commitment, ANSWER, { startedAtMs: 1_790_000_000_101 }),
      )
      const { receiptDigest } = testCommitment({ job: disputed.job, receipt }, LEAVES)
      stream.write(committed({ receiptDigest }), EXACT)
    },
    'wrong-statement',
  ],
  [
    'a commitment from another wasm',
    (stream) => stream.write(committed({ laneId: '1.30.0+wasm.fedcba9876543210+trace.1' }), EXACT),
    'not-comparable',
  ],
  [
    'a commitment to another plan',
    (stream) => stream.write(committed({ planRoot: new Uint8Array(32) }), EXACT),
    'not-comparable',
  ],
  [
    "another key's refusal",
    (stream) => stream.write(reply({ kind: 'refused', refusal: refusal(undefined, other) })),
    'wrong-statement',
  ],
  [
    'a refusal of another job',
    (stream) => stream.write(reply({ kind: 'refused', refusal: refusal(new Uint8Array(32)) })),
    'wrong-statement',
  ],
  [
    'a refusal with a flipped bit',
    (stream) => stream.write(reply({ kind: 'refused', refusal: flipped(refusal()) })),
    'wrong-statement',
  ],
  [
    'a refusal that is a receipt',
    (stream) => stream.write(reply({ kind: 'refused', refusal: disputed.receipt })),
    'malformed',
  ],
]
for (const [what, misdeed, code] of OPENINGS) {
  test(`a demand that is answered with ${what} fails with ${code}, and the next one is unharmed`, async () => {
    let count = 0
    await provide(
      (stream) => (count++ === 0 ? misdeed(stream) : stream.write(committed(), EXACT)),
      () => undefined,
      async (client, timeIsOver) => {
        const failing = failure(client.open(pair.provider.peerId, testDemand(disputed)))
        if (code === 'silent' || code === 'hung-up') await timeIsOver(code)
        assert.is((await failing).code, code)
        sessionOf(await client.open(pair.provider.peerId, testDemand(disputed))).close()
      },
    )
  })
}

test('a commitment that comes before the inputs is found out', async () => {
  const inputs = new Uint8Array(16 * 1024 * 1024)
  await pair.provider.libp2p.handle(DISPUTE_PROTOCOL, (stream) => {
    new FramedStream(stream, SYSTEM_CLOCK).write(committed(), EXACT)
  })
  const client = createDisputeClient({ libp2p: pair.requester.libp2p })
  const demand = testDemand(disputed, { inputs })
  assert.is((await failure(client.open(pair.provider.peerId, demand))).code, 'malformed')
  client.close()
  await pair.provider.libp2p.unhandle(DISPUTE_PROTOCOL)
})

test('a refusal that comes before the inputs are sent ends the demand at once', async () => {
  const inputs = new Uint8Array(16 * 1024 * 1024)
  await pair.provider.libp2p.handle(DISPUTE_PROTOCOL, (stream) => {
    new FramedStream(stream, SYSTEM_CLOCK).write(reply({ kind: 'refused', refusal: refusal() }))
  })
  const client = createDisputeClient({ libp2p: pair.requester.libp2p })
  const opening = await client.open(pair.provider.peerId, testDemand(disputed, { inputs }))
  assert.is(opening.kind === 'refused' && opening.refusal.retryAfterMs, 9)
  client.close()
  await pair.provider.libp2p.unhandle(DISPUTE_PROTOCOL)
})

/** Leaves, sent as they are. */
function sent(leaves: readonly Uint8Array[]): Misdeed {
  return (stream) => {
    const raw = Buffer.concat(encodeLeaves(leaves))
    stream.write(reply({ kind: 'leaves', bytes: raw.byteLength }), raw)
  }
}

const LEAF_MISDEEDS: readonly (readonly [string, Misdeed, DisputeErrorCode])[] = [
  ['silence', () => undefined, 'silent'],
  ['the end', (stream) => stream.stream.close(), 'hung-up'],
  ['a reset', (stream) => stream.abort(new Error('no')), 'hung-up'],
  ['a signed refusal', (stream) => stream.write(reply({ kind: 'refused', refusal: refusal() })), 'refused'],
  [
    "another key's refusal",
    (stream) => stream.write(reply({ kind: 'refused', refusal: refusal(undefined, other) })),
    'wrong-statement',
  ],
  [
    'operands',
    (stream) => stream.write(reply({ kind: 'operands', bytes: 16 }), new Uint8Array(16)),
    'malformed',
  ],
  ['another commitment', (stream) => stream.write(committed(), EXACT), 'malformed'],
  [
    'more bytes than five leaves can have',
    (stream) => stream.write(reply({ kind: 'leaves', bytes: 2 ** 23 })),
    'too-large',
  ],
  [
    'half of them and silence',
    (stream) => stream.write(reply({ kind: 'leaves', bytes: 690 }), new Uint8Array(99)),
    'silent',
  ],
  ['one leaf too few', sent(LEAVES.slice(1)), 'wrong-leaves'],
  ['one leaf too many', sent([...LEAVES, LEAVES[4]!]), 'wrong-leaves'],
  ['two leaves swapped', sent([LEAVES[1]!, LEAVES[0]!, ...LEAVES.slice(2)]), 'wrong-leaves'],
  ['a flipped bit in a leaf', sent([...LEAVES.slice(0, 4), flipped(LEAVES[4]!)]), 'wrong-leaves'],
  ['no leaves', sent([]), 'wrong-leaves'],
  [
    'a length that reaches beyond the end',
    (stream) => {
      const raw = Buffer.concat(encodeLeaves(LEAVES))
      // Of the last of five leaves of 134 bytes.
      raw.writeUInt32LE(135, 4 * (4 + 134))
      stream.write(reply({ kind: 'leaves', bytes: raw.byteLength }), raw)
    },
    'wrong-leaves',
  ],
]
for (const [what, misdeed, code] of LEAF_MISDEEDS) {
  test(`who asks for leaves and gets ${what} fails with ${code}`, async () => {
    await provide(
      (stream) => stream.write(committed(), EXACT),
      misdeed,
      async (client, timeIsOver) => {
        const session = await opened(client)
        const failing = failure(session.leaves())
        if (code === 'silent' || code === 'hung-up') await timeIsOver(code)
        assert.is((await failing).code, code)
        // What failed once is not tried again on the same stream, unless it was refused in due form.
        if (code !== 'refused') assert.is((await failure(session.operands('1'))).code, code)
        session.close()
      },
    )
  })
}

test('a node of the tree does not pass for a leaf, nor a leaf for a tree of another size', async () => {
  const [left, right] = LEAVES.slice(0, 2).map(hashLeaf) as [Uint8Array, Uint8Array]
  const traceRoot = merkleRoot([left, right])
  const shapes: readonly (readonly [string, number, readonly Uint8Array[]])[] = [
    ['two hashes in one leaf', 1, [Buffer.concat([left, right])]],
    ['two hashes and the prefix of a node', 1, [Buffer.concat([Buffer.of(1), left, right])]],
    ['two hashes as two leaves', 2, [left, right]],
    ['a leaf twice for a tree of three', 3, [LEAVES[0]!, LEAVES[1]!, LEAVES[1]!]],
  ]
  for (const [what, leafCount, leaves] of shapes) {
    await provide(
      (stream) => stream.write(committed({ leafCount, traceRoot }), EXACT),
      sent(leaves),
      async (client) => {
        const session = await opened(client)
        assert.is((await failure(session.leaves())).code, 'wrong-leaves', what)
      },
    )
  }
  await provide(
    (stream) => stream.write(committed({ leafCount: 2, traceRoot }), EXACT),
    sent(LEAVES.slice(0, 2)),
    async (client) => {
      const session = await opened(client)
      assert.is((await session.leaves()).length, 2)
      session.close()
    },
  )
})

/** A payload of operands, sent as it is. */
function payload(bytes: Uint8Array): Misdeed {
  return (stream) => stream.write(reply({ kind: 'operands', bytes: bytes.byteLength }), bytes)
}

function renamed(name: (digest: string) => string): Uint8Array {
  return encodeTensors(decodeTensors(OPERANDS).map((tensor) => ({ ...tensor, name: name(tensor.name) })))
}

const stranger = floats('', [9, 9])
const OPERAND_MISDEEDS: readonly (readonly [string, Misdeed, DisputeErrorCode])[] = [
  ['silence', () => undefined, 'silent'],
  ['the end', (stream) => stream.stream.close(), 'hung-up'],
  ['a signed refusal', (stream) => stream.write(reply({ kind: 'refused', refusal: refusal() })), 'refused'],
  ['leaves', sent(LEAVES), 'malformed'],
  [
    'more than a payload may have',
    (stream) => stream.write(encodeFrame(Buffer.from('08041888808020', 'hex'))),
    'malformed',
  ],
  ['no payload', payload(new Uint8Array(64)), 'wrong-operands'],
  ['a payload cut short', payload(OPERANDS.subarray(0, -8)), 'wrong-operands'],
  ['a payload with more behind it', payload(Buffer.concat([OPERANDS, new Uint8Array(8)])), 'wrong-operands'],
  ['a flipped bit in a value', payload(flippedAt(OPERANDS, OPERANDS.byteLength - 5)), 'wrong-operands'],
  ['names in capitals', payload(renamed((name) => name.toUpperCase())), 'wrong-operands'],
  ['names that are no digests', payload(renamed((name) => `x${name}`)), 'wrong-operands'],
  [
    'operands of another step',
    payload(encodeTensors([{ ...stranger, name: hex(digestValue(stranger)) }])),
    'wrong-operands',
  ],
  [
    'the same bytes as another element type',
    payload(encodeTensors(decodeTensors(OPERANDS).map((tensor) => ({ ...tensor, dtype: 'int32' })))),
    'wrong-operands',
  ],
  [
    'the same bytes in another shape',
    payload(
      encodeTensors(decodeTensors(OPERANDS).map((tensor) => ({ ...tensor, dims: [1, tensor.dims[0]!] }))),
    ),
    'wrong-operands',
  ],
]
for (const [what, misdeed, code] of OPERAND_MISDEEDS) {
  test(`who asks for operands and gets ${what} fails with ${code}`, async () => {
    await provide(
      (stream) => stream.write(committed(), EXACT),
      (stream, question) => (question.kind === 'leaves' ? sent(LEAVES)(stream) : misdeed(stream)),
      async (client, timeIsOver) => {
        const session = await opened(client)
        await session.leaves()
        const failing = failure(session.operands('2'))
        if (code === 'silent' || code === 'hung-up') await timeIsOver(code)
        assert.is((await failing).code, code)
        session.close()
      },
    )
  })
}

test('who is still sending when the time is over was slow, and who stopped long before was silent', async () => {
  const half = EXACT.subarray(0, 16)
  for (const [afterMs, code] of [
    [9_999, 'slow'],
    [2_000, 'silent'],
  ] as const) {
    const sent = Promise.withResolvers<FramedStream>()
    const clock = createManualClock()
    await provide(
      async (stream) => {
        stream.write(committed(), half.subarray(0, 8))
        sent.resolve(stream)
      },
      () => undefined,
      async (client) => {
        const failing = failure(client.open(pair.provider.peerId, testDemand(disputed)))
        const stream = await sent.promise
        await turns()
        clock.advance(afterMs)
        stream.write(half.subarray(8))
        await turns()
        clock.advance(10_000 - afterMs)
        assert.is((await failing).code, code)
      },
      { clock },
    )
  }
})

test('operands that are larger than a mebibyte are digested in pieces', async () => {
  const large = floats(
    '',
    Array.from({ length: 700_000 }, (_, index) => index),
  )
  const small = floats('', [1])
  const bytes = encodeTensors([large, small].map((value) => ({ ...value, name: hex(digestValue(value)) })))
  let pauses = 0
  const pause = async () => {
    pauses++
  }
  for (const [sentBytes, code] of [
    [bytes, undefined],
    [flippedAt(bytes, bytes.byteLength - 100), 'wrong-operands'],
  ] as const) {
    await provide(
      (stream) => stream.write(committed(), EXACT),
      payload(sentBytes),
      async (client) => {
        const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
        if (code === undefined) assert.is((await session.operands('0')).byteLength, bytes.byteLength)
        else assert.is((await failure(session.operands('0'))).code, code)
        session.close()
      },
      { pause },
    )
    assert.ok(pauses >= 2, `${pauses} pauses`)
    pauses = 0
  }
})

test('a caller that gives up waiting, and a session that is closed, end what is under way', async () => {
  await provide(
    (stream) => stream.write(committed(), EXACT),
    () => undefined,
    async (client) => {
      const session = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
      const cancel = new AbortController()
      const leaves = failure(session.leaves(cancel.signal))
      const operands = failure(session.operands('1'))
      cancel.abort()
      assert.is((await leaves).code, 'aborted')
      assert.is((await operands).code, 'aborted')
      const another = sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
      const waiting = failure(another.leaves())
      another.close()
      assert.is((await waiting).code, 'aborted')
    },
  )
})

test.run()

/**
 * Lets `onDemand` answer every demand and `onQuestion` every question after it. `timeIsOver` lets the requester's time pass
 * once the last of what came was answered or not.
 */
async function provide(
  onDemand: Misdeed,
  onQuestion: (stream: FramedStream, question: QuestionMessage) => unknown,
  use: (client: DisputeClient, timeIsOver: (code: 'silent' | 'hung-up') => Promise<void>) => Promise<void>,
  {
    clock = createManualClock(),
    pause,
  }: { readonly clock?: ManualClock; readonly pause?: () => Promise<void> } = {},
): Promise<void> {
  let handled = 0
  await pair.provider.libp2p.handle(DISPUTE_PROTOCOL, async (stream) => {
    const framed = new FramedStream(stream, SYSTEM_CLOCK)
    try {
      const { inputBytes } = decodeDemand(await framed.readFrame(10_000))
      await framed.discardBytes(inputBytes)
      await onDemand(framed)
      for (;;) {
        handled++
        await onQuestion(framed, decodeQuestion(await framed.readFrame(200)))
      }
    } catch (error) {
      framed.abort(error instanceof Error ? error : new Error('closed'))
    }
  })
  const client = createDisputeClient({ libp2p: pair.requester.libp2p, clock, ...(pause && { pause }) })
  const timeIsOver = async (code: 'silent' | 'hung-up') => {
    const before = handled
    while (handled === before) await new Promise((resolve) => setImmediate(resolve))
    await turns()
    // Whether the connection holds is waited for.
    clock.advance(code === 'silent' ? 10_000 : 500)
  }
  try {
    await use(client, timeIsOver)
  } finally {
    client.close()
    await pair.provider.libp2p.unhandle(DISPUTE_PROTOCOL)
  }
}

async function opened(client: DisputeClient): Promise<DisputeSession> {
  return sessionOf(await client.open(pair.provider.peerId, testDemand(disputed)))
}

function sessionOf(opening: DisputeOpening): DisputeSession {
  if (opening.kind === 'committed') return opening.session
  throw new Error(`refused: ${opening.refusal.code}: ${opening.refusal.message}`)
}

/** Long enough for what was sent over loopback to be there. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
}

function flipped(bytes: Uint8Array): Uint8Array {
  return flippedAt(bytes, bytes.byteLength - 1)
}

function flippedAt(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice()
  copy[at]! ^= 1
  return copy
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
