import { encode } from 'it-length-prefixed'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createModelFilesServer,
  fetchModelBlocks,
  MODEL_FILES_PROTOCOL,
  ModelFilesError,
  type ModelFilesErrorCode,
} from '../../protocols/model-files/index.ts'
import {
  decodeFilesRequest,
  decodeFilesResponse,
  encodeFilesRequest,
  encodeFilesResponse,
} from '../../protocols/model-files/messages.ts'
import { MODEL } from '../fixtures/jobs.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'
import { readVector } from '../fixtures/vectors.ts'

const BLOCKS = [new TextEncoder().encode('one'), new TextEncoder().encode('two')]
let pair: TestPair
test.before(async () => {
  pair = await createTestPair()
})
test.after(() => pair.stop())

const isCode = (code: ModelFilesErrorCode) => (error: unknown) =>
  error instanceof ModelFilesError && error.code === code

test('messages have the bytes that their vectors say', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  assert.is(hex(encodeFilesRequest(MODEL)), readVector('model-files-request').hex)
  assert.is(hex(encodeFilesResponse(BLOCKS)), readVector('model-files-blocks').hex)
  assert.is(hex(encodeFilesResponse(undefined)), readVector('model-files-unknown').hex)
})

test('messages have one form only', () => {
  assert.throws(() => decodeFilesRequest(Buffer.from('', 'hex')), isCode('malformed'))
  assert.throws(() => decodeFilesRequest(Buffer.from('0a01610a0161', 'hex')), isCode('malformed'))
  assert.throws(() => decodeFilesResponse(Buffer.from('', 'hex')), isCode('malformed'))
  assert.throws(() => decodeFilesResponse(Buffer.from('0802', 'hex')), isCode('malformed'))
  assert.throws(() => decodeFilesResponse(Buffer.from('0801120161', 'hex')), isCode('malformed'))
  assert.throws(() => encodeFilesResponse([]), isCode('malformed'))
  assert.throws(() => encodeFilesResponse([new Uint8Array(1024 * 1024), Buffer.of(1)]), isCode('malformed'))
  assert.throws(
    () => encodeFilesResponse(Array.from({ length: 257 }, () => Buffer.of(1))),
    isCode('malformed'),
  )
})

test('a provider gives the blocks of a model that it has, a mebibyte of them too', async () => {
  const full = [new Uint8Array(1024 * 1024 - 3).fill(1), BLOCKS[0]!]
  const server = createModelFilesServer({
    libp2p: pair.provider.libp2p,
    blocksOf: async (cid) => (cid === MODEL ? BLOCKS : cid === 'full' ? full : undefined),
  })
  await server.start()
  const fetched = await fetchModelBlocks(pair.requester.libp2p, pair.provider.peerId, MODEL)
  assert.equal(
    fetched.map((block) => Buffer.from(block).toString()),
    ['one', 'two'],
  )
  const large = await fetchModelBlocks(pair.requester.libp2p, pair.provider.peerId, 'full')
  assert.equal(
    large.map(({ byteLength }) => byteLength),
    [1024 * 1024 - 3, 3],
  )
  await rejects(fetchModelBlocks(pair.requester.libp2p, pair.provider.peerId, 'other'), 'unknown-model')
  await server.stop()
  await rejects(fetchModelBlocks(pair.requester.libp2p, pair.provider.peerId, MODEL), 'unreachable')
})

test('a provider that fails resets the stream and is told why', async () => {
  const errors: Error[] = []
  const server = createModelFilesServer({
    libp2p: pair.provider.libp2p,
    blocksOf: () => Promise.reject(new Error('disk')),
    onError: (_peer, error) => errors.push(error),
  })
  await server.start()
  await rejects(fetchModelBlocks(pair.requester.libp2p, pair.provider.peerId, MODEL), 'hung-up')
  assert.match(errors[0]!.message, /disk/)
  await server.stop()
})

