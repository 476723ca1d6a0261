import type { Connection, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { type Clock, sleep } from '../clock/index.ts'
import { parseMultiaddrs } from './addresses.ts'
import {
  BOOTSTRAP_BACKOFF_FACTOR,
  BOOTSTRAP_BACKOFF_MAX_MS,
  BOOTSTRAP_BACKOFF_MIN_MS,
  REMEMBERED_DIALS_PARALLEL,
} from './constants.ts'
import type { Host } from './host.ts'
import type { Log } from './log.ts'

/** One bootstrap address as `status` shows it. */
export interface BootstrapState {
  readonly multiaddr: string
  readonly connected: boolean
  /** Why the last attempt failed; absent when connected or before the first attempt ended. */
  readonly error?: string
  /** When it is tried again; absent when connected or being tried. */
  readonly nextTryAtMs?: number
}

export interface BootstrapOptions {
  readonly multiaddrs: readonly string[]
  readonly clock: Clock
  /** In [0, 1): spreads the attempts of many nodes that lost the same bootstrap. */
  readonly random: () => number
  readonly log: Log
  /** Called after any state changed. */
  readonly onChange?: (states: readonly BootstrapState[]) => void
}

export interface Bootstrap {
  /** In the order in which they were given. */
  states(): BootstrapState[]
  stop(): void
}

/**
 * Stays connected to every bootstrap: dials it, waits while the connection lives, dials again, with a growing pause
 * while it can't be reached, until `stop`. An address without a peer id is trusted to be whoever answers there.
 * Throws HostError `invalid-multiaddr` at once.
 */
export function keepBootstrapped(host: Host, options: BootstrapOptions): Bootstrap {
  const addresses = parseMultiaddrs(options.multiaddrs, 'bootstrap')
  const stopping = new AbortController()
  const states: BootstrapState[] = addresses.map((address) => ({
    multiaddr: address.toString(),
    connected: false,
  }))
  const bootstrap: Bootstrap = { states: () => [...states], stop: () => stopping.abort() }
  addresses.forEach((address, index) => {
    const set = (state: Omit<BootstrapState, 'multiaddr'>) => {
      states[index] = { multiaddr: address.toString(), ...state }
      options.onChange?.(bootstrap.states())
    }
    keepConnected(host, address, options, stopping.signal, set).catch((error: unknown) => {
      if (!stopping.signal.aborted) options.log.warn(`gave up on bootstrap ${address}: ${messageOf(error)}`)
    })
  })
  return bootstrap
}

async function keepConnected(
  host: Host,
  address: Multiaddr,
  { clock, random, log }: BootstrapOptions,
  signal: AbortSignal,
  set: (state: Omit<BootstrapState, 'multiaddr'>) => void,
): Promise<void> {
  let pauseMs = BOOTSTRAP_BACKOFF_MIN_MS
  while (!signal.aborted) {
    try {
      const connection = await host.dial(address, { signal })
      pauseMs = BOOTSTRAP_BACKOFF_MIN_MS
      log.info(`connected to bootstrap ${address}`, { bootstrap: address.toString() })
      set({ connected: true })
      await disconnected(host, connection.remotePeer, signal)
      log.warn(`lost bootstrap ${address}, dialling again`, { bootstrap: address.toString() })
      set({ connected: false })
    } catch (error) {
      if (signal.aborted) return
      if (isSelf(host, address, error)) {
        log.info(`bootstrap ${address} is this node itself`, { bootstrap: address.toString() })
        set({ connected: true })
        return
      }
      const jitteredMs = Math.round(pauseMs * (0.75 + random() / 2))
      const reason = messageOf(error)
      // The first failures are normal while a mesh starts; what lasts is worth a warning.
      const tell = pauseMs > 10 * BOOTSTRAP_BACKOFF_MIN_MS ? log.warn : log.debug
      tell.call(log, `bootstrap ${address} can't be reached (${reason}), next try in ${jitteredMs} ms`, {
        bootstrap: address.toString(),
        error: reason,
        retryInMs: jitteredMs,
      })
      set({ connected: false, error: reason, nextTryAtMs: clock.now() + jitteredMs })
      pauseMs = Math.min(BOOTSTRAP_BACKOFF_MAX_MS, pauseMs * BOOTSTRAP_BACKOFF_FACTOR)
      await sleep(clock, jitteredMs, signal)
    }
  }
}

/**
 * Dials peers that are remembered from an earlier run, each once, a few at a time, until `enough` of them answered.
 * Resolves with the number of those that did; a peer that is gone is no error.
 */
export async function dialRemembered(
  host: Host,
  remembered: readonly { readonly peerId: PeerId; readonly multiaddrs: readonly Multiaddr[] }[],
  options: { readonly enough: number; readonly log: Log; readonly signal: AbortSignal },
): Promise<number> {
  const queue = remembered.values()
  let connected = 0
  const work = async () => {
    for (const { peerId, multiaddrs } of queue) {
      if (connected >= options.enough || options.signal.aborted) return
      try {
        await host.peerStore.merge(peerId, { multiaddrs: [...multiaddrs] }, { signal: options.signal })
        await host.dial(peerId, { signal: options.signal })
        connected++
      } catch (error) {
        options.log.debug(`remembered peer ${peerId} did not answer: ${messageOf(error)}`)
      }
    }
  }
  await Promise.all(Array.from({ length: REMEMBERED_DIALS_PARALLEL }, work))
  return connected
}

/** Resolves when no connection to `peer` is left. Rejects when `signal` is aborted. */
function disconnected(host: Host, peer: PeerId, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (done: () => void) => {
      host.removeEventListener('connection:close', onClose)
      signal.removeEventListener('abort', onAbort)
      done()
    }
    const onClose = (event: CustomEvent<Connection>) => {
      if (event.detail.remotePeer.equals(peer) && host.getConnections(peer).length === 0) finish(resolve)
    }
    const onAbort = () => finish(() => reject(signal.reason))
    host.addEventListener('connection:close', onClose)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    else if (host.getConnections(peer).length === 0) finish(resolve)
  })
}

function isSelf(host: Host, address: Multiaddr, error: unknown): boolean {
  const named = address.getComponents().findLast((component) => component.name === 'p2p')?.value
  if (named !== undefined) return named === host.peerId.toString()
  return error instanceof Error && error.message.includes('dial self')
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}
