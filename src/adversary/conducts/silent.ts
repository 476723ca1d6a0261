import type { Conduct } from '../conduct.ts'
import { createHonest } from './honest.ts'

/**
 * Models the peer that takes jobs and, with probability `rate`, from 0 to 1, is never heard of again, though its connection
 * stays: a hung process, or somebody who wants to hold up a requester. Shows that every job ends within its deadline
 * nevertheless, and that silence about a job is no lie: it must never be condemned.
 */
export function createSilent(rate: number): Conduct {
  return {
    ...createHonest(),
    answer: (_job, random) => (random.next() < rate ? { kind: 'silent' } : { kind: 'right' }),
  }
}
