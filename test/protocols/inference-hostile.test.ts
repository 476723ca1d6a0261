import type { Stream } from '@libp2p/interface'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeFrame, FramedStream, SYSTEM_CLOCK } from '../../protocols/framing/index.ts'
import {
  createInferenceClient,
  createInferenceServer,
  INFERENCE_PROTOCOL,
  type IncomingInference,
  type InferenceAnswer,
  type InferenceClient,
  InferenceError,
  type InferenceErrorCode,
  type InferenceReply,
} from '../../protocols/inference/index.ts'
import { decodeReply, decodeRequest, encodeReply, encodeRequest } from '../../protocols/inference/messages.ts'
import { ReceiptError, type SealedJob, sealReceipt, verifyReceipt } from '../../protocols/receipt/index.ts'
import { SALT, testJob, testReceipt } from '../fixtures/jobs.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'
import { createManualClock } from '../fixtures/manual-clock.ts'
import { readVector } from '../fixtures/vectors.ts'

const INPUTS = new TextEncoder().encode('the inputs of a job')
const OUTPUTS = new TextEncoder().encode('what came of them')
let pair: TestPair
let job: SealedJob
test.before(async () => {
  pair = await createTestPair()
  job = testJob(pair.requester.signer, INPUTS)
})
test.after(() => pair.stop())

test('messages have the bytes that their vectors say, and no others are read', () => {
  const result = { kind: 'result', jobCommitment: job.commitment, outputBytes: 17 } as const
  const refused = {
    kind: 'refused',
    code: 'busy',
    message: '3 jobs wait here already',
    retryAfterMs: 250,
  } as const
  const request = { job: job.envelope, salt: SALT, inputBytes: 19, timeoutMs: 30_000 }
  assert.is(Buffer.from(encodeRequest(request)).toString('hex'), readVector('inference-request').hex)
  assert.is(Buffer.from(encodeReply(result)).toString('hex'), readVector('inference-result').hex)
  assert.is(Buffer.from(encodeReply(refused)).toString('hex'), readVector('inference-refused').hex)
  assert.equal(decodeReply(encodeReply(refused)), refused)
  assert.is(decodeRequest(encodeRequest(request)).timeoutMs, 30_000)
  for (const hex of ['', '0a00', '0a020807', '1a00', '0a0208011200', '1204100a', '0a02080112020a00']) {
    assert.throws(() => decodeReply(Buffer.from(hex, 'hex')), /malformed/, hex)
  }
  assert.throws(() => decodeRequest(encodeRequest({ ...request, inputBytes: 0 })), /malformed/)
  assert.throws(() => decodeRequest(encodeRequest({ ...request, inputBytes: 2 ** 27 })), /malformed/)
  assert.throws(() => decodeRequest(encodeRequest({ ...request, salt: new Uint8Array(31) })), /malformed/)
})

/** What a provider that is not honest does with a request that it has read. */
type Misdeed = (stream: FramedStream, request: { job: Uint8Array; inputs: Uint8Array }) => unknown

const result = (of: SealedJob, bytes: number) =>
  encodeFrame(encodeReply({ kind: 'result', jobCommitment: of.commitment, outputBytes: bytes }))

const MISDEEDS: readonly (readonly [string, Misdeed, InferenceErrorCode])[] = [
  ['a frame that is too long', (stream) => stream.write(Buffer.from('ffff7f', 'hex')), 'frame-too-long'],
  [
    'a reply that is no message',
    (stream) => stream.write(encodeFrame(Buffer.from('ffff', 'hex'))),
    'malformed',
  ],
  ['an empty frame', (stream) => stream.write(Buffer.of(0)), 'malformed'],
  ['more outputs than it allows', (stream) => stream.write(result(job, 1001)), 'frame-too-long'],
  [
    "another job's answer",
    (stream) => stream.write(result(testJob(pair.requester.signer, OUTPUTS), 17), OUTPUTS),
    'wrong-job',
  ],
  ['nothing but the end', (stream) => stream.stream.close(), 'hung-up'],
  ['a reset', (stream) => stream.abort(new Error('no')), 'hung-up'],
  [
    'half a frame and the end',
    (stream) => {
      stream.write(result(job, 17).subarray(0, 5))
      return stream.stream.close()
    },
    'hung-up',
  ],
  [
    'half the outputs and the end',
    (stream) => {
      stream.write(result(job, 17), OUTPUTS.subarray(0, 9))
      return stream.stream.close()
    },
    'hung-up',
  ],
  [
    'outputs without a receipt',
    (stream) => {
      stream.write(result(job, 17), OUTPUTS)
      return stream.stream.close()
    },
    'hung-up',
  ],
  [
    'a receipt that is too long',
    (stream) => stream.write(result(job, 17), OUTPUTS, encodeFrame(new Uint8Array(5000))),
    'frame-too-long',
  ],
  ['an endless wait', () => undefined, 'timeout'],
  ['a frame that stops half-way', (stream) => stream.write(result(job, 17).subarray(0, 5)), 'timeout'],
]
for (const [what, misdeed, code] of MISDEEDS) {
  test(`a requester that gets ${what} fails with ${code}, and its next request is unharmed`, async () => {
    let count = 0
    await provide(
      (stream, request) => (count++ === 0 ? misdeed(stream, request) : answer(stream)),
      async (client) => {
        assert.is(await codeOf(ask(client, code === 'timeout' ? 40 : 10_000)), code)
        assert.equal(Buffer.from(resultOf(await ask(client)).outputs), Buffer.from(OUTPUTS))
      },
    )
  })
}

