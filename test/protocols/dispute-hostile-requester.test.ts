import type { Stream } from '@libp2p/interface'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeTensors } from '../../models/tensor/index.ts'
import {
  createDisputeServer,
  DISPUTE_PROTOCOL,
  type DisputeAnswer,
  DisputeError,
  type DisputeServerComponents,
  openRefusal,
  type SignedRefusal,
  type VerifiedDemand,
} from '../../protocols/dispute/index.ts'
import {
  type DemandMessage,
  decodeReply,
  encodeDemand,
  encodeQuestion,
  type ReplyMessage,
} from '../../protocols/dispute/messages.ts'
import { encodeFrame, FramedStream, SYSTEM_CLOCK } from '../../protocols/framing/index.ts'
import { type Receipt, sealReceipt } from '../../protocols/receipt/index.ts'
import {
  ANSWER,
  type DisputedJob,
  disputedJob,
  EXACT,
  floats,
  hex,
  INPUTS,
  LANE_ID,
  OTHER_ANSWER,
  other,
  testLeaves,
  traceOf,
  WALL_MS,
} from '../fixtures/disputes.ts'
import { SALT, testReceipt } from '../fixtures/jobs.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'
import { createManualClock } from '../fixtures/manual-clock.ts'

let pair: TestPair
let disputed: DisputedJob
test.before(async () => {
  pair = await createTestPair()
  disputed = disputedJob(pair.requester.signer, pair.provider.signer)
})
test.after(() => pair.stop())

function message(of: DisputedJob = disputed, changes: Partial<DemandMessage> = {}): DemandMessage {
  return {
    job: of.job.envelope,
    salt: SALT,
    receipt: of.receipt,
    conflicting: of.conflicting,
    inputBytes: INPUTS.byteLength,
    timeoutMs: 10_000,
    laneId: LANE_ID,
    ...changes,
  }
}

/** What a requester that is not honest begins with. */
const OPENINGS: readonly (readonly [string, () => Uint8Array, string])[] = [
  ['a demand that is too long', () => Buffer.from('ffff7f', 'hex'), 'too-large'],
  ['no message', () => encodeFrame(Buffer.from('ffff', 'hex')), 'malformed'],
  ['an empty frame', () => Buffer.of(0), 'malformed'],
  [
    'a demand with one field more',
    () => encodeFrame(Buffer.concat([encodeDemand(message()), Buffer.of(0x40, 1)])),
    'malformed',
  ],
  [
    'a demand without a job',
    () => encodeFrame(encodeDemand(message(disputed, { job: disputed.receipt }))),
    'malformed',
  ],
  ['a question before any demand', () => encodeFrame(encodeQuestion({ kind: 'leaves' })), 'malformed'],
]
for (const [what, opening, code] of OPENINGS) {
  test(`a provider that gets ${what} resets the stream: ${code}`, async () => {
    await hosted({}, async ({ demands, errors }) => {
      const stream = await pair.dial(DISPUTE_PROTOCOL)
      const closed = closing(stream)
      stream.send(opening())
      assert.is((await closed)?.name, 'StreamResetError')
      await until(() => errors.length === 1)
      assert.is(codeOf(errors[0]), code)
      assert.is(demands.length, 0)
    })
  })
}

const stranger = () => disputedJob(other, pair.provider.signer)
const anotherJob = () =>
  disputedJob(pair.requester.signer, pair.provider.signer, { nonce: new Uint8Array(16) })
const receiptBy = (signer: typeof other, outputs: Uint8Array, changes: Partial<Receipt> = {}) =>
  sealReceipt(signer, testReceipt(disputed.job.commitment, outputs, changes))
const { runtime: NATIVE } = testReceipt(new Uint8Array(32), EXACT)
const EXACT_RUNTIME = { ...NATIVE, lane: 'exact', version: LANE_ID } as const

