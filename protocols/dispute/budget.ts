import {
  COUNTED_PEERS_MAX,
  DEMAND_INTERVAL_MS,
  DEMANDS_BURST,
  NODE_BYTES_MAX,
  PEER_BYTES_MAX,
  PLACE_RETRY_AFTER_MS,
  SESSIONS_MAX,
  SESSIONS_PER_PEER_MAX,
} from './constants.ts'
import type { Refusal } from './refusal.ts'

/** What one dispute holds of a node's means. */
export interface Share {
  /** Sets so many more bytes aside, or says why that cannot be. */
  hold(bytes: number): Refusal | undefined
  /** Gives so many bytes back. */
  drop(bytes: number): void
  /** Gives everything back. Idempotent. */
  release(): void
}

export interface DisputeLimits {
  readonly sessionsMax: number
  readonly sessionsPerPeerMax: number
  readonly peerBytesMax: number
  readonly nodeBytesMax: number
  readonly demandsBurst: number
  readonly demandIntervalMs: number
}

/** Disputes that are open, the bytes that they hold and the demands of late, for each peer and in all. */
export interface DisputeBudget {
  /** Lets a demand of `peer` in, with a share that holds nothing yet, or says why not. */
  admit(peer: string, nowMs: number): Share | Refusal
}

export const DEFAULT_LIMITS: DisputeLimits = {
  sessionsMax: SESSIONS_MAX,
  sessionsPerPeerMax: SESSIONS_PER_PEER_MAX,
  peerBytesMax: PEER_BYTES_MAX,
  nodeBytesMax: NODE_BYTES_MAX,
  demandsBurst: DEMANDS_BURST,
  demandIntervalMs: DEMAND_INTERVAL_MS,
}

interface PeerUse {
  sessions: number
  bytes: number
}

export function createDisputeBudget(limits: Partial<DisputeLimits> = {}): DisputeBudget {
  const { sessionsMax, sessionsPerPeerMax, peerBytesMax, nodeBytesMax, ...rate } = {
    ...DEFAULT_LIMITS,
    ...limits,
  }
  const demands = createAllowance(rate)
  const peers = new Map<string, PeerUse>()
  const node: PeerUse = { sessions: 0, bytes: 0 }

  function openShare(peer: string): Share {
    const use = peers.get(peer) ?? { sessions: 0, bytes: 0 }
    peers.set(peer, use)
    use.sessions++
    node.sessions++
    let held = 0
    let isOpen = true
    const change = (bytes: number) => {
      held += bytes
      use.bytes += bytes
      node.bytes += bytes
    }
    return {
      hold(bytes) {
        if (!isOpen) return busy('the dispute is over', 0)
        if (held + bytes > peerBytesMax) {
          return { code: 'cannot-trace', message: 'it does not fit into the memory here', retryAfterMs: 0 }
        }
        if (use.bytes + bytes > peerBytesMax || node.bytes + bytes > nodeBytesMax) {
          return busy('no memory is left', PLACE_RETRY_AFTER_MS)
        }
        change(bytes)
        return undefined
      },
      drop(bytes) {
        if (isOpen) change(-Math.min(bytes, held))
      },
      release() {
        if (!isOpen) return
        isOpen = false
        change(-held)
        use.sessions--
        node.sessions--
        if (use.sessions === 0) peers.delete(peer)
      },
    }
  }

  return {
    admit(peer, nowMs) {
      const open = peers.get(peer)?.sessions ?? 0
      if (open >= sessionsPerPeerMax) {
        return busy(`${open} of your disputes are open here already`, PLACE_RETRY_AFTER_MS)
      }
      if (node.sessions >= sessionsMax) {
        return busy(`${node.sessions} disputes are open here already`, PLACE_RETRY_AFTER_MS)
      }
      const waitMs = demands.take(peer, nowMs)
      if (waitMs > 0) return busy('too many demands in too short a time', waitMs)
      return openShare(peer)
    },
  }
}

/**
 * So many demands of a peer at once, and then one each interval. `take` counts one and returns 0, or returns how long to
 * wait until it may be tried again.
 */
function createAllowance({
  demandsBurst,
  demandIntervalMs,
}: Pick<DisputeLimits, 'demandsBurst' | 'demandIntervalMs'>): {
  take(peer: string, nowMs: number): number
} {
  /** When the last of a peer's demands will be forgotten; in the order of their demands. */
  const paidUntil = new Map<string, number>()
  return {
    take(peer, nowMs) {
      const from = Math.max(nowMs, paidUntil.get(peer) ?? nowMs)
      const waitMs = from - nowMs - (demandsBurst - 1) * demandIntervalMs
      if (waitMs > 0) return waitMs
      paidUntil.delete(peer)
      paidUntil.set(peer, from + demandIntervalMs)
      if (paidUntil.size > COUNTED_PEERS_MAX) {
        const oldest = paidUntil.keys().next()
        if (!oldest.done) paidUntil.delete(oldest.value)
      }
      return 0
    },
  }
}

function busy(message: string, retryAfterMs: number): Refusal {
  return { code: 'busy', message, retryAfterMs }
}
