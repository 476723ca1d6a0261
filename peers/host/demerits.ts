import { DEMERIT_HALF_LIFE_MS, DEMERIT_PEERS_MAX, DEMERITS_MAX } from './constants.ts'

/**
 * Who sent invalid gossip lately. Each entry halves every `DEMERIT_HALF_LIFE_MS`. Local and short-lived: it keeps a
 * flood away, it is no evidence about anybody's answers.
 */
export class Demerits {
  readonly #entries = new Map<string, { value: number; atMs: number }>()

  add(peer: string, weight: number, nowMs: number): void {
    const value = Math.min(DEMERITS_MAX, this.of(peer, nowMs) + weight)
    this.#entries.delete(peer)
    this.#entries.set(peer, { value, atMs: nowMs })
    if (this.#entries.size > DEMERIT_PEERS_MAX) {
      // The first one was added to the longest ago, so it has decayed the most.
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest)
        break
      }
    }
  }

  of(peer: string, nowMs: number): number {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return 0
    return entry.value * 0.5 ** (Math.max(0, nowMs - entry.atMs) / DEMERIT_HALF_LIFE_MS)
  }
}
