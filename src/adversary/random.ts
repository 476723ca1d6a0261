import { createHash } from 'node:crypto'

/** Numbers that look random and are the same for the same seed and the same bytes. */
export interface Random {
  /** In [0, 1). */
  next(): number
  /** A whole number in [0, below). */
  below(below: number): number
}

/** A generator for one lie: it depends on the liar's seed and on what the lie is about, on nothing else. */
export function createRandom(seed: number, about: Uint8Array): Random {
  const digest = createHash('sha256').update(`verimesh/adversary/${seed}\0`).update(about).digest()
  let state = digest.readUInt32LE(0)
  const next = (): number => {
    // Mulberry32: 32 bits of state are plenty for choosing which letters to change.
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, below: (below) => Math.floor(next() * below) }
}
