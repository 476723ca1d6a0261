import type { Stream } from '@libp2p/interface'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  encodeFrame,
  FramedStream,
  FramingError,
  type FramingErrorCode,
  READ_AHEAD_BYTES,
  SYSTEM_CLOCK,
  WRITE_PIECE_BYTES,
} from '../../protocols/framing/index.ts'
import { createTestPair, type TestPair } from '../fixtures/libp2p-pair.ts'
import { createManualClock, type ManualClock } from '../fixtures/manual-clock.ts'

const PROTOCOL = '/verimesh/test/1.0.0'
let pair: TestPair
test.before(async () => {
  pair = await createTestPair()
})
test.after(() => pair.stop())

const text = (value: string) => new TextEncoder().encode(value)

test('reads frames and raw bytes in the order in which they were written', async () => {
  const { near, far } = await connect()
  near.write(encodeFrame(text('one')), text('raw'), encodeFrame(text('two')))
  assert.is(Buffer.from(await far.readFrame(10)).toString(), 'one')
  assert.is(Buffer.from(await far.readBytes(new Uint8Array(3))).toString(), 'raw')
  assert.is(Buffer.from(await far.readFrame(3)).toString(), 'two')
  assert.is(far.unreadBytes, 0)
  near.abort(new Error('done'))
})

test('reads the same however the bytes are cut', async () => {
  const whole = Buffer.concat([
    encodeFrame(new Uint8Array(300).fill(1)),
    text('raw'),
    encodeFrame(text('two')),
  ])
  const { raw, far } = await connect()
  const reading = (async () => {
    assert.is((await far.readFrame(300)).byteLength, 300)
    assert.is(Buffer.from(await far.readBytes(new Uint8Array(3))).toString(), 'raw')
    assert.is(Buffer.from(await far.readFrame(3)).toString(), 'two')
  })()
  for (const byte of whole) raw.send(Uint8Array.of(byte))
  await reading
  raw.abort(new Error('done'))
})

test('a payload of megabytes comes whole, shown part by part, while both ends hold little', async () => {
  const payload = new Uint8Array(9 * 1024 * 1024 + 5).map((_, index) => index * 31)
  const { near, far } = await connect()
  let queuedMax = 0
  const counting = setInterval(() => {
    queuedMax = Math.max(queuedMax, near.stream.writeBufferLength)
  }, 1)
  const writing = near.write(payload)
  assert.instance(writing, Promise, 'it has to wait for the reader')
  let seen = 0
  const read = await far.readBytes(new Uint8Array(payload.byteLength), (part) => {
    assert.is(part[0], payload[seen])
    seen += part.byteLength
  })
  await writing
  clearInterval(counting)
  assert.is(seen, payload.byteLength)
  assert.ok(Buffer.from(read).equals(payload))
  assert.ok(queuedMax <= 2 * WRITE_PIECE_BYTES, `${queuedMax} bytes were queued`)
  near.abort(new Error('done'))
})

test('a peer that writes what nobody reads is held back, and goes on when somebody does', async () => {
  const payload = new Uint8Array(8 * 1024 * 1024).fill(7)
  const { near, far } = await connect()
  const writing = near.write(encodeFrame(text('go')), payload)
  assert.instance(writing, Promise)
  await far.readFrame(2)
  await heldBack(near.stream)
  assert.ok(far.unreadBytes <= READ_AHEAD_BYTES + 1024 * 1024, `${far.unreadBytes} bytes lie here`)
  const read = await far.readBytes(new Uint8Array(payload.byteLength))
  assert.ok(Buffer.from(read).equals(payload))
  await writing
  near.abort(new Error('done'))
})

test('throws away raw bytes without keeping them', async () => {
  const { near, far } = await connect()
  const writing = near.write(new Uint8Array(3 * 1024 * 1024), encodeFrame(text('next')))
  await far.discardBytes(3 * 1024 * 1024)
  assert.is(Buffer.from(await far.readFrame(4)).toString(), 'next')
  await writing
  near.abort(new Error('done'))
})

test('refuses a frame that is too long, empty, or whose length is not in its one form', async () => {
  const cases: [string, FramingErrorCode][] = [
    ['05', 'frame-too-long'],
    ['ffffff7f', 'frame-too-long'],
    ['ffffffff01', 'frame-too-long'],
    ['00', 'malformed'],
    ['818000', 'malformed'],
  ]
  for (const [hex, code] of cases) {
    const { raw, far } = await connect()
    const reading = far.readFrame(4)
    raw.send(Buffer.from(hex, 'hex'))
    await rejects(reading, code, hex)
    far.abort(new Error('done'))
  }
})

test('a peer that closes or resets mid-frame fails the read', async () => {
  for (const end of ['close', 'abort'] as const) {
    const { raw, far } = await connect()
    const reading = far.readFrame(10)
    raw.send(Buffer.from('05aabb', 'hex'))
    if (end === 'close') await raw.close()
    else raw.abort(new Error('gone'))
    await rejects(reading, 'hung-up', end)
    await rejects(far.readFrame(10), 'hung-up', 'and every read after it')
    assert.ok(far.ended)
  }
})

