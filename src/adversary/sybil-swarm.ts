import type { SybilSwarm } from './attacks.ts'
import type { Conduct } from './conduct.ts'

export interface SybilSwarmInit {
  readonly keys: number
  /** Left out: the owner has rented an address group for each key, which is what a swarm costs it. */
  readonly group?: string
  /** Makes the conduct of one key: of colluders with one name, seed and rate, or of an adaptive coalition. */
  createConduct(): Conduct
}

/**
 * Models one owner with as many keys as it likes (Douceur, The Sybil attack, 2002), in one address group, or, where it can
 * pay for them, in many. Shows that keys of one group count once, that unproven keys which agree are reckoned as one
 * coalition however many they are, and so what a swarm gets served wrongly for what it spent.
 */
export function createSybilSwarm({ keys, group, createConduct }: SybilSwarmInit): SybilSwarm {
  return { kind: 'sybil-swarm', keys, group, createConduct }
}