/** Demands that nothing is executed for, and a word of the refusal. */
const INVALID: readonly (readonly [string, () => DemandMessage, RegExp])[] = [
  ["another requester's job", () => message(stranger()), /but .* asks/],
  [
    'a job with a forged signature',
    () => message(disputed, { job: flipped(disputed.job.envelope) }),
    /signature/,
  ],
  [
    'another count of input bytes',
    () => message(disputed, { inputBytes: INPUTS.byteLength + 8 }),
    /bytes of inputs/,
  ],
  [
    'a job without a referee',
    () =>
      message(
        disputedJob(pair.requester.signer, pair.provider.signer, {
          policy: { replicas: 2, quorum: 2, referee: false, publicDisputes: false },
        }),
      ),
    /referee/,
  ],
  [
    "somebody else's receipt in place of its own",
    () => message(disputed, { receipt: receiptBy(other, ANSWER) }),
    /not this node/,
  ],
  [
    'its own receipt with a flipped bit',
    () => message(disputed, { receipt: flipped(disputed.receipt) }),
    /signature/,
  ],
  [
    'its own receipt for another job',
    () => message(disputed, { receipt: anotherJob().receipt }),
    /another job/,
  ],
  [
    'its own receipt of another lane',
    () => message(disputed, { receipt: receiptBy(pair.provider.signer, ANSWER, { runtime: EXACT_RUNTIME }) }),
    /another lane/,
  ],
  [
    'its own receipt of the day before yesterday',
    () =>
      message(disputed, {
        receipt: receiptBy(pair.provider.signer, ANSWER, {
          startedAtMs: WALL_MS - 172_800_000,
          finishedAtMs: WALL_MS - 172_800_000,
        }),
      }),
    /too old/,
  ],
  [
    'a conflicting receipt by itself',
    () => message(disputed, { conflicting: receiptBy(pair.provider.signer, OTHER_ANSWER) }),
    /both/,
  ],
  [
    'a conflicting receipt that agrees',
    () => message(disputed, { conflicting: receiptBy(other, ANSWER) }),
    /agree/,
  ],
  [
    'a conflicting receipt with a flipped bit',
    () => message(disputed, { conflicting: flipped(disputed.conflicting) }),
    /signature/,
  ],
  [
    'a conflicting receipt for another job',
    () => message(disputed, { conflicting: anotherJob().conflicting }),
    /another job/,
  ],
  [
    'a job in place of a receipt',
    () => message(disputed, { conflicting: disputed.job.envelope }),
    /statement/,
  ],
  ['another salt', () => message(disputed, { salt: new Uint8Array(32) }), /inputs/],
]
for (const [what, demand, why] of INVALID) {
  test(`a demand with ${what} is refused, and nothing is executed`, async () => {
    await hosted({}, async ({ demands }) => {
      const refusal = await refusedWith(demand(), INPUTS)
      assert.is(refusal.code, 'invalid-demand')
      assert.match(refusal.message, why)
      assert.is(refusal.provider, pair.provider.peerId)
      assert.is(demands.length, 0)
      assert.is((await ask(message(), INPUTS)).kind, 'committed')
    })
  })
}

test('a requester that gives two providers different inputs under one job gets a trace of one of them alone', async () => {
  await hosted({}, async ({ demands }) => {
    const others = encodeTensors([floats('x', [1, 3])])
    assert.is(others.byteLength, INPUTS.byteLength)
    const refusal = await refusedWith(message(), others)
    assert.is(refusal.code, 'invalid-demand')
    assert.match(refusal.message, /inputs/)
    assert.is(demands.length, 0)
    assert.is((await ask(message(), INPUTS)).kind, 'committed')
  })
})