test('a provider that answers before it has the inputs is found out', async () => {
  await pair.provider.libp2p.handle(INFERENCE_PROTOCOL, (stream) => {
    new FramedStream(stream, SYSTEM_CLOCK).write(result(large, 17), OUTPUTS, sealed(large))
  })
  const inputs = new Uint8Array(16 * 1024 * 1024)
  const large = testJob(pair.requester.signer, inputs)
  const client = createInferenceClient({ libp2p: pair.requester.libp2p })
  const request = {
    job: large.envelope,
    jobCommitment: large.commitment,
    salt: SALT,
    inputs,
    timeoutMs: 10_000,
  }
  assert.is(await codeOf(client.request(pair.provider.peerId, request)), 'malformed')
  client.close()
  await pair.provider.libp2p.unhandle(INFERENCE_PROTOCOL)
})

test('a second answer never becomes the answer of another request', async () => {
  let count = 0
  const late = testJob(pair.requester.signer, OUTPUTS)
  await provide(
    (stream) => {
      answer(stream)
      if (count++ === 0) answer(stream, late)
    },
    async (client) => {
      resultOf(await ask(client))
      // Whether the second answer came before the next request or after it, it is not taken for its answer.
      const next = await codeOf(ask(client))
      assert.ok(next === undefined || next === 'wrong-job' || next === 'malformed', next)
      resultOf(await ask(client))
    },
  )
})

test('a second answer that lies on the stream is thrown away with the stream', async () => {
  const again = Promise.withResolvers<void>()
  let count = 0
  await provide(
    async (stream) => {
      answer(stream)
      if (count++ > 0) return
      await again.promise
      answer(stream)
    },
    async (client) => {
      resultOf(await ask(client))
      const [warm] = pair.requester.libp2p.getConnections().flatMap(({ streams }) => streams)
      const came = new Promise((resolve) => warm!.addEventListener('message', resolve))
      again.resolve()
      await came
      resultOf(await ask(client))
      assert.is(warm!.status, 'aborted')
    },
  )
})

test('an answer that comes after the request was given up is thrown away', async () => {
  const abandoned = Promise.withResolvers<void>()
  let count = 0
  await provide(
    (stream) => {
      if (count++ > 0) return answer(stream)
      stream.stream.addEventListener('close', () => abandoned.resolve())
      return abandoned.promise.then(() => answer(stream)).catch(() => 'the stream is gone')
    },
    async (client) => {
      assert.is(await codeOf(ask(client, 30)), 'timeout')
      await abandoned.promise
      resultOf(await ask(client))
    },
  )
})

/** Receipts that do not verify, and outputs that are not those of the receipt. */
const FORGERIES: readonly (readonly [string, () => { receipt: Uint8Array; outputs: Uint8Array }, string])[] =
  [
    ['a flipped bit', () => ({ receipt: flipped(receiptOf(job)), outputs: OUTPUTS }), 'bad-signature'],
    [
      'a wrong key',
      () => ({
        receipt: sealReceipt(pair.requester.signer, testReceipt(job.commitment, OUTPUTS)),
        outputs: OUTPUTS,
      }),
      'wrong-key',
    ],
    [
      "another job's commitment",
      () => ({ receipt: receiptOf(testJob(pair.requester.signer, OUTPUTS)), outputs: OUTPUTS }),
      'wrong-job',
    ],
    ['other outputs', () => ({ receipt: receiptOf(job), outputs: flipped(OUTPUTS) }), 'wrong-output'],
  ]
