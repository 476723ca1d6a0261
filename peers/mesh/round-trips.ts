import type { Connection, PeerId } from '@libp2p/interface'
import type { Book } from '../book/index.ts'
import { type Clock, sleep } from '../clock/index.ts'
import type { Log } from '../host/index.ts'
import { RTT_AGAIN_MS, RTT_INTERVAL_MS, RTT_TIMEOUT_MS } from './constants.ts'

/** What is needed of a connection. */
export type MeasuredConnection = Pick<Connection, 'id' | 'remotePeer' | 'rtt' | 'status'>

export interface RoundTripsOptions {
  readonly host: {
    getConnections(): readonly MeasuredConnection[]
    readonly services: {
      readonly ping: { ping(peer: PeerId, options: { signal: AbortSignal }): Promise<number> }
    }
  }
  readonly book: Pick<Book, 'rttMeasured'>
  readonly clock: Clock
  readonly log: Log
  /** Ends it. */
  readonly signal: AbortSignal
}

/**
 * Tells the book how long round trips take, as libp2p's connection monitor finds them. Call what is returned when a peer has
 * said who it is: it is pinged then, and again soon, since both ends may have just started and be busy with that. However
 * often a peer says so, a connection is measured so once.
 */
export function measureRoundTrips({
  host,
  book,
  clock,
  log,
  signal,
}: RoundTripsOptions): (connection: MeasuredConnection) => void {
  const begun = new WeakSet<MeasuredConnection>()

  async function ping({ id, remotePeer }: MeasuredConnection): Promise<void> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(RTT_TIMEOUT_MS)])
    try {
      book.rttMeasured(remotePeer.toString(), await host.services.ping.ping(remotePeer, { signal: bounded }))
    } catch (error) {
      log.debug(`ping over ${id} failed: ${String(error)}`)
    }
  }

  async function measure(connection: MeasuredConnection): Promise<void> {
    await ping(connection)
    for (const pauseMs of RTT_AGAIN_MS) {
      await sleep(clock, pauseMs, signal)
      if (connection.status !== 'open') return
      await ping(connection)
    }
  }

  function look(): void {
    for (const { remotePeer, rtt, status } of host.getConnections()) {
      if (rtt !== undefined && status === 'open') book.rttMeasured(remotePeer.toString(), rtt)
    }
    cancel = clock.after(RTT_INTERVAL_MS, look)
  }
  let cancel = clock.after(RTT_INTERVAL_MS, look)
  signal.addEventListener('abort', () => cancel())

  return (connection) => {
    if (begun.has(connection)) return
    begun.add(connection)
    measure(connection).catch(() => log.debug(`round trips over ${connection.id} are measured no more`))
  }
}
