import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { digestTensors } from '../../models/tensor/index.ts'
import {
  createInferenceClient,
  createInferenceServer,
  INFERENCE_PROTOCOL,
  type IncomingInference,
  type InferenceAnswer,
  type InferenceClient,
  InferenceError,
  type InferenceErrorCode,
  type InferenceHeader,
  type InferenceReply,
  type InferenceServerComponents,
  STREAMS_MAX,
} from '../../protocols/inference/index.ts'
import { sealReceipt, verifyReceipt } from '../../protocols/receipt/index.ts'
import { SALT, testJob, testReceipt } from '../fixtures/jobs.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'

const OUTPUTS = new TextEncoder().encode('what came of them')
let pair: TestPair
test.before(async () => {
  pair = await createTestPair()
})
test.after(() => pair.stop())

test('a job goes there and an answer with its receipt comes back, over TLS and over noise', async () => {
  for (const encryption of ['tls', 'noise'] as const) {
    const own = await createTestPair(encryption)
    const incoming: IncomingInference[] = []
    const server = createInferenceServer({
      libp2p: own.provider.libp2p,
      handler: async (request) => {
        incoming.push(request)
        return answerOf(own, request, OUTPUTS)
      },
    })
    await server.start()
    const client = createInferenceClient({ libp2p: own.requester.libp2p })
    const inputs = new TextEncoder().encode('the inputs of a job')
    const job = testJob(own.requester.signer, inputs)
    const request = {
      job: job.envelope,
      jobCommitment: job.commitment,
      salt: SALT,
      inputs,
      timeoutMs: 5000.5,
    }
    const reply = resultOf(await client.request(own.provider.peerId, request))
    assert.equal(Buffer.from(reply.outputs), Buffer.from(OUTPUTS))
    verifyReceipt(reply.receipt, {
      jobCommitment: job.commitment,
      provider: own.provider.peerId,
      outputDigest: reply.outputDigest,
      outputBytes: reply.outputs.byteLength,
    })
    assert.is(reply.bytesSent > inputs.byteLength, true)
    assert.is(reply.bytesReceived > OUTPUTS.byteLength, true)
    const [seen] = incoming
    assert.is(seen?.remotePeer, own.requester.peerId)
    assert.is(seen?.job.requester, own.requester.peerId)
    assert.is(seen?.timeoutMs, 5001)
    assert.equal(Buffer.from(seen!.jobCommitment), Buffer.from(job.commitment))
    assert.equal(Buffer.from(seen!.inputs), Buffer.from(inputs))
    assert.is(seen!.inputs.byteOffset % 8, 0, 'aligned, so that tensors can look into it')
    client.close()
    await server.stop()
    await own.stop()
  }
})

test('megabytes go both ways whole, many at once', async () => {
  const outputs = new Uint8Array(3 * 1024 * 1024 + 1).map((_, index) => index * 7)
  await serve({ handler: async (request) => answerOf(pair, request, outputs) }, async (client) => {
    const inputs = new Uint8Array(2 * 1024 * 1024 + 3).map((_, index) => index * 13)
    const replies = await Promise.all(Array.from({ length: 6 }, () => ask(client, inputs)))
    for (const reply of replies) {
      assert.ok(Buffer.from(resultOf(reply).outputs).equals(outputs))
      assert.equal(Buffer.from(resultOf(reply).outputDigest), Buffer.from(digestTensors(SALT, outputs)))
    }
  })
})