test('in the exact lane the two receipts are of one lane', async () => {
  const exact = disputedJob(pair.requester.signer, pair.provider.signer, { lane: 'exact' })
  const seal = (signer: typeof other, outputs: Uint8Array, version: string = LANE_ID) =>
    sealReceipt(
      signer,
      testReceipt(exact.job.commitment, outputs, { runtime: { ...EXACT_RUNTIME, version } }),
    )
  const receipt = seal(pair.provider.signer, ANSWER)
  await hosted({}, async () => {
    const good = message(exact, { receipt, conflicting: seal(other, OTHER_ANSWER) })
    assert.is((await ask(good, INPUTS)).kind, 'committed')
    const bad = message(exact, { receipt, conflicting: seal(other, OTHER_ANSWER, '1.26.0') })
    assert.match((await refusedWith(bad, INPUTS)).message, /cannot be compared/)
    assert.match((await refusedWith(message(exact), INPUTS)).message, /another lane/)
    const native = message(exact, { receipt, conflicting: exact.conflicting })
    assert.match((await refusedWith(native, INPUTS)).message, /another lane/)
    // An exact run contradicts a native answer, whoever ran it.
    const conflicting = receiptBy(other, OTHER_ANSWER, { runtime: EXACT_RUNTIME })
    assert.is((await ask(message(disputed, { conflicting }), INPUTS)).kind, 'committed')
  })
})

test('a receipt of a day ago is answered for, to the millisecond', async () => {
  const { finishedAtMs } = testReceipt(disputed.job.commitment, ANSWER)
  let wallMs = finishedAtMs + 86_400_000
  await hosted({ wallClock: () => wallMs }, async () => {
    assert.is((await ask(message(), INPUTS)).kind, 'committed')
    wallMs++
    assert.match((await refusedWith(message(), INPUTS)).message, /too old/)
    // A clock that was set back is no reason to refuse.
    wallMs = 0
    assert.is((await ask(message(), INPUTS)).kind, 'committed')
  })
})

test('a demand that is over budget is refused before its inputs were sent', async () => {
  await hosted({ limits: { demandsBurst: 1, demandIntervalMs: 9_000 } }, async ({ demands }) => {
    assert.is((await ask(message(), INPUTS)).kind, 'committed')
    const refusal = await refusedWith(message(), new Uint8Array(0))
    assert.is(refusal.code, 'busy')
    assert.ok(refusal.retryAfterMs > 8_000 && refusal.retryAfterMs <= 9_000, `${refusal.retryAfterMs} ms`)
    assert.is(hex(refusal.jobCommitment), hex(disputed.job.commitment))
    assert.is(demands.length, 1)
  })
})

test('a flood of demands is refused one by one, and traces at once stay as few as they may be', async () => {
  let atOnce = 0
  let most = 0
  const gate = Promise.withResolvers<void>()
  const handler = async (demand: VerifiedDemand) => {
    most = Math.max(most, ++atOnce)
    await gate.promise
    atOnce--
    return traceOf(pair.provider.signer, demand)
  }
  await hosted({ handler }, async ({ demands, errors }) => {
    const replies = Array.from({ length: 12 }, () => ask(message(), INPUTS))
    // Two are traced; ten are told to come again without waiting for them.
    const refused = new Set<number>()
    replies.forEach((reply, index) => {
      reply.then(({ kind }) => kind === 'refused' && refused.add(index))
    })
    await until(() => refused.size === 10)
    gate.resolve()
    const kinds = (await Promise.all(replies)).map(({ kind }) => kind)
    assert.is(kinds.filter((kind) => kind === 'committed').length, 2)
    assert.is(most, 2)
    assert.is(demands.length, 2)
    assert.equal(errors, [])
  })
})

test('a flood of streams is cut off, and those within the limit are served', async () => {
  await hosted({}, async () => {
    const streams: Stream[] = []
    for (let count = 0; count < 40; count++) streams.push(await pair.dial(DISPUTE_PROTOCOL))
    await until(() => streams.filter(({ status }) => status === 'reset').length >= 24)
    const open = streams.filter(({ status }) => status === 'open')
    assert.is(open.length, 16)
    const framed = new FramedStream(open[0]!, SYSTEM_CLOCK)
    framed.write(encodeFrame(encodeDemand(message())), INPUTS)
    assert.is(decodeReply(await framed.readFrame(5000)).kind, 'committed')
    for (const stream of open) stream.abort(new Error('done'))
  })
})

