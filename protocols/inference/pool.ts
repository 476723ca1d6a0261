/**
 * Warm streams to peers. A new stream costs a round trip and a millisecond of work, seven times a request on a warm
 * one, so streams are kept, at most `STREAMS_MAX` a peer; who finds none waits in line.
 */
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Clock, FramedStream } from '../framing/index.ts'
import { INFERENCE_PROTOCOL, OPEN_MS, REQUESTER_IDLE_MS, STREAMS_MAX, WAITING_MAX } from './constants.ts'
import { InferenceError } from './errors.ts'

export interface StreamPool {
  /** A warm stream if there is one at hand. */
  takeIdle(peer: string): FramedStream | undefined
  /** A stream, warm or new, as soon as there may be one. Rejects with InferenceError. */
  take(peer: string): Promise<FramedStream>
  /** Every stream that was taken comes back once; a stream that cannot be used again is aborted and replaced. */
  giveBack(peer: string, stream: FramedStream, reusable: boolean): void
  /** Aborts every stream and fails whoever waits. Idempotent. */
  close(): void
}

export type Dialler = Pick<Libp2p, 'dial' | 'getConnections'>

interface PeerStreams {
  readonly idle: { readonly stream: FramedStream; readonly sinceMs: number }[]
  readonly busy: Set<FramedStream>
  readonly waiting: PromiseWithResolvers<FramedStream>[]
  /** Idle, busy and being opened. */
  count: number
  connection: Connection | undefined
  connecting: Promise<Connection> | undefined
}

export function createStreamPool(libp2p: Dialler, clock: Clock): StreamPool {
  const peers = new Map<string, PeerStreams>()
  let unscheduleSweep: (() => void) | undefined
  let closed = false

  function peerStreams(peer: string): PeerStreams {
    let streams = peers.get(peer)
    if (streams === undefined) {
      streams = {
        idle: [],
        busy: new Set(),
        waiting: [],
        count: 0,
        connection: undefined,
        connecting: undefined,
      }
      peers.set(peer, streams)
    }
    return streams
  }

  function takeIdle(peer: string): FramedStream | undefined {
    const streams = peers.get(peer)
    for (
      let entry = streams?.idle.pop();
      streams !== undefined && entry !== undefined;
      entry = streams.idle.pop()
    ) {
      // What came unasked is an answer to nothing.
      if (!entry.stream.ended && entry.stream.unreadBytes === 0) {
        streams.busy.add(entry.stream)
        return entry.stream
      }
      streams.count--
      entry.stream.abort(new Error('bytes came that answer nothing'))
    }
    return undefined
  }

  async function take(peer: string): Promise<FramedStream> {
    if (closed) throw new InferenceError('aborted', 'the client is closed')
    const warm = takeIdle(peer)
    if (warm !== undefined) return warm
    const streams = peerStreams(peer)
    if (streams.count < STREAMS_MAX) return open(peer, streams)
    if (streams.waiting.length >= WAITING_MAX) {
      throw new InferenceError('too-many-requests', `${WAITING_MAX} requests wait for ${peer} already`)
    }
    const turn = Promise.withResolvers<FramedStream>()
    streams.waiting.push(turn)
    return turn.promise
  }

  async function open(peer: string, streams: PeerStreams): Promise<FramedStream> {
    streams.count++
    try {
      const signal = AbortSignal.timeout(OPEN_MS)
      const connection = await connect(peer, streams, signal)
      const stream = new FramedStream(
        await connection.newStream(INFERENCE_PROTOCOL, { signal, maxOutboundStreams: STREAMS_MAX }),
        clock,
      )
      if (closed) throw closedNow(stream)
      streams.busy.add(stream)
      return stream
    } catch (cause) {
      streams.count--
      serveNext(peer, streams)
      if (cause instanceof InferenceError) throw cause
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new InferenceError('unreachable', `no stream to ${peer} could be opened: ${why}`, { cause })
    }
  }

  /** Asking libp2p for its connection costs more than keeping it; many requests at once share one dial. */
  async function connect(peer: string, streams: PeerStreams, signal: AbortSignal): Promise<Connection> {
    if (streams.connection?.status === 'open') return streams.connection
    streams.connecting ??= findOrDial(libp2p, peerIdFromString(peer), signal)
    try {
      streams.connection = await streams.connecting
      return streams.connection
    } finally {
      streams.connecting = undefined
    }
  }

  function giveBack(peer: string, stream: FramedStream, reusable: boolean): void {
    const streams = peerStreams(peer)
    streams.busy.delete(stream)
    if (!reusable || closed || stream.ended || stream.unreadBytes > 0) {
      stream.abort(new Error('the stream cannot be used again'))
      streams.count--
      serveNext(peer, streams)
      return
    }
    const next = streams.waiting.shift()
    if (next !== undefined) {
      streams.busy.add(stream)
      next.resolve(stream)
      return
    }
    streams.idle.push({ stream, sinceMs: clock.now() })
    unscheduleSweep ??= clock.schedule(sweep, REQUESTER_IDLE_MS)
  }

  /** A place became free: whoever waits gets a new stream, or learns why there is none. */
  function serveNext(peer: string, streams: PeerStreams): void {
    const next = closed ? undefined : streams.waiting.shift()
    if (next !== undefined) open(peer, streams).then(next.resolve, next.reject)
    else if (streams.count <= 0) peers.delete(peer)
  }

  function sweep(): void {
    unscheduleSweep = undefined
    const nowMs = clock.now()
    for (const [peer, streams] of peers) {
      const isStale = (entry: { stream: FramedStream; sinceMs: number }) =>
        entry.stream.ended || nowMs - entry.sinceMs >= REQUESTER_IDLE_MS
      const stale = streams.idle.filter(isStale)
      streams.idle.splice(0, Number.POSITIVE_INFINITY, ...streams.idle.filter((entry) => !isStale(entry)))
      streams.count -= stale.length
      for (const { stream } of stale) stream.abort(new Error('the stream was idle'))
      if (streams.count === 0) peers.delete(peer)
      else if (streams.idle.length > 0) unscheduleSweep ??= clock.schedule(sweep, REQUESTER_IDLE_MS / 2)
    }
  }

  function close(): void {
    closed = true
    unscheduleSweep?.()
    const reason = new InferenceError('aborted', 'the client was closed')
    for (const streams of peers.values()) {
      for (const { reject } of streams.waiting.splice(0)) reject(reason)
      for (const { stream } of streams.idle.splice(0)) stream.abort(reason)
      for (const stream of streams.busy) stream.abort(reason)
    }
    peers.clear()
  }

  return { takeIdle, take, giveBack, close }
}

async function findOrDial(libp2p: Dialler, peerId: PeerId, signal: AbortSignal): Promise<Connection> {
  const known = libp2p
    .getConnections(peerId)
    .find(({ status, limits }) => status === 'open' && limits === undefined)
  return known ?? libp2p.dial(peerId, { signal })
}

function closedNow(stream: FramedStream): InferenceError {
  const reason = new InferenceError('aborted', 'the client was closed')
  stream.abort(reason)
  return reason
}