test('a provider refuses requests that are malformed or too long', async () => {
  const errors = Promise.withResolvers<Error>()
  let asked = 0
  const server = createModelFilesServer({
    libp2p: pair.provider.libp2p,
    blocksOf: async () => {
      asked++
      return BLOCKS
    },
    onError: (_peer, error) => errors.resolve(error),
  })
  await server.start()
  for (const bytes of [Buffer.of(2, 0x10, 1), Buffer.from('ffff7f0a', 'hex')]) {
    const stream = await pair.dial(MODEL_FILES_PROTOCOL)
    const closed = new Promise<Error | undefined>((resolve) =>
      stream.addEventListener('close', (event) => resolve(event.error)),
    )
    stream.send(bytes)
    assert.is((await closed)?.name, 'StreamResetError')
  }
  assert.ok(isCode('malformed')(await errors.promise))
  assert.is(asked, 0)
  await server.stop()
})

/** Each answers a request in a way that is not allowed. */
const HOSTILE: readonly (readonly [string, Uint8Array[] | 'reset' | 'close', ModelFilesErrorCode])[] = [
  ['a frame that is too long', [Buffer.from('ffffff7f', 'hex')], 'malformed'],
  ['a length that never ends', [Buffer.from('ffffffffffff', 'hex')], 'malformed'],
  ['an unknown field', frames(Buffer.from('1a0161', 'hex')), 'malformed'],
  ['nothing at all', 'close', 'hung-up'],
  ['a reset', 'reset', 'hung-up'],
  ['half a frame and then the end', [Buffer.from('0a12', 'hex')], 'hung-up'],
]
for (const [what, answer, code] of HOSTILE) {
  test(`a requester fails with ${code} when it gets ${what}`, async () => {
    await pair.provider.libp2p.handle(MODEL_FILES_PROTOCOL, async (stream) => {
      await new Promise((resolve) => stream.addEventListener('message', resolve, { once: true }))
      if (answer === 'reset') return stream.abort(new Error('no'))
      if (answer !== 'close') for (const bytes of answer) stream.send(bytes)
      await stream.close()
    })
    await rejects(fetchModelBlocks(pair.requester.libp2p, pair.provider.peerId, MODEL), code)
    await pair.provider.libp2p.unhandle(MODEL_FILES_PROTOCOL)
  })
}

test('a requester takes the first of two answers', async () => {
  await pair.provider.libp2p.handle(MODEL_FILES_PROTOCOL, async (stream) => {
    for (const bytes of frames(encodeFilesResponse(BLOCKS), encodeFilesResponse(undefined)))
      stream.send(bytes)
    await stream.close()
  })
  assert.is((await fetchModelBlocks(pair.requester.libp2p, pair.provider.peerId, MODEL)).length, 2)
  await pair.provider.libp2p.unhandle(MODEL_FILES_PROTOCOL)
})

test('a requester that gives up resets the stream, and the provider learns of it', async () => {
  const gone = Promise.withResolvers<void>()
  const controller = new AbortController()
  const server = createModelFilesServer({
    libp2p: pair.provider.libp2p,
    blocksOf: (_cid, signal) => {
      signal.addEventListener('abort', () => gone.resolve())
      controller.abort()
      return new Promise(() => {})
    },
  })
  await server.start()
  await rejects(
    fetchModelBlocks(pair.requester.libp2p, pair.provider.peerId, MODEL, controller.signal),
    'aborted',
  )
  await gone.promise
  await server.stop()
})

test.run()

function frames(...bodies: Uint8Array[]): Uint8Array[] {
  return [...encode(bodies)].map((chunk) => chunk.subarray())
}

async function rejects(promise: Promise<unknown>, code: ModelFilesErrorCode): Promise<void> {
  let thrown: unknown
  try {
    await promise
  } catch (error) {
    thrown = error
  }
  assert.ok(isCode(code)(thrown), `expected ${code}, got ${String(thrown)}`)
}