test('a requester that hangs up in the middle leaves nothing behind', async () => {
  const limits = { sessionsPerPeerMax: 1, tracesPerPeerMax: 1, peerBytesMax: 2000 }
  await hosted({ limits }, async ({ demands, streams, errors }) => {
    for (const end of ['close', 'abort'] as const) {
      const stream = await pair.dial(DISPUTE_PROTOCOL)
      stream.send(Buffer.concat([encodeFrame(encodeDemand(message())), INPUTS.subarray(0, 9)]))
      if (end === 'close') await stream.close()
      else stream.abort(new Error('gone'))
      await until(() => streams() === 0)
    }
    assert.is(demands.length, 0)
    assert.is((await ask(message(), INPUTS)).kind, 'committed')
    await until(() => streams() === 0)
    assert.is((await ask(message(), INPUTS)).kind, 'committed')
    assert.equal(errors, [])
  })
})

/** What a requester sends while time goes on, and by when the stream is reset. */
const SLOW: readonly (readonly [string, (demand: Uint8Array) => readonly Uint8Array[], number])[] = [
  ['nothing', () => [], 5_000],
  ['a demand without its inputs', (demand) => [demand], 5_000],
]
for (const [what, pieces, byMs] of SLOW) {
  test(`a requester that sends ${what} is given up`, async () => {
    const clock = createManualClock()
    await hosted({ clock }, async ({ errors, demands }) => {
      const stream = await pair.dial(DISPUTE_PROTOCOL)
      const closed = closing(stream)
      const came = received()
      const bytes = Buffer.concat(pieces(encodeFrame(encodeDemand(message()))))
      if (bytes.byteLength > 0) stream.send(bytes)
      await until(() => clock.pending > 0 && came() === bytes.byteLength)
      // The bound on the inputs is the sooner of the two where they are few.
      clock.advance(byMs)
      assert.is((await closed)?.name, 'StreamResetError')
      await until(() => errors.length === 1)
      assert.is(codeOf(errors[0]), 'silent')
      assert.is(demands.length, 0)
    })
  })
}

test('a requester that sends its inputs a byte now and then is given up, and nobody waits for it', async () => {
  const clock = createManualClock()
  await hosted({ clock, limits: { tracesMax: 1 } }, async ({ errors, demands }) => {
    const stream = await pair.dial(DISPUTE_PROTOCOL)
    const closed = closing(stream)
    await until(() => clock.pending > 0)
    const came = received()
    const demand = encodeFrame(encodeDemand(message()))
    stream.send(demand)
    await until(() => came() === demand.byteLength)
    for (let sent = 1; sent <= 3; sent++) {
      clock.advance(600)
      assert.is(stream.status, 'open', `after ${sent} bytes`)
      stream.send(INPUTS.subarray(sent - 1, sent))
      await until(() => came() === demand.byteLength + sent)
    }
    // The only place is not its own before its inputs are there.
    const framed = new FramedStream(await pair.dial(DISPUTE_PROTOCOL), SYSTEM_CLOCK)
    framed.write(demand, INPUTS)
    assert.is(decodeReply(await framed.readFrame(5000)).kind, 'committed')
    framed.abort(new Error('done'))
    clock.advance(300)
    assert.is((await closed)?.name, 'StreamResetError')
    await until(() => errors.length === 1)
    assert.is(codeOf(errors[0]), 'silent')
    assert.is(demands.length, 1)
  })
})

