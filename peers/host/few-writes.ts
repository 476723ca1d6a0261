import type { MessageStream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'

/**
 * Makes yamux write to its socket less often. Each write wakes the other side, which costs more than the bytes do: a
 * request and its reply of 1 KB took six writes and take two (bench/README.md).
 *
 * - A frame leaves in one piece. @libp2p/yamux hands its 12-byte header and the data over as two parts, and the
 *   encrypters of libp2p write each part by itself.
 * - Credit is returned when half of a stream's window is used up. @libp2p/yamux 8.0.3 answers each data frame with a
 *   window update of its own; the specification leaves the moment to the receiver, and half the window is what Go's
 *   yamux does. A stream that uses its window up gets a larger one, up to the maximum.
 *
 * The second reaches into the library's streams, whose version is pinned. Where their shape is not the expected one,
 * they are left as they are; `test/peers/few-writes.test.ts` notices.
 */
export function withFewWrites(factory: StreamMuxerFactory): StreamMuxerFactory {
  return {
    protocol: factory.protocol,
    createStreamMuxer(connection) {
      joinParts(connection)
      const muxer = factory.createStreamMuxer(connection)
      if (!hasStreamHook(muxer)) return muxer
      const newStream = muxer._newStream.bind(muxer)
      muxer._newStream = (...args) => {
        const stream = newStream(...args)
        if (hasWindow(stream)) holdBackUpdates(stream)
        return stream
      }
      return muxer
    },
  }
}

/**
 * Joins a frame's header with the beginning of its data, up to what one TLS record holds; the rest goes as it is, since
 * copying hundreds of kilobytes feeds the garbage collector more than a write costs.
 */
function joinParts(connection: MessageStream): void {
  const send = connection.send.bind(connection)
  connection.send = (data) => {
    if (data instanceof Uint8Array) return send(data)
    if (data.byteLength <= RECORD_BYTES) return send(data.subarray())
    return send(new Uint8ArrayList(data.subarray(0, RECORD_BYTES), data.sublist(RECORD_BYTES)))
  }
}

/** Plaintext of one TLS 1.3 record, RFC 8446 section 5.1. */
const RECORD_BYTES = 16_384
/** `StreamState.Established` of @libp2p/yamux, which does not export it. */
const ESTABLISHED = 3
/** The part of the window that has to be used up before it is returned. */
const RETURNED_PART = 0.5

function holdBackUpdates(stream: WindowedStream): void {
  const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    const used = stream.recvWindow - stream.recvWindowCapacity
    // The first update of an accepted stream carries the acknowledgement, and must go.
    if (stream.state === ESTABLISHED) {
      if (used < stream.recvWindow * RETURNED_PART) return
      // The library doubles it only while updates follow each other within four round trips, which they no longer do.
      stream.recvWindow = Math.min(stream.recvWindow * 2, stream.maxStreamWindowSize)
    }
    sendWindowUpdate()
  }
}

interface HookedMuxer {
  _newStream: (...args: unknown[]) => unknown
}

interface WindowedStream {
  readonly state: unknown
  recvWindow: number
  readonly maxStreamWindowSize: number
  readonly recvWindowCapacity: number
  sendWindowUpdate: () => void
}

function hasStreamHook(muxer: unknown): muxer is StreamMuxer & HookedMuxer {
  return typeof (muxer as Partial<HookedMuxer>)._newStream === 'function'
}

function hasWindow(stream: unknown): stream is WindowedStream {
  const { recvWindow, recvWindowCapacity, maxStreamWindowSize, sendWindowUpdate } =
    stream as Partial<WindowedStream>
  return (
    typeof recvWindow === 'number' &&
    typeof recvWindowCapacity === 'number' &&
    typeof maxStreamWindowSize === 'number' &&
    typeof sendWindowUpdate === 'function'
  )
}