for (const [what, forge, code] of FORGERIES) {
  test(`a receipt with ${what} does not verify: ${code}`, async () => {
    await provide(
      (stream) => {
        const { receipt, outputs } = forge()
        stream.write(result(job, outputs.byteLength), outputs, encodeFrame(receipt))
      },
      async (client) => {
        const reply = resultOf(await ask(client))
        const expected = {
          jobCommitment: job.commitment,
          provider: pair.provider.peerId,
          outputDigest: reply.outputDigest,
          outputBytes: reply.outputs.byteLength,
        }
        assert.throws(
          () => verifyReceipt(reply.receipt, expected),
          (error: unknown) => error instanceof ReceiptError && error.code === code,
        )
      },
    )
  })
}

/** What a requester that is not honest begins with. */
const OPENINGS: readonly (readonly [string, () => Uint8Array, string])[] = [
  ['a header that is too long', () => Buffer.from('ffff7f', 'hex'), 'frame-too-long'],
  ['a header that is no message', () => encodeFrame(Buffer.from('ffff', 'hex')), 'malformed'],
  ['an empty frame', () => Buffer.of(0), 'malformed'],
  [
    'a header with one field more',
    () => encodeFrame(Buffer.concat([header(), Buffer.of(0x30, 1)])),
    'malformed',
  ],
]
for (const [what, opening, code] of OPENINGS) {
  test(`a provider that gets ${what} resets the stream: ${code}`, async () => {
    await hostedWith({}, async ({ handled, errors }) => {
      const stream = await pair.dial(INFERENCE_PROTOCOL)
      const closed = closing(stream)
      stream.send(opening())
      assert.is((await closed)?.name, 'StreamResetError')
      const error = await errors.promise
      assert.is(error instanceof InferenceError && error.code, code)
      assert.is(handled(), 0)
    })
  })
}

test('a requester that hangs up in the middle of its inputs leaves nothing behind', async () => {
  await hostedWith({ limits: { peerInputBytesMax: INPUTS.byteLength } }, async ({ handled, streams }) => {
    for (const end of ['close', 'abort'] as const) {
      const stream = await pair.dial(INFERENCE_PROTOCOL)
      stream.send(Buffer.concat([encodeFrame(header()), INPUTS.subarray(0, 5)]))
      if (end === 'close') await stream.close()
      else stream.abort(new Error('gone'))
      await until(() => streams() === 0)
    }
    assert.is(handled(), 0)
    // All of the memory is free again.
    const client = createInferenceClient({ libp2p: pair.requester.libp2p })
    resultOf(await ask(client))
    client.close()
  })
})

test('a requester that sends its inputs a byte now and then is given up', async () => {
  const clock = createManualClock()
  await hostedWith({ clock }, async ({ errors, handled, streams }) => {
    const stream = await pair.dial(INFERENCE_PROTOCOL)
    const closed = closing(stream)
    await until(() => streams() === 1)
    const [theirs] = pair.provider.libp2p.getConnections().flatMap((connection) => connection.streams)
    let came = 0
    theirs!.addEventListener('message', ({ data }) => {
      came += data.byteLength
    })
    stream.send(encodeFrame(header()))
    await until(() => came > 0)
    const before = came
    for (let sent = 1; sent <= 3; sent++) {
      clock.advance(9_999)
      assert.is(theirs!.status, 'open', `after ${sent} bytes`)
      stream.send(Buffer.of(1))
      await until(() => came === before + sent)
    }
    clock.advance(10)
    assert.is((await closed)?.name, 'StreamResetError')
    const error = await errors.promise
    assert.is(error instanceof InferenceError && error.code, 'timeout')
    assert.is(handled(), 0)
  })
})

test('a stream on which nothing is asked is closed', async () => {
  const clock = createManualClock()
  await hostedWith({ clock }, async ({ streams }) => {
    const stream = await pair.dial(INFERENCE_PROTOCOL)
    await until(() => streams() === 1 && clock.pending > 0)
    const ended = new Promise((resolve) => stream.addEventListener('remoteCloseWrite', resolve))
    clock.advance(120_000)
    await ended
    await stream.close()
  })
})

test('a requester that does not take its answer loses it', async () => {
  const clock = createManualClock()
  const outputs = new Uint8Array(32 * 1024 * 1024)
  await hostedWith({ clock, outputs }, async ({ errors }) => {
    const stream = await pair.dial(INFERENCE_PROTOCOL)
    const closed = closing(stream)
    stream.addEventListener('message', () =>
      queueMicrotask(() => stream.readStatus === 'readable' && stream.pause()),
    )
    stream.send(Buffer.concat([encodeFrame(header()), INPUTS]))
    let lost = false
    errors.promise.then(() => {
      lost = true
    })
    // Time goes on in small steps, so that the answer is on its way before its time is over.
    while (!lost) {
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
      clock.advance(3_000)
    }
    const error = await errors.promise
    assert.is(error instanceof InferenceError && error.code, 'timeout')
    assert.is((await closed)?.name, 'StreamResetError')
  })
})

