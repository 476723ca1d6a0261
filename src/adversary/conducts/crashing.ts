import type { Conduct } from '../conduct.ts'
import { createHonest } from './honest.ts'

/**
 * Models the machine that goes away in the middle of a job with probability `rate`, from 0 to 1: closed lids, full memory,
 * power cuts (the hosts of desktop grids, Anderson 2004). Shows that no job is lost with its provider, and that failing is
 * no lie: it must never be condemned.
 */
export function createCrashing(rate: number): Conduct {
  return {
    ...createHonest(),
    answer: (_job, random) => (random.next() < rate ? { kind: 'crash' } : { kind: 'right' }),
  }
}
