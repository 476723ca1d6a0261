import type { FalseProof, Slanderer } from './attacks.ts'
import { pick } from './pick.ts'

export interface SlandererInit {
  /** Whom it accuses, each as often as the others. At least one. */
  readonly victims: readonly string[]
  readonly accusationsPerSecond: number
}

/**
 * Models the peer that accuses honest ones to have them shunned (the slander, or bad-mouthing, of reputation systems:
 * Hoffman, Zage and Nita-Rotaru, A survey of attack and defense techniques for reputation systems, 2009). Shows that an
 * accusation without a proof moves nobody's standing but its author's, and what it costs those who look into it.
 */
export function createSlanderer({ victims, accusationsPerSecond }: SlandererInit): Slanderer {
  return {
    kind: 'slanderer',
    accusationsPerSecond,
    accuse: (random) => ({ accused: pick(victims, random), proof: pick(FALSE_PROOFS, random) }),
  }
}

/** All there are. */
export const FALSE_PROOFS: readonly FalseProof[] = ['absent', 'invalid', 'of-another', 'no-contradiction']
