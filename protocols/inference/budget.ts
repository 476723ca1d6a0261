import { MEMORY_RETRY_AFTER_MS, NODE_INPUT_BYTES_MAX, PEER_INPUT_BYTES_MAX } from './constants.ts'
import type { Refusal } from './messages.ts'

/** Counts the inputs that are held in memory, by peer and in all. */
export interface InputBudget {
  /** Sets `bytes` aside for `peer`, or says why that cannot be. */
  reserve(peer: string, bytes: number): Refusal | undefined
  release(peer: string, bytes: number): void
}

export function createInputBudget({
  peerInputBytesMax = PEER_INPUT_BYTES_MAX,
  nodeInputBytesMax = NODE_INPUT_BYTES_MAX,
}: {
  peerInputBytesMax?: number
  nodeInputBytesMax?: number
} = {}): InputBudget {
  const byPeer = new Map<string, number>()
  let total = 0
  return {
    reserve(peer, bytes) {
      const held = byPeer.get(peer) ?? 0
      if (held + bytes > peerInputBytesMax || total + bytes > nodeInputBytesMax) {
        return {
          code: 'busy',
          message: `no memory for ${bytes} bytes of inputs: ${held} of yours and ${total} in all are held here already`,
          retryAfterMs: MEMORY_RETRY_AFTER_MS,
        }
      }
      byPeer.set(peer, held + bytes)
      total += bytes
      return undefined
    },
    release(peer, bytes) {
      const left = (byPeer.get(peer) ?? 0) - bytes
      if (left > 0) byPeer.set(peer, left)
      else byPeer.delete(peer)
      total -= bytes
    },
  }
}
