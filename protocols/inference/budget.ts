import {
  MEMORY_RETRY_AFTER_MS,
  NODE_INPUT_BYTES_MAX,
  PEER_INPUT_BYTES_MAX,
  SLOW_AFTER_MS,
  SLOW_BYTES_PER_MS,
} from './constants.ts'
import type { Refusal } from './messages.ts'

/** Memory that is set aside for the inputs of one request. */
export interface Reservation {
  /** So many more of the bytes came. */
  received(bytes: number): void
  /** Gives the memory back. Idempotent. */
  release(): void
}

/**
 * Counts the inputs that are held in memory, by peer and in all.
 *
 * What is set aside is what a request announces, long before it comes, and keys cost nothing: a few of them could hold
 * all of the memory by sending a byte now and then. So where it is full, requests whose inputs come too slowly give
 * way to a new one, the slowest first.
 */
export interface InputBudget {
  /** Sets `bytes` aside for `peer`, or says why that cannot be. `giveWay` is called when they are taken away again. */
  reserve(peer: string, bytes: number, nowMs: number, giveWay: () => void): Reservation | Refusal
}

interface Held {
  readonly bytes: number
  readonly sinceMs: number
  received: number
  giveWay(): void
}

export function createInputBudget({
  peerInputBytesMax = PEER_INPUT_BYTES_MAX,
  nodeInputBytesMax = NODE_INPUT_BYTES_MAX,
}: {
  peerInputBytesMax?: number
  nodeInputBytesMax?: number
} = {}): InputBudget {
  const byPeer = new Map<string, number>()
  /** In order of arrival. */
  const all = new Set<Held>()
  let total = 0

  /** Requests to end so that `bytes` fit; undefined where they would not even then. */
  function slowOnes(bytes: number, nowMs: number): readonly Held[] | undefined {
    if (total + bytes <= nodeInputBytesMax) return []
    const rate = ({ received, sinceMs }: Held) => received / (nowMs - sinceMs)
    const slow = [...all]
      .filter((held) => held.received < held.bytes && nowMs - held.sinceMs >= SLOW_AFTER_MS)
      .filter((held) => rate(held) < SLOW_BYTES_PER_MS)
      .sort((left, right) => rate(left) - rate(right))
    let free = nodeInputBytesMax - total
    const ended = slow.filter((held) => {
      if (free >= bytes) return false
      free += held.bytes
      return true
    })
    return free >= bytes ? ended : undefined
  }

  return {
    reserve(peer, bytes, nowMs, giveWay) {
      const ofPeer = byPeer.get(peer) ?? 0
      const makesRoom = ofPeer + bytes <= peerInputBytesMax ? slowOnes(bytes, nowMs) : undefined
      if (makesRoom === undefined) {
        return {
          code: 'busy',
          message: `no memory for ${bytes} bytes of inputs: ${ofPeer} of yours and ${total} in all are held here already`,
          retryAfterMs: MEMORY_RETRY_AFTER_MS,
        }
      }
      for (const held of makesRoom) held.giveWay()
      const release = () => {
        if (!all.delete(held)) return
        total -= bytes
        const left = (byPeer.get(peer) ?? 0) - bytes
        if (left > 0) byPeer.set(peer, left)
        else byPeer.delete(peer)
      }
      const held: Held = {
        bytes,
        sinceMs: nowMs,
        received: 0,
        giveWay() {
          release()
          giveWay()
        },
      }
      all.add(held)
      byPeer.set(peer, (byPeer.get(peer) ?? 0) + bytes)
      total += bytes
      return {
        received(more) {
          held.received += more
        },
        release,
      }
    },
  }
}
