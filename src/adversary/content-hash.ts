/**
 * How those who collude agree on a job without a word: each hashes its content with the seed that they share. Integers
 * alone, since every colluder does it for every job of a million.
 */

/**
 * Uniform over 32 bits in `content` and in `seed`, and different seeds are independent. `content` is a safe integer, of
 * `seed` the low 32 bits count. Good for choices, not for secrets.
 */
export function hashContent(seed: number, content: number): number {
  const keyed = mix((seed + GOLDEN) | 0)
  const low = mix(keyed ^ (content | 0))
  // Bit operations see 32 bits; what lies above is hashed by itself.
  return mix((low + GOLDEN) ^ Math.floor(content / 2 ** 32)) >>> 0
}

/** Whether all who share `seed` pick this content; `rate`, from 0 to 1, is the share of contents that are picked. */
export function isPicked(seed: number, content: number, rate: number): boolean {
  return hashContent(seed, content) < rate * 2 ** 32
}

/** 2^32 over the golden ratio: keeps zeros from being hashed to zero. */
const GOLDEN = 0x9e3779b9

/** The finalizer of MurmurHash3 (Appleby): each bit of the input changes each bit of the output in half of all cases. */
function mix(value: number): number {
  let mixed = value
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
