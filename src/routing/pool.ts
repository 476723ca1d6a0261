/**
 * Whom a requester works with. Trust is earned by checked runs, and each costs an execution, so what is spread over all
 * who offer themselves is never enough for anybody: a requester works with as few as the cap on one provider's share
 * allows, and keeps to those of whom it knows most. Newcomers get a small share beside them, and the place of whoever
 * is found out.
 */
import { NEWCOMER, type Posterior } from '../../peers/reputation/index.ts'
import type { Candidate } from './candidate.ts'
import type { Random } from './random.ts'

export interface PoolOptions {
  /** How many to work with. */
  readonly size: number
  /** Chance, from 0 to 1, that one outside the pool is drawn instead. */
  readonly newcomerShare: number
  /** A secret order among those of whom equally much is known, the same for every job of this requester. */
  readonly rank: (provider: string) => number
  /** Probability of being a saboteur from which on somebody is drawn only where nobody else is left. */
  readonly shunnedAt: number
  readonly posterior: Posterior
  readonly random: Random
}

/** Those among whom the next provider is drawn. Not empty unless `candidates` is. */
export function poolOf(candidates: readonly Candidate[], options: PoolOptions): readonly Candidate[] {
  const { size, newcomerShare, rank, shunnedAt, posterior, random } = options
  const doubtOf = ({ record = NEWCOMER }: Candidate) => posterior.saboteur(record)
  // Of whom nothing bad is known, nothing need be reckoned.
  const isTrusted = (candidate: Candidate) =>
    (candidate.record?.suspicion ?? 0) === 0 || doubtOf(candidate) < shunnedAt
  const trusted = candidates.filter(isTrusted)
  if (trusted.length === 0) {
    // Somebody has to be asked; of those who are doubted, who is doubted least.
    const least = Math.min(...candidates.map(doubtOf))
    return candidates.filter((candidate) => doubtOf(candidate) === least)
  }
  if (trusted.length <= size) return trusted
  const ranked = trusted
    .map((candidate) => ({
      candidate,
      checked: candidate.record?.checked ?? 0,
      suspicion: candidate.record?.suspicion ?? 0,
      rank: rank(candidate.provider),
    }))
    .sort((a, b) => a.suspicion - b.suspicion || b.checked - a.checked || a.rank - b.rank)
    .map(({ candidate }) => candidate)
  return random.next() < newcomerShare ? ranked.slice(size) : ranked.slice(0, size)
}

/** A secret order of providers that follows from `seed`: nobody can choose a key that comes first. */
export function createRank(seed: number): (provider: string) => number {
  return (provider) => {
    let hash = seed >>> 0
    for (let index = 0; index < provider.length; index++) {
      hash = Math.imul(hash ^ provider.charCodeAt(index), 0x01000193)
      hash ^= hash >>> 15
    }
    return Math.imul(hash ^ (hash >>> 13), 0x5bd1e995) >>> 0
  }
}
