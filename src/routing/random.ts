/** A source of randomness that is handed in, so that a run can be repeated from its seed. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
}

export interface SeededRandom extends Random {
  /** An independent generator that follows from this one's state. */
  fork(): SeededRandom
}

/** A generator that depends on `seed` (its low 32 bits) alone: SplitMix32, good for choices, not for secrets. */
export function createRandom(seed: number): SeededRandom {
  let state = seed >>> 0
  const nextUint32 = () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  return {
    next: () => nextUint32() / 2 ** 32,
    // The constant keeps a fork from being the parent's own sequence, shifted.
    fork: () => createRandom(nextUint32() ^ 0x5bd1e995),
  }
}

/** `count` of `values` at random; all, in their order, where they are no more than that. */
export function drawSome<Value>(values: readonly Value[], count: number, random: Random): readonly Value[] {
  if (values.length <= count) return values
  const left = [...values]
  return Array.from({ length: Math.max(0, count) }, () => {
    const [drawn] = left.splice(Math.floor(random.next() * left.length), 1)
    return drawn!
  })
}
