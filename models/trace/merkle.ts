/**
 * Merkle trees as in RFC 6962, section 2.1: leaves and nodes are hashed apart, a tree of n leaves splits at the largest
 * power of two below n. A root says nothing without its count of leaves: whoever signs one signs both.
 */
import { createHash } from 'node:crypto'

/** The root over hashes of leaves (`hashLeaf`). Of no leaf, SHA-256 of nothing. */
export function merkleRoot(hashes: readonly Uint8Array[]): Uint8Array {
  return rootOf(hashes, 0, hashes.length)
}

/** The siblings of leaf `index`, from the leaf upwards (RFC 6962, 2.1.1). */
export function merklePath(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= hashes.length)
    throw new RangeError(`no leaf ${index}`)
  const path: Uint8Array[] = []
  let from = 0
  let until = hashes.length
  while (until - from > 1) {
    const split = from + splitOf(until - from)
    if (index < split) {
      path.push(rootOf(hashes, split, until))
      until = split
    } else {
      path.push(rootOf(hashes, from, split))
      from = split
    }
  }
  return path.reverse()
}

/**
 * The root that a leaf, its path and the count of leaves amount to; undefined where the path has another length than that
 * leaf's in a tree of that size.
 */
export function merkleRootFromPath(
  hash: Uint8Array,
  index: number,
  count: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (!Number.isSafeInteger(count) || !Number.isInteger(index) || index < 0 || index >= count)
    return undefined
  const sides: ('left' | 'right')[] = []
  let from = 0
  let until = count
  while (until - from > 1) {
    const split = from + splitOf(until - from)
    if (index < split) {
      sides.push('right')
      until = split
    } else {
      sides.push('left')
      from = split
    }
  }
  if (sides.length !== path.length) return undefined
  sides.reverse()
  return path.reduce(
    (node, sibling, level) => (sides[level] === 'left' ? hashNode(sibling, node) : hashNode(node, sibling)),
    hash,
  )
}

function rootOf(hashes: readonly Uint8Array[], from: number, until: number): Uint8Array {
  if (until === from) return createHash('sha256').digest()
  if (until - from === 1) return hashes[from]!
  const split = from + splitOf(until - from)
  return hashNode(rootOf(hashes, from, split), rootOf(hashes, split, until))
}

/** The largest power of two below `count`, which is above 1. */
function splitOf(count: number): number {
  return 2 ** (31 - Math.clz32(count - 1))
}

function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash('sha256').update(NODE_PREFIX).update(left).update(right).digest()
}

const NODE_PREFIX = Uint8Array.of(1)
