import {
  ALLOWANCE_PEERS_MAX,
  NODE_BYTES_BURST,
  NODE_BYTES_PER_SECOND,
  PEER_BYTES_BURST,
  PEER_BYTES_PER_SECOND,
  REQUEST_BURST,
  REQUESTS_PER_SECOND,
  SERVINGS_MAX,
} from './exchange-constants.ts'

/**
 * Token buckets by key: each may take `burst` at once and `perSecond` in the long run. A bounded number of keys is
 * remembered; the one that was not used for longest is forgotten first. Pure: time is an argument.
 */
export class Allowances {
  readonly #burst: number
  readonly #perSecond: number
  readonly #keysMax: number
  readonly #buckets = new Map<string, { left: number; atMs: number }>()

  constructor(limits: { readonly burst: number; readonly perSecond: number; readonly keysMax: number }) {
    this.#burst = limits.burst
    this.#perSecond = limits.perSecond
    this.#keysMax = limits.keysMax
  }

  /** Takes `amount` if so much is left for `key`. */
  take(key: string, amount: number, nowMs: number): boolean {
    const bucket = this.#refilled(key, nowMs)
    if (bucket.left < amount) return false
    bucket.left -= amount
    return true
  }

  /** How long until `amount` is there for `key`; 0 when it is. */
  waitMs(key: string, amount: number, nowMs: number): number {
    const { left } = this.#refilled(key, nowMs)
    return left >= amount ? 0 : Math.ceil(((amount - left) / this.#perSecond) * 1000)
  }

  #refilled(key: string, nowMs: number): { left: number; atMs: number } {
    const bucket = this.#buckets.get(key) ?? { left: this.#burst, atMs: nowMs }
    // A clock that was set back refills nothing.
    const elapsedMs = Math.max(0, nowMs - bucket.atMs)
    bucket.left = Math.min(this.#burst, bucket.left + (elapsedMs / 1000) * this.#perSecond)
    bucket.atMs = nowMs
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > this.#keysMax) {
      const oldest = this.#buckets.keys().next()
      if (!oldest.done) this.#buckets.delete(oldest.value)
    }
    return bucket
  }
}

/** What a server gives away: to one peer and to all together, in the long run and at once. Pure: time is an argument. */
export class ServingBudget {
  readonly #requests = new Allowances({
    burst: REQUEST_BURST,
    perSecond: REQUESTS_PER_SECOND,
    keysMax: ALLOWANCE_PEERS_MAX,
  })
  readonly #peerBytes = new Allowances({
    burst: PEER_BYTES_BURST,
    perSecond: PEER_BYTES_PER_SECOND,
    keysMax: ALLOWANCE_PEERS_MAX,
  })
  readonly #nodeBytes = new Allowances({
    burst: NODE_BYTES_BURST,
    perSecond: NODE_BYTES_PER_SECOND,
    keysMax: 1,
  })
  #servings = 0

  /** Whether the peer may ask once more. */
  mayAsk(peer: string, nowMs: number): boolean {
    return this.#requests.take(peer, 1, nowMs)
  }

  /** Whether the peer may be given so many bytes; if so, `done` must be called after that. */
  begin(peer: string, bytes: number, nowMs: number): boolean {
    if (this.#servings >= SERVINGS_MAX) return false
    // What is refused must be taken neither from the peer nor from all.
    if (this.#nodeBytes.waitMs('', bytes, nowMs) > 0) return false
    if (!this.#peerBytes.take(peer, bytes, nowMs)) return false
    this.#nodeBytes.take('', bytes, nowMs)
    this.#servings++
    return true
  }

  done(): void {
    this.#servings--
  }
}