test('a requester that asks nothing is told that it waited too long, and so is one that never stops asking', async () => {
  const clock = createManualClock()
  await hosted({ clock, limits: { sessionsPerPeerMax: 1 } }, async ({ errors }) => {
    const idle = await open()
    const closed = closing(idle.stream)
    clock.advance(29_999)
    assert.is((await refusedWith(message(), INPUTS)).code, 'busy')
    clock.advance(1)
    const refusal = await readReply(idle.framed)
    assert.is(refusal.kind === 'refused' && openRefusal(refusal.refusal).code, 'busy')
    // Its place is free before its stream is gone.
    const busy = await open()
    const cut = closing(busy.stream)
    clock.advance(5_000)
    assert.is((await closed)?.name, 'StreamResetError')

    for (let position = 0; position < 5; position++) {
      clock.advance(20_000)
      busy.framed.write(encodeFrame(encodeQuestion({ kind: 'operands', position: `${position}` })))
      assert.is((await readReply(busy.framed)).kind, 'operands')
    }
    clock.advance(15_000)
    const ended = await readReply(busy.framed)
    assert.is(ended.kind === 'refused' && openRefusal(ended.refusal).code, 'busy')
    clock.advance(5_000)
    assert.is((await cut)?.name, 'StreamResetError')
    assert.equal(errors, [])
  })
})

test('more questions than a dispute needs, or one twice, end it', async () => {
  const handler = async (demand: VerifiedDemand) => traceOf(pair.provider.signer, demand, testLeaves(17))
  await hosted({ handler }, async ({ errors }) => {
    const { framed, stream } = await open()
    const closed = closing(stream)
    const questions = [
      { kind: 'leaves' },
      ...Array.from({ length: 17 }, (_, step) => ({ kind: 'operands', position: `${step}` }) as const),
    ] as const
    framed.write(...questions.map((question) => encodeFrame(encodeQuestion(question))))
    assert.is((await closed)?.name, 'StreamResetError')
    await until(() => errors.length === 1)
    assert.is(codeOf(errors[0]), 'malformed')
    for (const question of [questions[0], questions[1]!]) {
      const twice = await open()
      const ended = closing(twice.stream)
      const frame = encodeFrame(encodeQuestion(question))
      twice.framed.write(frame, frame)
      assert.is((await ended)?.name, 'StreamResetError', question.kind)
    }
  })
})

test('a requester that does not take its answer loses it', async () => {
  const clock = createManualClock()
  const outputs = new Uint8Array(8 * 1024 * 1024)
  const handler = async (demand: VerifiedDemand): Promise<DisputeAnswer> => ({
    ...traceOf(pair.provider.signer, demand),
    outputs,
  })
  await hosted({ clock, handler }, async ({ errors }) => {
    const stream = await pair.dial(DISPUTE_PROTOCOL)
    const closed = closing(stream)
    stream.addEventListener('message', () =>
      queueMicrotask(() => stream.readStatus === 'readable' && stream.pause()),
    )
    stream.send(Buffer.concat([encodeFrame(encodeDemand(message())), INPUTS]))
    // Time goes on in small steps, so that the answer is on its way before its time is over.
    while (errors.length === 0) {
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
      clock.advance(1_000)
    }
    assert.is(codeOf(errors[0]), 'silent')
    assert.is((await closed)?.name, 'StreamResetError')
  })
})

test('what was told to stop keeps its place until it has stopped', async () => {
  const stuck = Promise.withResolvers<DisputeAnswer>()
  const handler = () => stuck.promise
  await hosted({ handler, limits: { tracesPerPeerMax: 1 } }, async ({ demands, streams }) => {
    const stream = await pair.dial(DISPUTE_PROTOCOL)
    stream.send(Buffer.concat([encodeFrame(encodeDemand(message())), INPUTS]))
    await until(() => demands.length === 1)
    stream.abort(new Error('gone'))
    await until(() => streams() === 0)
    // Told before its inputs were sent.
    assert.is((await refusedWith(message(), new Uint8Array(0))).code, 'busy')
    stuck.resolve({ kind: 'refused', code: 'cannot-trace', message: 'too late', retryAfterMs: 0 })
    await stuck.promise
    await new Promise((resolve) => setImmediate(resolve))
    assert.is((await refusedWith(message(), INPUTS)).message, 'too late')
  })
})

