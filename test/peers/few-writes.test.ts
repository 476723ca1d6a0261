/** A frame is one write, and credit is returned when half of the window is used: counted on real connections. */
import type { Stream, StreamMuxerFactory } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { withFewWrites } from '../../peers/host/few-writes.ts'

const ECHO = '/test/echo/1.0.0'
const MESSAGE_BYTES = 1024

interface Counted {
  readonly node: Libp2p
  /** For each write to the connection, in how many parts it was handed over. */
  readonly parts: number[]
}

test('a warm request and its reply are one write each', () =>
  withPair(true, async (client, server) => {
    const stream = await client.node.dialProtocol(server.node.getMultiaddrs(), ECHO)
    await roundTrip(stream, MESSAGE_BYTES)
    client.parts.length = 0
    server.parts.length = 0
    for (let index = 0; index < 20; index++) await roundTrip(stream, MESSAGE_BYTES)
    assert.equal(client.parts, Array(20).fill(1))
    assert.equal(server.parts, Array(20).fill(1))
  }))

test('without it the same takes several: the library still behaves as it was found', () =>
  withPair(false, async (client, server) => {
    const stream = await client.node.dialProtocol(server.node.getMultiaddrs(), ECHO)
    await roundTrip(stream, MESSAGE_BYTES)
    client.parts.length = 0
    for (let index = 0; index < 20; index++) await roundTrip(stream, MESSAGE_BYTES)
    const parts = client.parts.reduce((sum, count) => sum + count, 0)
    assert.ok(parts >= 60, `${parts} parts for 20 requests`)
  }))

test('megabytes still flow: credit comes back before the window is empty', () =>
  withPair(true, async (client, server) => {
    const stream = await client.node.dialProtocol(server.node.getMultiaddrs(), ECHO)
    for (const bytes of [200 * 1024, 700 * 1024, 3 * 1024 * 1024]) await roundTrip(stream, bytes)
  }))

test.run()

/** Sends so many bytes, at most what the window lets in at a time, and waits until as many came back. */
async function roundTrip(stream: Stream, bytes: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let received = 0
  const onMessage = ({ data }: { data: { byteLength: number } }): void => {
    received += data.byteLength
    if (received >= bytes) resolve()
  }
  const onClose = (): void => reject(new Error(`closed after ${received} of ${bytes} bytes`))
  stream.addEventListener('message', onMessage)
  stream.addEventListener('close', onClose)
  stream.send(new Uint8Array(bytes))
  await promise
  stream.removeEventListener('message', onMessage)
  stream.removeEventListener('close', onClose)
}

async function withPair(
  few: boolean,
  act: (client: Counted, server: Counted) => Promise<void>,
): Promise<void> {
  const server = await start(few, ['/ip4/127.0.0.1/tcp/0'])
  const client = await start(few, [])
  await server.node.handle(ECHO, (stream) => {
    stream.addEventListener('message', ({ data }) => void stream.send(data))
  })
  try {
    await act(client, server)
  } finally {
    await client.node.stop()
    await server.node.stop()
  }
}

async function start(few: boolean, listen: string[]): Promise<Counted> {
  const parts: number[] = []
  const muxer = () => {
    const plain = yamux({ streamOptions: { maxStreamWindowSize: 1 << 20 } })()
    const factory = few ? withFewWrites(plain) : plain
    const counting: StreamMuxerFactory = {
      protocol: plain.protocol,
      createStreamMuxer(connection) {
        const send = connection.send.bind(connection)
        // Below all else: it sees what leaves.
        connection.send = (data) => {
          parts.push(data instanceof Uint8Array ? 1 : [...data].length)
          return send(data)
        }
        return factory.createStreamMuxer(connection)
      },
    }
    return counting
  }
  const node = await createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [muxer],
  })
  return { node, parts }
}
