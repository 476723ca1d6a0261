/** Providers that must not be drawn again: a bounded set of keys. */
export interface Exclusion {
  /** False when it was known already. */
  add(provider: string): boolean
  has(provider: string): boolean
  readonly size: number
}

/**
 * A set of at most `max` keys. When it is full, the key that was not met for longest is forgotten: whoever floods the
 * set with keys of its own making cannot push out one that keeps offering itself, since every question about a key
 * keeps that key.
 */
export function createExclusion(max: number): Exclusion {
  const keys = new Set<string>()
  const has = (provider: string): boolean => {
    if (!keys.has(provider)) return false
    keys.delete(provider)
    keys.add(provider)
    return true
  }
  return {
    has,
    add: (provider) => {
      if (has(provider)) return false
      keys.add(provider)
      const oldest = keys.values().next().value
      if (keys.size > max && oldest !== undefined) keys.delete(oldest)
      return true
    },
    get size() {
      return keys.size
    },
  }
}