test('operands wait for a place, as a trace would, and are given up with their requester', async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let asked = 0
  const signals: AbortSignal[] = []
  const handler = async (demand: VerifiedDemand): Promise<DisputeAnswer> => {
    const answer = traceOf(pair.provider.signer, demand)
    return {
      ...answer,
      operandsOf: async (position, signal) => {
        signals.push(signal)
        await gates[asked++]!.promise
        return answer.operandsOf(position, signal)
      },
    }
  }
  await hosted({ handler, limits: { tracesPerPeerMax: 1 } }, async ({ errors }) => {
    const [first, second] = [await open(), await open()]
    for (const { framed } of [first, second]) {
      framed.write(encodeFrame(encodeQuestion({ kind: 'operands', position: '1' })))
    }
    await until(() => asked === 1)
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.is(asked, 1)
    first.stream.abort(new Error('gone'))
    await until(() => signals[0]!.aborted)
    gates[0]!.resolve()
    await until(() => asked === 2)
    gates[1]!.resolve()
    assert.is((await readReply(second.framed)).kind, 'operands')
    second.stream.abort(new Error('done'))
    assert.equal(errors, [])
  })
})

test.run()

interface Hosted {
  readonly demands: readonly VerifiedDemand[]
  readonly errors: readonly Error[]
  /** Streams of the protocol that are open at the provider. */
  streams(): number
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
  const streams = () => providerStreams().length
  try {
    await use({ demands, errors, streams })
  } finally {
    await server.stop()
    await until(() => streams() === 0)
  }
}

function providerStreams(): Stream[] {
  return pair.provider.libp2p
    .getConnections()
    .flatMap((connection) => connection.streams)
    .filter(({ protocol }) => protocol === DISPUTE_PROTOCOL)
}

/** Counts the bytes that come to the newest stream of the provider from now on. */
function received(): () => number {
  let bytes = 0
  providerStreams()
    .at(-1)
    ?.addEventListener('message', ({ data }) => {
      bytes += data.byteLength
    })
  return () => bytes
}

/** A stream on which the provider has committed, and its outputs were read. */
async function open(): Promise<{ framed: FramedStream; stream: Stream }> {
  const stream = await pair.dial(DISPUTE_PROTOCOL)
  const framed = new FramedStream(stream, SYSTEM_CLOCK)
  framed.write(encodeFrame(encodeDemand(message())), INPUTS)
  const reply = await readReply(framed)
  assert.is(reply.kind, 'committed')
  return { framed, stream }
}

async function readReply(framed: FramedStream): Promise<ReplyMessage> {
  const reply = decodeReply(await framed.readFrame(5000))
  if (reply.kind !== 'refused') await framed.discardBytes(reply.bytes)
  return reply
}

/** Sends a demand and `inputs` on a stream of its own, and reads the reply. */
async function ask(demand: DemandMessage, inputs: Uint8Array): Promise<ReplyMessage> {
  const framed = new FramedStream(await pair.dial(DISPUTE_PROTOCOL), SYSTEM_CLOCK)
  framed.write(encodeFrame(encodeDemand(demand)), inputs)
  const reply = await readReply(framed)
  framed.abort(new Error('done'))
  return reply
}

async function refusedWith(demand: DemandMessage, inputs: Uint8Array): Promise<SignedRefusal> {
  const reply = await ask(demand, inputs)
  if (reply.kind !== 'refused') throw new Error(`it was ${reply.kind}`)
  return openRefusal(reply.refusal)
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[copy.byteLength - 1]! ^= 1
  return copy
}

function codeOf(error: unknown): string {
  return error instanceof DisputeError ? error.code : String(error)
}

function closing(stream: Stream): Promise<Error | undefined> {
  return new Promise((resolve) => stream.addEventListener('close', (event) => resolve(event.error)))
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
