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
