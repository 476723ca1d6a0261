/** What is assumed of providers before anything is known, and what each kind of evidence weighs. */
import type { EvidenceKind } from './evidence.ts'

export interface ReputationParams {
  /** Share of new keys that are assumed to lie at times. */
  readonly saboteurShare: number
  /** Of those, at which rate they lie: a distribution over rates in (0, 1); weights add up to 1. */
  readonly rates: readonly { readonly rate: number; readonly weight: number }[]
  /** Time after which what spoke for a provider counts half. */
  readonly trustHalfLifeMs: number
  /** Time after which what spoke against it counts half. What is final stays. */
  readonly suspicionHalfLifeMs: number
  /** Natural logarithm of how much likelier it is from a saboteur than from an honest provider. */
  readonly suspicion: Readonly<Record<Exclude<EvidenceKind, 'agreed'>, number>>
  /** Such a provider is drawn only where nobody else is left: the probability that it is a saboteur. */
  readonly shunnedAt: number
  /** Providers remembered; those of whom least is known go first. */
  readonly providersMax: number
  /** Model classes remembered of each. */
  readonly classesMax: number
  /** Observations kept of each, to explain its standing. */
  readonly recentMax: number
}

const DAY_MS = 24 * 60 * 60_000

/**
 * Rates are log-uniform over two decades: nobody knows how often liars lie, and the rarest lies are the ones that trust
 * is built to catch. Rarer than one in a hundred is not assumed: `docs/replication.md` tells what that leaves open.
 */
export const REPUTATION_PARAMS: ReputationParams = {
  // The largest share in the literature's grids (Sarmenta 2002, section 3.1: f up to 0.35 or so).
  saboteurShare: 0.35,
  rates: logUniform(0.01, 0.99, 9),
  // Machines and owners change; a volunteer that was away for a month is half known.
  trustHalfLifeMs: 30 * DAY_MS,
  suspicionHalfLifeMs: 90 * DAY_MS,
  suspicion: {
    // A machine that is slow or breaks is no liar: it is drawn less by how often it answers, see `TrackRecord`.
    'timed-out': 0,
    failed: 0,
    // Malformed answers come from old versions too.
    'violated-protocol': Math.log(20),
    // Honest answers leave the tolerance once in 10,000 (measured: none of 9,918 pairs), liars at their rate: 100 is on the safe side.
    disagreed: Math.log(100),
    // Beyond twenty tolerances of its own exact run: honestly seen on no input; an adversarial one can be built.
    'contradicted-exact': Math.log(1000),
    // Nor does hardware of its class give it (bitwise alike in 96 of 96 runs on three emulated processors of one class). What
    // is left of an excuse is an engine with other options, or memory that fails.
    'contradicted-replay': Math.log(10_000),
    // It answers pings and not the question: a peer behind a failing disk does that too.
    withheld: Math.log(50),
    // Proved: final, whatever the number.
    'lost-dispute': Number.POSITIVE_INFINITY,
    'fraud-proof': Number.POSITIVE_INFINITY,
  },
  shunnedAt: 0.99,
  // About 1 KiB each; ten times the book.
  providersMax: 10_240,
  classesMax: 64,
  recentMax: 16,
}

/** `count` rates from `lowest` to `highest`, each as likely as the others, evenly spaced by their logarithm. */
export function logUniform(lowest: number, highest: number, count: number): ReputationParams['rates'] {
  return Array.from({ length: count }, (_, index) => ({
    rate: lowest * (highest / lowest) ** (index / (count - 1)),
    weight: 1 / count,
  }))
}
