/**
 * Offers on their way from one neighbour to the next: a stream carries frames, each a sealed offer, and ends. Nothing is
 * answered. Nobody is dialled for it: an offer goes over connections that are there.
 */
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { type Clock, encodeFrame, FramedStream, FramingError, SYSTEM_CLOCK } from '../framing/index.ts'
import {
  OFFER_OPEN_MS,
  OFFER_PROTOCOL,
  OFFER_STALL_MS,
  OFFER_STREAMS_MAX,
  SEALED_OFFER_BYTES_MAX,
} from './constants.ts'

export interface OfferReceiverComponents {
  readonly libp2p: Pick<Libp2p, 'handle' | 'unhandle'>
  /** Told of each offer, as it came; false resets the stream. */
  readonly onOffer: (neighbour: string, sealed: Uint8Array) => boolean
  /** Told when a neighbour sent what is no frame, or one that is too long. */
  readonly onViolation: (neighbour: string, error: Error) => void
  readonly clock?: Clock
}

export interface OfferReceiver {
  start(): Promise<void>
  stop(): Promise<void>
}

/** Takes offers from neighbours, which end their streams when they have no more. */
export function createOfferReceiver(components: OfferReceiverComponents): OfferReceiver {
  const { libp2p, onOffer, onViolation, clock = SYSTEM_CLOCK } = components
  const onStream = async (stream: Stream, connection: Connection): Promise<void> => {
    const neighbour = connection.remotePeer.toString()
    const framed = new FramedStream(stream, clock)
    framed.limitReads(OFFER_STALL_MS)
    try {
      while (onOffer(neighbour, await framed.readFrame(SEALED_OFFER_BYTES_MAX)));
      framed.abort(new Error('no more offers are taken on this stream'))
    } catch (error) {
      if (!(error instanceof FramingError)) throw error
      if (error.code === 'malformed' || error.code === 'frame-too-long') onViolation(neighbour, error)
      // The usual end. What came after the last whole frame is lost, and nobody is to blame.
      if (error.code === 'hung-up' && stream.status === 'open') await stream.close({ signal: limit() })
      else framed.abort(error)
    }
  }
  return {
    start: () =>
      libp2p.handle(OFFER_PROTOCOL, onStream, {
        maxInboundStreams: OFFER_STREAMS_MAX,
        maxOutboundStreams: OFFER_STREAMS_MAX,
      }),
    stop: () => libp2p.unhandle(OFFER_PROTOCOL),
  }
}

/**
 * Sends what `next` gives, one sealed offer after the other, until it gives nothing more. Rejects where the peer does not
 * take them: it may not know the protocol, or be gone.
 */
export async function sendOffers(
  connection: Pick<Connection, 'newStream'>,
  next: () => Uint8Array | undefined,
  clock: Clock = SYSTEM_CLOCK,
): Promise<void> {
  const stream = await connection.newStream(OFFER_PROTOCOL, {
    signal: limit(),
    maxOutboundStreams: OFFER_STREAMS_MAX,
  })
  const framed = new FramedStream(stream, clock)
  const unschedule = clock.schedule(
    () => framed.abort(new FramingError('timeout', 'the offers were not taken in time')),
    OFFER_STALL_MS,
  )
  try {
    for (let sealed = next(); sealed !== undefined; sealed = next()) await framed.write(encodeFrame(sealed))
    await stream.close({ signal: limit() })
  } catch (error) {
    framed.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  } finally {
    unschedule()
  }
}

function limit(): AbortSignal {
  return AbortSignal.timeout(OFFER_OPEN_MS)
}
