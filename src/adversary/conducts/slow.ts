import type { Conduct } from '../conduct.ts'
import { createHonest } from './honest.ts'

export interface SlowInit {
  /** Its service time, in those of others. */
  readonly factor: number
  /** Share of jobs, from 0 to 1, on which it is slow; on the others it is like anybody. */
  readonly rate: number
}

/**
 * Models the machine that is overloaded, throttled or busy with its owner's game: right, and late (Dean and Barroso, The
 * tail at scale, 2013). Shows that the tail is hedged, that a slow provider is asked less, and that slowness is nobody's
 * lie: it must never be condemned.
 */
export function createSlow({ factor, rate }: SlowInit): Conduct {
  return { ...createHonest(), serviceFactor: (_job, random) => (random.next() < rate ? factor : 1) }
}