test('one stream serves many requests, and no more streams are opened than requests are under way', async () => {
  let running = 0
  let runningMax = 0
  const handler = async (request: IncomingInference): Promise<InferenceAnswer> => {
    runningMax = Math.max(runningMax, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    return answerOf(pair, request, OUTPUTS)
  }
  await serve({ handler }, async (client) => {
    for (let count = 0; count < 20; count++) resultOf(await ask(client))
    assert.is(openStreams(), 1)
    const replies = await Promise.all(Array.from({ length: 100 }, () => ask(client)))
    assert.is(replies.filter(({ kind }) => kind === 'result').length, 100)
    assert.ok(openStreams() <= STREAMS_MAX, `${openStreams()} streams`)
    assert.ok(runningMax <= STREAMS_MAX && runningMax > 1, `${runningMax} at once`)
  })
})

test('a refusal reaches the requester in full, and the stream stays warm', async () => {
  const refusal = { code: 'busy', message: '3 jobs wait here already', retryAfterMs: 250 } as const
  await serve({ handler: async () => ({ kind: 'refused', ...refusal }) }, async (client) => {
    assert.equal(await ask(client), { kind: 'refused', ...refusal })
    assert.equal(await ask(client), { kind: 'refused', ...refusal })
    assert.is(openStreams(), 1)
  })
})

test('a refusal that is too long is cut between characters', async () => {
  const message = 'é'.repeat(600)
  const handler = async (): Promise<InferenceAnswer> => ({
    kind: 'refused',
    code: 'failed',
    message,
    retryAfterMs: 0.2,
  })
  await serve({ handler }, async (client) => {
    const reply = await ask(client)
    assert.is(reply.kind === 'refused' ? reply.message : '', 'é'.repeat(512))
    assert.is(reply.kind === 'refused' ? reply.retryAfterMs : 0, 1)
  })
})

test('a provider that refuses before it takes the inputs never calls its handler, however large they are', async () => {
  const headers: InferenceHeader[] = []
  let handled = 0
  const components = {
    admit: (header: InferenceHeader) => {
      headers.push(header)
      return { code: 'busy', message: 'not now', retryAfterMs: 5 } as const
    },
    handler: async (request: IncomingInference) => {
      handled++
      return answerOf(pair, request, OUTPUTS)
    },
  }
  await serve(components, async (client) => {
    for (const bytes of [10, 8 * 1024 * 1024, 10]) {
      const reply = await ask(client, new Uint8Array(bytes))
      assert.is(reply.kind === 'refused' && reply.code, 'busy', `${bytes} bytes`)
    }
  })
  assert.is(handled, 0)
  assert.equal(
    headers.map(({ inputBytes }) => inputBytes),
    [10, 8 * 1024 * 1024, 10],
  )
})

test('a requester that is refused while it sends stops sending', async () => {
  const admit = () => ({ code: 'busy', message: 'not now', retryAfterMs: 5 }) as const
  await serve({ admit, handler: () => new Promise(() => {}) }, async (client) => {
    const reply = await ask(client, new Uint8Array(48 * 1024 * 1024))
    assert.is(reply.kind === 'refused' && reply.code, 'busy')
    assert.is(openStreams(), 0)
  })
})

test('inputs that do not fit into memory are refused as busy', async () => {
  const release = Promise.withResolvers<void>()
  const handler = async (request: IncomingInference) => {
    await release.promise
    return answerOf(pair, request, OUTPUTS)
  }
  await serve({ handler, limits: { peerInputBytesMax: 100 } }, async (client) => {
    const first = ask(client, new Uint8Array(60))
    const refused = await ask(client, new Uint8Array(60))
    assert.is(refused.kind === 'refused' && refused.code, 'busy')
    const small = ask(client, new Uint8Array(40))
    release.resolve()
    resultOf(await first)
    resultOf(await small)
    resultOf(await ask(client, new Uint8Array(100)))
  })
})

test('a job that is not what it should be is refused as invalid before its inputs are taken', async () => {
  let handled = 0
  const handler = async (request: IncomingInference) => {
    handled++
    return answerOf(pair, request, OUTPUTS)
  }
  await serve({ handler }, async (client) => {
    const inputs = new Uint8Array(20)
    const good = testJob(pair.requester.signer, inputs)
    const foreign = testJob(pair.provider.signer, inputs)
    const jobs = [
      { job: foreign.envelope, why: /names .* as its requester/ },
      { job: testJob(pair.requester.signer, new Uint8Array(21)).envelope, why: /states 21 bytes/ },
      { job: new Uint8Array(10), why: /malformed/ },
    ]
    for (const { job, why } of jobs) {
      const request = { job, jobCommitment: good.commitment, salt: SALT, inputs, timeoutMs: 5000 }
      const reply = await client.request(pair.provider.peerId, request)
      assert.is(reply.kind === 'refused' && reply.code, 'invalid-job', String(why))
      assert.match(reply.kind === 'refused' ? reply.message : '', why)
    }
    assert.is(openStreams(), 1)
  })
  assert.is(handled, 0)
})

test('a forged signature is found while the handler works, which is told to stop and whose answer nobody gets', async () => {
  const signals: AbortSignal[] = []
  const handler = async (request: IncomingInference, signal: AbortSignal) => {
    signals.push(signal)
    return answerOf(pair, request, OUTPUTS)
  }
  const errors: string[] = []
  await serve({ handler, onError: (_peer, error) => errors.push(error.message) }, async (client) => {
    const inputs = new Uint8Array(20)
    const { envelope, commitment } = testJob(pair.requester.signer, inputs)
    const forged = envelope.slice()
    forged[forged.byteLength - 1]! ^= 1
    const request = { job: forged, jobCommitment: commitment, salt: SALT, inputs, timeoutMs: 5000 }
    const reply = await client.request(pair.provider.peerId, request)
    assert.is(reply.kind === 'refused' && reply.code, 'invalid-job')
    assert.match(reply.kind === 'refused' ? reply.message : '', /signature/)
    assert.is(openStreams(), 1)
  })
  assert.equal(
    signals.map((signal) => signal.aborted),
    [true],
  )
  assert.is(errors.length, 1)
})

test('a handler that throws refuses that job and no other', async () => {
  const errors: string[] = []
  let count = 0
  const components = {
    handler: async (request: IncomingInference) => {
      if (count++ === 0) throw new Error('secret path /home')
      return answerOf(pair, request, OUTPUTS)
    },
    onError: (_peer: string, error: Error) => errors.push(error.message),
  }
  await serve(components, async (client) => {
    const reply = await ask(client)
    assert.is(reply.kind === 'refused' && reply.code, 'failed')
    assert.not.match(reply.kind === 'refused' ? reply.message : '', /secret/)
    resultOf(await ask(client))
    assert.equal(errors, ['secret path /home'])
  })
})

test('cancelling tells the provider, and others are not disturbed', async () => {
  const cancelled = Promise.withResolvers<void>()
  const controller = new AbortController()
  let count = 0
  const handler = (request: IncomingInference, signal: AbortSignal): Promise<InferenceAnswer> => {
    if (count++ > 0) return Promise.resolve(answerOf(pair, request, OUTPUTS))
    signal.addEventListener('abort', () => cancelled.resolve())
    controller.abort()
    return new Promise(() => {})
  }
  await serve({ handler }, async (client) => {
    await rejects(ask(client, undefined, { signal: controller.signal }), 'aborted')
    await cancelled.promise
    resultOf(await ask(client))
    await rejects(ask(client, undefined, { signal: AbortSignal.abort() }), 'aborted')
  })
})

test('a provider that never answers costs the request its time and no more', async () => {
  const gone = Promise.withResolvers<void>()
  const handler = (_request: IncomingInference, signal: AbortSignal): Promise<InferenceAnswer> => {
    signal.addEventListener('abort', () => gone.resolve())
    return new Promise(() => {})
  }
  await serve({ handler }, async (client) => {
    await rejects(ask(client, undefined, { timeoutMs: 30 }), 'timeout')
    await gone.promise
  })
})

test('requests beyond the streams wait their turn; waiting can be cancelled and times out', async () => {
  const release = Promise.withResolvers<void>()
  const handler = async (request: IncomingInference) => {
    await release.promise
    return answerOf(pair, request, OUTPUTS)
  }
  await serve({ handler }, async (client) => {
    const running = Array.from({ length: STREAMS_MAX }, () => ask(client))
    const controller = new AbortController()
    const cancelled = ask(client, undefined, { signal: controller.signal })
    const late = ask(client, undefined, { timeoutMs: 20 })
    const patient = ask(client)
    controller.abort()
    await rejects(cancelled, 'aborted')
    await rejects(late, 'timeout')
    release.resolve()
    for (const reply of await Promise.all([...running, patient])) resultOf(reply)
    assert.is(openStreams(), STREAMS_MAX)
    resultOf(await ask(client))
  })
})

test('a thousand requests may wait for one peer, not more', async () => {
  const handler = () => new Promise<InferenceAnswer>(() => {})
  await serve({ handler }, async (client) => {
    const asked = Array.from({ length: STREAMS_MAX + 1024 + 1 }, () =>
      ask(client).then(
        () => 'answered',
        (error: InferenceError) => error.code,
      ),
    )
    assert.is(await asked.at(-1), 'too-many-requests')
    client.close()
    assert.equal(new Set(await Promise.all(asked)), new Set(['aborted', 'too-many-requests']))
  })
})

test('a peer that is not there, or does not speak the protocol, is unreachable', async () => {
  const client = createInferenceClient({ libp2p: pair.requester.libp2p })
  await rejects(ask(client), 'unreachable')
  const nobody = '12D3KooWJWEKvSFbben74C7H4YtKjhPMTDxd7gP7zxWSUEeF27st'
  await rejects(ask(client, undefined, { peer: nobody }), 'unreachable')
  client.close()
  await rejects(ask(client), 'aborted')
})

test('a provider that stops resets what runs, and a new start is found again', async () => {
  const started = Promise.withResolvers<void>()
  let count = 0
  const server = createInferenceServer({
    libp2p: pair.provider.libp2p,
    handler: (request) => {
      started.resolve()
      return count++ > 0 ? Promise.resolve(answerOf(pair, request, OUTPUTS)) : new Promise(() => {})
    },
  })
  await server.start()
  const client = createInferenceClient({ libp2p: pair.requester.libp2p })
  const running = ask(client)
  await started.promise
  const [, code] = await Promise.all([server.stop(), codeOf(running)])
  assert.is(code, 'hung-up')
  await server.start()
  resultOf(await ask(client))
  const connection = pair.requester.libp2p.getConnections()[0]!
  connection.abort(new Error('cable cut'))
  resultOf(await ask(client))
  client.close()
  await server.stop()
})

test.run()

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

function ask(
  client: InferenceClient,
  inputs: Uint8Array = new TextEncoder().encode('the inputs of a job'),
  {
    signal,
    timeoutMs = 10_000,
    peer = pair.provider.peerId,
  }: Partial<{ signal: AbortSignal; timeoutMs: number; peer: string }> = {},
): Promise<InferenceReply> {
  const job = testJob(pair.requester.signer, inputs)
  const request = { job: job.envelope, jobCommitment: job.commitment, salt: SALT, inputs, timeoutMs }
  return client.request(peer, request, signal)
}

function answerOf(of: TestPair, request: IncomingInference, outputs: Uint8Array): InferenceAnswer {
  const receipt = sealReceipt(of.provider.signer, testReceipt(request.jobCommitment, outputs))
  return { kind: 'result', outputs, receipt }
}

function resultOf(reply: InferenceReply): Extract<InferenceReply, { kind: 'result' }> {
  if (reply.kind === 'result') return reply
  throw new Error(`refused: ${reply.code}: ${reply.message}`)
}

function openStreams(): number {
  const streams = pair.requester.libp2p.getConnections().flatMap((connection) => connection.streams)
  return streams.filter(({ protocol }) => protocol === INFERENCE_PROTOCOL).length
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