test('what came before the peer closed is still read', async () => {
  const { raw, far } = await connect()
  raw.send(Buffer.concat([encodeFrame(text('one')), encodeFrame(text('two'))]))
  await raw.close()
  assert.is(Buffer.from(await far.readFrame(3)).toString(), 'one')
  assert.is(Buffer.from(await far.readFrame(3)).toString(), 'two')
  await rejects(far.readFrame(3), 'hung-up', 'the end')
})

test('a peer that closed before anyone listened is noticed', async () => {
  for (const sent of [[], [text('one')]]) {
    const arrived = Promise.withResolvers<Stream>()
    await pair.provider.libp2p.handle(PROTOCOL, (stream) => arrived.resolve(stream))
    const raw = await pair.dial(PROTOCOL)
    for (const body of sent) raw.send(encodeFrame(body))
    await raw.close()
    const stream = await arrived.promise
    await until(() => stream.remoteWriteStatus === 'closed')
    await pair.provider.libp2p.unhandle(PROTOCOL)
    const far = new FramedStream(stream, SYSTEM_CLOCK)
    for (const body of sent) assert.equal(Buffer.from(await far.readFrame(3)), Buffer.from(body))
    await rejects(far.readFrame(3), 'hung-up', 'the end')
  }
})

test('a connection that breaks fails reads and writes', async () => {
  const { near, far } = await connect()
  const writing = near.write(new Uint8Array(8 * 1024 * 1024))
  const reading = near.readFrame(10)
  pair.provider.libp2p.getConnections()[0]?.abort(new Error('cable cut'))
  await Promise.all([rejects(reading, 'hung-up', 'read'), rejects(writing, 'hung-up', 'write')])
  await rejects((async () => near.write(text('more')))(), 'hung-up', 'a later write')
  assert.ok(far.ended)
})

test('a peer that says nothing, or only a byte now and then, is given up', async () => {
  const clock = createManualClock()
  const silent = await connect(clock)
  silent.far.limitReads(1000)
  const first = silent.far.readFrame(10)
  clock.advance(999)
  silent.raw.send(Buffer.of(5))
  await until(() => silent.far.stream.readBufferLength === 0 && silent.received() === 1)
  clock.advance(999)
  silent.raw.send(Buffer.of(1))
  await until(() => silent.received() === 2)
  clock.advance(1001)
  await rejects(first, 'timeout', 'silence')

  const slow = await connect(clock)
  slow.far.limitReads(1000, clock.now() + 3000)
  const second = slow.far.readFrame(10)
  slow.raw.send(Buffer.of(9))
  for (let count = 1; count <= 3; count++) {
    await until(() => slow.received() === count)
    clock.advance(999)
    slow.raw.send(Buffer.of(1))
  }
  await until(() => slow.received() === 4)
  clock.advance(3)
  await rejects(second, 'timeout', 'the deadline')
  assert.is(clock.pending, 0)
})

test('two reads at once are a fault of ours', async () => {
  const { near, far } = await connect()
  const reading = far.readFrame(3)
  assert.throws(() => far.readFrame(3), /a read is pending/)
  near.write(encodeFrame(text('one')))
  await reading
  near.abort(new Error('done'))
})

test.run()

interface Ends {
  /** The requester's end, also as it is without frames. */
  readonly near: FramedStream
  readonly raw: Stream
  readonly far: FramedStream
  /** How many messages reached the far end. */
  received(): number
}

async function connect(clock?: ManualClock): Promise<Ends> {
  const arrived = Promise.withResolvers<Stream>()
  await pair.provider.libp2p.handle(PROTOCOL, (stream) => arrived.resolve(stream), { maxInboundStreams: 100 })
  const raw = await pair.dial(PROTOCOL)
  const near = new FramedStream(raw, SYSTEM_CLOCK)
  const stream = await arrived.promise
  await pair.provider.libp2p.unhandle(PROTOCOL)
  const far = new FramedStream(stream, clock ?? SYSTEM_CLOCK)
  let received = 0
  stream.addEventListener('message', () => received++)
  return { near, raw, far, received: () => received }
}

/** Resolves when the muxer's window is closed: what is queued does not shrink over many turns of the event loop. */
async function heldBack(stream: Stream): Promise<void> {
  let queued = -1
  for (let still = 0; still < 200; ) {
    await new Promise((resolve) => setImmediate(resolve))
    still = stream.writableNeedsDrain && stream.writeBufferLength === queued ? still + 1 : 0
    queued = stream.writeBufferLength
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

function isCode(code: FramingErrorCode) {
  return (error: unknown) => error instanceof FramingError && error.code === code
}

async function rejects(
  promise: Promise<unknown> | undefined,
  code: FramingErrorCode,
  what: string,
): Promise<void> {
  let thrown: unknown
  try {
    await promise
  } catch (error) {
    thrown = error
  }
  assert.ok(isCode(code)(thrown), `${what}: expected ${code}, got ${String(thrown)}`)
}
