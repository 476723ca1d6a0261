import type { Exposure } from './exposure.ts'

/** How much of what was proved is kept. */
export interface StoreLimits {
  readonly heldProofs: number
  readonly heldBytes: number
  readonly exposures: number
}

/**
 * Whose proofs are dropped so that the rest keeps within the limits. What this node proved itself stays longest: it
 * is surely meant for this node. Among the rest the largest go first while bytes are short, since one of them can
 * cost as much as a thousand others, and the oldest while there are too many. `held` is in the order of finding.
 */
export function selectDropped(held: readonly Exposure[], limits: StoreLimits): Exposure[] {
  const bySize = [...held].sort((a, b) => rank(a) - rank(b) || b.bytes - a.bytes)
  const dropped = new Set<Exposure>()
  let bytes = held.reduce((sum, exposure) => sum + exposure.bytes, 0)
  for (const exposure of bySize) {
    if (bytes <= limits.heldBytes) break
    dropped.add(exposure)
    bytes -= exposure.bytes
  }
  const byAge = [...held].filter((exposure) => !dropped.has(exposure)).sort((a, b) => rank(a) - rank(b))
  for (const exposure of byAge.slice(0, Math.max(0, byAge.length - limits.heldProofs))) dropped.add(exposure)
  return [...dropped]
}

/** Which keys are forgotten altogether: the oldest that others exposed, then the oldest of all. */
export function selectForgotten(exposures: readonly Exposure[], limits: StoreLimits): Exposure[] {
  const byAge = [...exposures].sort((a, b) => rank(a) - rank(b))
  return byAge.slice(0, Math.max(0, byAge.length - limits.exposures))
}

function rank({ origin }: Exposure): number {
  return origin === 'gossip' ? 0 : 1
}
