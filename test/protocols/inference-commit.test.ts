/** Answers that are committed to before they are shown, and providers and requesters who do not keep to it. */
import { randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { digestTensors } from '../../models/tensor/index.ts'
import { encodeFrame, FramedStream, SYSTEM_CLOCK } from '../../protocols/framing/index.ts'
import {
  createInferenceClient,
  createInferenceServer,
  INFERENCE_PROTOCOL,
  type InferenceAnswer,
  type InferenceClient,
  InferenceError,
  type InferenceErrorCode,
  type InferenceReply,
  type InferenceServerComponents,
} from '../../protocols/inference/index.ts'
import {
  decodeReply,
  decodeRequest,
  decodeReveal,
  encodeReply,
  encodeRequest,
  encodeReveal,
} from '../../protocols/inference/messages.ts'
import { commitToOutput } from '../../protocols/inference/output-commitment.ts'
import { type SealedJob, sealReceipt } from '../../protocols/receipt/index.ts'
import { SALT, testJob, testReceipt } from '../fixtures/jobs.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'
import { createManualClock } from '../fixtures/manual-clock.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { until } from '../fixtures/until.ts'
import { readVector } from '../fixtures/vectors.ts'

const INPUTS = new TextEncoder().encode('the inputs of a job')
const OUTPUTS = new TextEncoder().encode('what came of them')
const OTHERS = new TextEncoder().encode('what others found')
const BLINDING = new Uint8Array(32).fill(0xb1)
let pair: TestPair
let job: SealedJob
test.before(async () => {
  pair = await createTestPair()
  job = testJob(pair.requester.signer, INPUTS)
})
test.after(() => pair.stop())

test('messages have the bytes that their vectors say, and no others are read', () => {
  const { jobCommitment, commitment } = committed({ peerId: seededSigner(2).peerId })
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const request = { job: job.envelope, salt: SALT, inputBytes: 19, timeoutMs: 30_000, commitMs: 10_000 }
  assert.is(hex(encodeRequest(request)), readVector('inference-request-commit').hex)
  const said = encodeReply({ kind: 'committed', jobCommitment, commitment })
  const { hex: wanted, fields } = readVector('inference-committed')
  assert.is(hex(said), wanted)
  assert.equal(
    [fields.blinding, fields.outputDigest, fields.peerId],
    [hex(BLINDING), hex(digestTensors(SALT, OUTPUTS)), seededSigner(2).peerId],
  )
  assert.is(hex(encodeReveal(jobCommitment)), readVector('inference-reveal').hex)
  const shown = { kind: 'result', jobCommitment, outputBytes: 17, blinding: BLINDING } as const
  assert.is(hex(encodeReply(shown)), readVector('inference-revealed').hex)

  assert.is(decodeRequest(encodeRequest(request)).commitMs, 10_000)
  assert.is(decodeRequest(encodeRequest({ ...request, commitMs: 0 })).commitMs, 0)
  assert.throws(() => decodeRequest(encodeRequest({ ...request, commitMs: 60_001 })), /malformed/)
  assert.equal(hex(decodeReveal(encodeReveal(jobCommitment))), hex(jobCommitment))
  for (const bytes of ['', '0a00', `0a1f${'00'.repeat(31)}`, `0a20${'00'.repeat(32)}1001`]) {
    assert.throws(() => decodeReveal(Buffer.from(bytes, 'hex')), /malformed/, bytes)
  }
  for (const short of [
    { commitment: commitment.subarray(1) },
    { jobCommitment: jobCommitment.subarray(1) },
  ]) {
    const bad = encodeReply({ kind: 'committed', jobCommitment, commitment, ...short })
    assert.throws(() => decodeReply(bad), /malformed/)
  }
  assert.throws(() => decodeReply(encodeReply({ ...shown, blinding: BLINDING.subarray(1) })), /malformed/)
  // A result and a commitment at once.
  assert.throws(() => decodeReply(Buffer.concat([encodeReply(shown), said])), /malformed/)
})

test('a commitment binds blinding, job, outputs and key, and its parts cannot run together', () => {
  const base = { blinding: BLINDING, jobCommitment: job.commitment, outputDigest: SALT, peerId: 'key' }
  const flip = (bytes: Uint8Array) => bytes.map((byte, at) => (at === 31 ? byte ^ 1 : byte))
  const all = [
    base,
    { ...base, blinding: flip(BLINDING) },
    { ...base, jobCommitment: flip(job.commitment) },
    { ...base, outputDigest: flip(SALT) },
    { ...base, peerId: 'kez' },
  ].map((parts) => Buffer.from(commitToOutput(parts)).toString('hex'))
  assert.is(new Set(all).size, all.length)
  for (const field of ['blinding', 'jobCommitment', 'outputDigest'] as const) {
    assert.throws(() => commitToOutput({ ...base, [field]: new Uint8Array(31) }), RangeError, field)
  }
})

test('nothing of an answer is sent before it is asked for, and then all of it', async () => {
  let handled = 0
  const handler = async (): Promise<InferenceAnswer> => {
    handled++
    return honest()
  }
  await serve({ handler }, async (client) => {
    const pass = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    let came = 0
    const reply = ask(client, {
      barrier: () => {
        const [stream] = pair.requester.libp2p
          .getConnections()
          .flatMap(({ streams }) => streams)
          .filter(({ protocol }) => protocol === INFERENCE_PROTOCOL)
        stream!.addEventListener('message', ({ data }) => {
          came += data.byteLength
        })
        reached.resolve()
        return pass.promise
      },
    })
    await reached.promise
    assert.is(handled, 1)
    // A second request on another stream goes there and back meanwhile.
    await ask(client)
    assert.is(came, 0)
    pass.resolve()
    assert.equal(Buffer.from(resultOf(await reply).outputs), Buffer.from(OUTPUTS))
    assert.ok(came > OUTPUTS.byteLength)
  })
})

test('whoever wants no commitment is answered at once, and the two kinds share a stream', async () => {
  await serve({ handler: async () => honest() }, async (client) => {
    for (const commit of [undefined, {}, undefined]) resultOf(await ask(client, commit, 'plain'))
    resultOf(await ask(client))
    const streams = pair.requester.libp2p.getConnections().flatMap((connection) => connection.streams)
    assert.is(streams.filter(({ protocol }) => protocol === INFERENCE_PROTOCOL).length, 1)
  })
})

test('two answers to one job are committed to with different blindings', async () => {
  const seen: string[] = []
  await serve({ handler: async () => honest() }, async () => {
    const framed = new FramedStream(await pair.dial(INFERENCE_PROTOCOL), SYSTEM_CLOCK)
    for (let count = 0; count < 2; count++) {
      framed.write(encodeFrame(header()), INPUTS)
      const reply = decodeReply(await framed.readFrame(2000))
      assert.is(reply.kind, 'committed')
      if (reply.kind === 'committed') seen.push(Buffer.from(reply.commitment).toString('hex'))
      framed.write(encodeFrame(encodeReveal(job.commitment)))
      await framed.readFrame(2000)
      await framed.discardBytes(OUTPUTS.byteLength)
      await framed.readFrame(2000)
    }
    framed.abort(new Error('done'))
  })
  assert.is(new Set(seen).size, 2)
})

test('a refusal comes in place of a commitment, and is no fault', async () => {
  const refusal = { kind: 'refused', code: 'busy', message: 'not now', retryAfterMs: 5 } as const
  let reached = 0
  const barrier = async () => void reached++
  await serve({ handler: async () => refusal }, async (client) => {
    assert.equal(await ask(client, { barrier }), refusal)
  })
  await serve({ admit: () => refusal, handler: async () => honest() }, async (client) => {
    assert.equal(await ask(client, { barrier }), refusal)
  })
  assert.is(reached, 0)
})

test('the provider is told how long it has to commit, and no longer', async () => {
  const times: number[] = []
  const handler: InferenceServerComponents['handler'] = async ({ timeoutMs }) => {
    times.push(timeoutMs)
    return honest()
  }
  await serve({ handler }, async (client) => {
    await ask(client, { withinMs: 700 })
    await ask(client, undefined, 'plain')
  })
  assert.ok(times[0]! > 0 && times[0]! <= 700, String(times[0]))
  assert.is(times[1], 30_000)
})

test('a barrier that fails fails the request with its own reason', async () => {
  await serve({ handler: async () => honest() }, async (client) => {
    const barrier = async () => {
      throw new InferenceError('timeout', 'the window had closed')
    }
    await rejects(ask(client, { barrier }), 'timeout')
    resultOf(await ask(client))
  })
})

test('a request can be cancelled at the barrier, and the provider learns of it', async () => {
  const controller = new AbortController()
  await serve({ handler: async () => honest() }, async (client) => {
    const barrier = () => {
      controller.abort()
      return new Promise<void>(() => {})
    }
    await rejects(ask(client, { barrier }, controller.signal), 'aborted')
    resultOf(await ask(client))
  })
})

/** What a provider does where an honest one commits, and then where an honest one shows its answer. */
interface Misdeed {
  readonly first: (stream: FramedStream) => unknown
  readonly second?: (stream: FramedStream) => unknown
}

const commits = (stream: FramedStream, change: Partial<Parameters<typeof commitToOutput>[0]> = {}) =>
  stream.write(encodeFrame(encodeReply({ kind: 'committed', ...committed(change) })))

function shows(
  stream: FramedStream,
  outputs: Uint8Array = OUTPUTS,
  blinding: Uint8Array | 'none' = BLINDING,
): void {
  const result = { kind: 'result', jobCommitment: job.commitment, outputBytes: outputs.byteLength } as const
  const reply = encodeReply(blinding === 'none' ? result : { ...result, blinding })
  stream.write(encodeFrame(reply), outputs, encodeFrame(receiptOf(outputs)))
}

const MISDEEDS: readonly (readonly [string, Misdeed, InferenceErrorCode])[] = [
  ['an answer at once', { first: (stream) => shows(stream, OUTPUTS, 'none') }, 'malformed'],
  ['an answer at once, with a blinding', { first: (stream) => shows(stream) }, 'malformed'],
  ['nothing', { first: () => undefined }, 'timeout'],
  [
    "another job's commitment",
    {
      first: (stream) => {
        const { commitment } = committed()
        const { commitment: jobCommitment } = testJob(pair.requester.signer, OTHERS)
        stream.write(encodeFrame(encodeReply({ kind: 'committed', jobCommitment, commitment })))
      },
    },
    'wrong-job',
  ],
  [
    'a commitment and its answer unasked',
    {
      first: (stream) => {
        commits(stream)
        shows(stream)
      },
    },
    'malformed',
  ],
  // A copier: it commits to something, and shows what it has from elsewhere.
  [
    "others' outputs under a commitment to its own",
    { first: (stream) => commits(stream), second: (stream) => shows(stream, OTHERS) },
    'broken-commitment',
  ],
  [
    'its outputs under another blinding',
    { first: (stream) => commits(stream), second: (stream) => shows(stream, OUTPUTS, SALT) },
    'broken-commitment',
  ],
  [
    'its outputs without a blinding',
    { first: (stream) => commits(stream), second: (stream) => shows(stream, OUTPUTS, 'none') },
    'broken-commitment',
  ],
  // A copier that hands on the commitment of another provider, and its blinding and outputs once it has them.
  [
    "another key's commitment as its own",
    {
      first: (stream) => commits(stream, { peerId: seededSigner(9).peerId }),
      second: (stream) => shows(stream),
    },
    'broken-commitment',
  ],
  [
    'a commitment that was made for another job',
    {
      first: (stream) =>
        commits(stream, { jobCommitment: testJob(pair.requester.signer, OTHERS).commitment }),
      second: (stream) => shows(stream),
    },
    'broken-commitment',
  ],
  [
    'a commitment to nothing',
    {
      first: (stream) => {
        const { jobCommitment } = committed()
        const commitment = randomBytes(32)
        stream.write(encodeFrame(encodeReply({ kind: 'committed', jobCommitment, commitment })))
      },
      second: (stream) => shows(stream),
    },
    'broken-commitment',
  ],
  [
    'a second commitment',
    { first: (stream) => commits(stream), second: (stream) => commits(stream) },
    'malformed',
  ],
  [
    'a refusal of what it had committed to',
    {
      first: (stream) => commits(stream),
      second: (stream) =>
        stream.write(
          encodeFrame(encodeReply({ kind: 'refused', code: 'busy', message: 'after all', retryAfterMs: 1 })),
        ),
    },
    'withheld',
  ],
  [
    'a commitment and the end',
    { first: (stream) => commits(stream), second: (stream) => stream.abort(new Error('no')) },
    'hung-up',
  ],
]
for (const [what, misdeed, code] of MISDEEDS) {
  test(`a requester that gets ${what} fails with ${code}, and its next request is unharmed`, async () => {
    let count = 0
    const correct: Misdeed = { first: (stream) => commits(stream), second: (stream) => shows(stream) }
    await provide(
      () => (count++ === 0 ? misdeed : correct),
      async (client) => {
        await rejects(ask(client, { withinMs: code === 'timeout' ? 40 : 10_000 }), code)
        resultOf(await ask(client))
      },
    )
  })
}

test('a provider that commits and then says nothing is found out after its time, in the clock of the requester', async () => {
  const clock = createManualClock()
  const asked = Promise.withResolvers<void>()
  await provide(
    () => ({ first: (stream) => commits(stream), second: () => asked.resolve() }),
    async (client) => {
      const failing = codeOf(ask(client))
      await asked.promise
      clock.advance(9_999)
      await new Promise((resolve) => setImmediate(resolve))
      clock.advance(1)
      assert.is(await failing, 'withheld')
    },
    clock,
  )
})

test('a provider that hangs up at the barrier is noticed while others are waited for', async () => {
  await provide(
    () => ({
      first: (stream) => {
        commits(stream)
        // After what it has said was sent.
        setImmediate(() => stream.abort(new Error('gone')))
      },
    }),
    async (client) => {
      await rejects(ask(client, { barrier: () => new Promise(() => {}) }), 'hung-up')
    },
  )
})

test('a request that waits for a stream until its time to commit is over blames nobody', async () => {
  const blocked = Promise.withResolvers<void>()
  const handler = async (): Promise<InferenceAnswer> => {
    await blocked.promise
    return honest()
  }
  await serve({ handler }, async (client) => {
    const running = Array.from({ length: 30 }, () => ask(client))
    await rejects(ask(client, { withinMs: 20 }), 'too-many-requests')
    blocked.resolve()
    for (const reply of await Promise.all(running)) resultOf(reply)
  })
})

/** What a requester says where an honest one asks for the answer. */
const DEMANDS: readonly (readonly [string, () => Uint8Array, InferenceErrorCode])[] = [
  ['a reveal of another job', () => encodeFrame(encodeReveal(SALT)), 'wrong-job'],
  ['the next request', () => Buffer.concat([encodeFrame(header()), INPUTS]), 'frame-too-long'],
  ['no message', () => encodeFrame(Buffer.from('ffff', 'hex')), 'malformed'],
]
for (const [what, demand, code] of DEMANDS) {
  test(`a provider that gets ${what} after its commitment shows nothing and resets the stream: ${code}`, async () => {
    const told = Promise.withResolvers<Error>()
    await serve(
      { handler: async () => honest(), onError: (_peer, error) => told.resolve(error) },
      async () => {
        const stream = await pair.dial(INFERENCE_PROTOCOL)
        const closed = closing(stream)
        const framed = new FramedStream(stream, SYSTEM_CLOCK)
        framed.write(encodeFrame(header()), INPUTS)
        assert.is(decodeReply(await framed.readFrame(2000)).kind, 'committed')
        framed.write(demand())
        const error = await told.promise
        assert.is(error instanceof InferenceError && error.code, code)
        assert.is((await closed)?.name, 'StreamResetError')
        assert.is(framed.unreadBytes, 0)
      },
    )
  })
}

test('an answer that nobody asks for is not kept for longer than the requester may take', async () => {
  const clock = createManualClock()
  const told = Promise.withResolvers<Error>()
  const components = { clock, onError: (_peer: string, error: Error) => told.resolve(error) }
  await serve({ handler: async () => honest(), ...components }, async () => {
    const stream = await pair.dial(INFERENCE_PROTOCOL)
    const closed = closing(stream)
    const framed = new FramedStream(stream, SYSTEM_CLOCK)
    framed.write(encodeFrame(header({ commitMs: 2_000 })), INPUTS)
    assert.is(decodeReply(await framed.readFrame(2000)).kind, 'committed')
    let isTold = false
    told.promise.then(() => {
      isTold = true
    })
    clock.advance(11_999)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.not(isTold, 'before its time')
    clock.advance(1)
    const error = await told.promise
    assert.is(error instanceof InferenceError && error.code, 'timeout')
    assert.is((await closed)?.name, 'StreamResetError')
  })
})

test('what is kept until it is asked for is bounded by peer, and the bound is free again afterwards', async () => {
  const limits = { peerCommittedBytesMax: OUTPUTS.byteLength }
  await serve({ handler: async () => honest(), limits }, async (client) => {
    const pass = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    const first = ask(client, {
      barrier: () => {
        reached.resolve()
        return pass.promise
      },
    })
    await reached.promise
    const second = await ask(client)
    assert.is(second.kind === 'refused' && second.code, 'busy')
    // It takes nothing from those who want no commitment.
    resultOf(await ask(client, undefined, 'plain'))
    pass.resolve()
    resultOf(await first)
    resultOf(await ask(client))
  })
})

test('a requester that goes away at the barrier leaves nothing behind', async () => {
  const limits = { peerCommittedBytesMax: OUTPUTS.byteLength }
  await serve({ handler: async () => honest(), limits }, async (client) => {
    for (const end of ['close', 'abort'] as const) {
      const stream = await pair.dial(INFERENCE_PROTOCOL)
      const framed = new FramedStream(stream, SYSTEM_CLOCK)
      framed.write(encodeFrame(header()), INPUTS)
      assert.is(decodeReply(await framed.readFrame(2000)).kind, 'committed')
      if (end === 'close') await stream.close()
      else stream.abort(new Error('gone'))
      await until('the answer is forgotten', async () => (await ask(client)).kind === 'result')
    }
  })
})

test.run()

function committed(change: Partial<Parameters<typeof commitToOutput>[0]> = {}) {
  const commitment = commitToOutput({
    blinding: BLINDING,
    jobCommitment: job.commitment,
    outputDigest: digestTensors(SALT, OUTPUTS),
    peerId: pair.provider.peerId,
    ...change,
  })
  return { jobCommitment: job.commitment, commitment }
}

function honest(): Extract<InferenceAnswer, { kind: 'result' }> {
  return { kind: 'result', outputs: OUTPUTS, receipt: receiptOf(OUTPUTS) }
}

function receiptOf(outputs: Uint8Array): Uint8Array {
  return sealReceipt(pair.provider.signer, testReceipt(job.commitment, outputs))
}

function header({ commitMs = 10_000 } = {}): Uint8Array {
  const { envelope } = job
  return encodeRequest({
    job: envelope,
    salt: SALT,
    inputBytes: INPUTS.byteLength,
    timeoutMs: 30_000,
    commitMs,
  })
}

/** Asks for a commitment, unless it is `plain`. */
function ask(
  client: InferenceClient,
  { withinMs = 10_000, barrier = async () => {} }: { withinMs?: number; barrier?: () => Promise<void> } = {},
  how?: AbortSignal | 'plain',
): Promise<InferenceReply> {
  const request = { job: job.envelope, jobCommitment: job.commitment, salt: SALT, inputs: INPUTS }
  const terms = { ...request, timeoutMs: 30_000 }
  if (how === 'plain') return client.request(pair.provider.peerId, terms)
  return client.request(pair.provider.peerId, { ...terms, commit: { withinMs, barrier } }, how)
}

async function serve(
  components: Omit<InferenceServerComponents, 'libp2p'>,
  use: (client: InferenceClient) => Promise<void>,
): Promise<void> {
  const server = createInferenceServer({ libp2p: pair.provider.libp2p, ...components })
  await server.start()
  const client = createInferenceClient({ libp2p: pair.requester.libp2p })
  try {
    await use(client)
  } finally {
    client.close()
    await server.stop()
  }
}

/** Lets misdeeds answer, one for each request. */
async function provide(
  next: () => Misdeed,
  use: (client: InferenceClient) => Promise<void>,
  clock = SYSTEM_CLOCK,
): Promise<void> {
  await pair.provider.libp2p.handle(INFERENCE_PROTOCOL, async (stream) => {
    const framed = new FramedStream(stream, SYSTEM_CLOCK)
    try {
      for (;;) {
        const { inputBytes } = decodeRequest(await framed.readFrame(2000))
        await framed.readBytes(new Uint8Array(inputBytes))
        const { first, second } = next()
        await first(framed)
        if (second === undefined) continue
        assert.is(Buffer.compare(decodeReveal(await framed.readFrame(64)), job.commitment), 0)
        await second(framed)
      }
    } catch (error) {
      framed.abort(error instanceof Error ? error : new Error('closed'))
    }
  })
  const client = createInferenceClient({ libp2p: pair.requester.libp2p, clock })
  try {
    await use(client)
  } finally {
    client.close()
    await pair.provider.libp2p.unhandle(INFERENCE_PROTOCOL)
  }
}

function resultOf(reply: InferenceReply): Extract<InferenceReply, { kind: 'result' }> {
  if (reply.kind === 'result') return reply
  throw new Error(`refused: ${reply.code}: ${reply.message}`)
}

async function codeOf(promise: Promise<unknown>): Promise<InferenceErrorCode | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    if (error instanceof InferenceError) return error.code
    throw error
  }
}

async function rejects(promise: Promise<unknown>, code: InferenceErrorCode): Promise<void> {
  assert.is(await codeOf(promise), code)
}

function closing(stream: Stream): Promise<Error | undefined> {
  return new Promise((resolve) => stream.addEventListener('close', (event) => resolve(event.error)))
}