test('a flood of streams is cut off, and those within the limit are served', async () => {
  await hostedWith({}, async () => {
    const streams: Stream[] = []
    for (let count = 0; count < 60; count++) streams.push(await pair.dial(INFERENCE_PROTOCOL))
    await until(() => streams.filter(({ status }) => status === 'reset').length >= 28)
    const open = streams.filter(({ status }) => status === 'open')
    assert.is(open.length, 32)
    const framed = new FramedStream(open[0]!, SYSTEM_CLOCK)
    framed.write(encodeFrame(header()), INPUTS)
    assert.is(decodeReply(await framed.readFrame(2000)).kind, 'result')
    for (const stream of open) stream.abort(new Error('done'))
  })
})

test('requests that are sent ahead of their answers are answered in turn', async () => {
  await hostedWith({}, async () => {
    const framed = new FramedStream(await pair.dial(INFERENCE_PROTOCOL), SYSTEM_CLOCK)
    const one = Buffer.concat([encodeFrame(header()), INPUTS])
    framed.write(one, one, one)
    for (let count = 0; count < 3; count++) {
      const reply = decodeReply(await framed.readFrame(2000))
      assert.is(reply.kind, 'result')
      await framed.discardBytes(OUTPUTS.byteLength)
      await framed.readFrame(2000)
    }
    framed.abort(new Error('done'))
  })
})

test.run()

/** Lets `misdeed` answer whatever is asked, stream by stream. */
async function provide(misdeed: Misdeed, use: (client: InferenceClient) => Promise<void>): Promise<void> {
  await pair.provider.libp2p.handle(INFERENCE_PROTOCOL, async (stream) => {
    const framed = new FramedStream(stream, SYSTEM_CLOCK)
    try {
      for (;;) {
        const { job, inputBytes } = decodeRequest(await framed.readFrame(2000))
        const inputs = await framed.readBytes(new Uint8Array(inputBytes))
        await misdeed(framed, { job, inputs })
      }
    } catch (error) {
      framed.abort(error instanceof Error ? error : new Error('closed'))
    }
  })
  const client = createInferenceClient({ libp2p: pair.requester.libp2p })
  try {
    await use(client)
  } finally {
    client.close()
    await pair.provider.libp2p.unhandle(INFERENCE_PROTOCOL)
  }
}

interface Hosted {
  handled(): number
  /** The first error that the server told. */
  readonly errors: PromiseWithResolvers<Error>
  /** Streams of the protocol that are open at the provider. */
  streams(): number
}

async function hostedWith(
  {
    outputs = OUTPUTS,
    ...components
  }: Partial<Parameters<typeof createInferenceServer>[0]> & { outputs?: Uint8Array },
  use: (hosted: Hosted) => Promise<void>,
): Promise<void> {
  let handled = 0
  const errors = Promise.withResolvers<Error>()
  const server = createInferenceServer({
    libp2p: pair.provider.libp2p,
    handler: async (request: IncomingInference): Promise<InferenceAnswer> => {
      handled++
      const receipt = sealReceipt(pair.provider.signer, testReceipt(request.jobCommitment, outputs))
      return { kind: 'result', outputs, receipt }
    },
    onError: (_peer, error) => errors.resolve(error),
    ...components,
  })
  await server.start()
  const streams = () =>
    pair.provider.libp2p
      .getConnections()
      .flatMap((connection) => connection.streams)
      .filter(({ protocol }) => protocol === INFERENCE_PROTOCOL).length
  try {
    await use({ handled: () => handled, errors, streams })
  } finally {
    await server.stop()
    await until(() => streams() === 0)
  }
}

function header(): Uint8Array {
  return encodeRequest({ job: job.envelope, salt: SALT, inputBytes: INPUTS.byteLength, timeoutMs: 10_000 })
}

function receiptOf(of: SealedJob): Uint8Array {
  return sealReceipt(pair.provider.signer, testReceipt(of.commitment, OUTPUTS))
}

function sealed(of: SealedJob): Uint8Array {
  return encodeFrame(receiptOf(of))
}

function answer(stream: FramedStream, of = job): void {
  stream.write(result(of, OUTPUTS.byteLength), OUTPUTS, sealed(of))
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[copy.byteLength - 1]! ^= 1
  return copy
}

function ask(client: InferenceClient, timeoutMs = 10_000): Promise<InferenceReply> {
  const request = { job: job.envelope, jobCommitment: job.commitment, salt: SALT, inputs: INPUTS, timeoutMs }
  return client.request(pair.provider.peerId, { ...request, outputBytesMax: 1000 })
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

function closing(stream: Stream): Promise<Error | undefined> {
  return new Promise((resolve) => stream.addEventListener('close', (event) => resolve(event.error)))
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
