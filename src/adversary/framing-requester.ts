import type { FramingAttempt, FramingDemand, FramingRequester } from './attacks.ts'
import { pick } from './pick.ts'

export interface FramingRequesterInit {
  /** Honest providers that it wants condemned. At least one. */
  readonly victims: readonly string[]
  /** A key of its own that answers its jobs with whatever suits it. */
  readonly accomplice: string
  readonly demandsPerSecond: number
}

/**
 * Models the requester that sits on both sides of a dispute: it chooses inputs, salts, receipts and the one who contradicts,
 * and demands traces until an honest provider has signed something that looks like a lie (PeerReview, Haeberlen, Kouznetsov
 * and Druschel, 2007, asks the same of accountability: no correct node is ever exposed). Shows that none of its demands
 * frames anybody, and what it costs its victims to refuse them.
 */
export function createFramingRequester({
  victims,
  accomplice,
  demandsPerSecond,
}: FramingRequesterInit): FramingRequester {
  return {
    kind: 'framing-requester',
    demandsPerSecond,
    next(random): FramingAttempt {
      const demand = pick(FRAMING_DEMANDS, random)
      const victim = pick(victims, random)
      if (demand === WITH_ITSELF) return { demand, victim, against: victim }
      // Drawn from all, so that the cost of an attempt does not grow with the mesh.
      const other = BETWEEN_VICTIMS.has(demand) ? pick(victims, random) : accomplice
      return { demand, victim, against: other === victim ? accomplice : other }
    },
  }
}

/** The victim is given one thing and somebody else another: under one job id the two must differ, honest as they are. */
const OTHER_INPUTS: FramingDemand = { name: 'other-inputs', outcome: 'refused' }
const OTHER_SALT: FramingDemand = { name: 'other-salt', outcome: 'refused' }
/** Honest receipts of two jobs differ as a matter of course. */
const CONFLICT_OF_ANOTHER_JOB: FramingDemand = { name: 'conflict-of-another-job', outcome: 'refused' }
/** The provider's own exact receipt against its own native one. */
const WITH_ITSELF: FramingDemand = { name: 'conflict-with-itself', outcome: 'refused' }
const BETWEEN_VICTIMS: ReadonlySet<FramingDemand> = new Set([
  OTHER_INPUTS,
  OTHER_SALT,
  CONFLICT_OF_ANOTHER_JOB,
])

/** What a requester can demand to frame somebody, with what must come of it: `protocols/dispute`, "A demand is verified". */
export const FRAMING_DEMANDS: readonly FramingDemand[] = [
  OTHER_INPUTS,
  OTHER_SALT,
  CONFLICT_OF_ANOTHER_JOB,
  WITH_ITSELF,
  // Collected elsewhere: the job's key is not the one that the connection proved.
  { name: 'job-of-another-requester', outcome: 'refused' },
  // Changed after it was signed.
  { name: 'forged-job', outcome: 'refused' },
  // The receipt by which the victim is called to account is not its own, or about something else.
  { name: 'receipt-of-another-provider', outcome: 'refused' },
  { name: 'receipt-of-another-job', outcome: 'refused' },
  // An exact job with a conflict from the native lane, where everybody differs in the last bits.
  { name: 'conflict-of-another-lane', outcome: 'refused' },
  // Both receipts state the same output digest.
  { name: 'no-conflict', outcome: 'refused' },
  // The job asked for no referee, so the provider took it without the cost of a trace in mind.
  { name: 'no-referee', outcome: 'refused' },
  { name: 'stale-receipt', outcome: 'refused' },
  // Whatever its accomplice signed: a conflict binds a demand to a claim and need not be true.
  { name: 'made-up-conflict', outcome: 'traced' },
  // The same demand again: the same root comes of it, so two commitments never contradict each other.
  { name: 'repeated-demand', outcome: 'traced' },
]
