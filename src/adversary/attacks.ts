/**
 * Attacks that are more than how one provider treats its jobs: what the simulator's world needs to know of many keys at
 * once, of requesters that attack, and of messages that nobody asked for. Plain data and small generators; what is random
 * comes from a generator that is handed in, and time is only ever told in rates.
 */
import type { Random } from '../routing/index.ts'
import type { Conduct } from './conduct.ts'

/** Many keys of one owner: see `createSybilSwarm`. */
export interface SybilSwarm {
  readonly kind: 'sybil-swarm'
  readonly keys: number
  /** Address group that all keys share, as in `Candidate.group`; undefined where each has one of its own. */
  readonly group: string | undefined
  /** For one key of the swarm, and for each that replaces it. */
  createConduct(): Conduct
}

/** Tells the mesh that others lied: see `createSlanderer`. */
export interface Slanderer {
  readonly kind: 'slanderer'
  readonly accusationsPerSecond: number
  accuse(random: Random): Accusation
}

export interface Accusation {
  readonly accused: string
  readonly proof: FalseProof
}

/** What stands behind a false accusation when somebody fetches its proof. Whichever it is, nobody may be exposed by it. */
export type FalseProof =
  /** Nothing: the proof is not served. */
  | 'absent'
  /** Bytes that do not verify: a signature, a path or a digest is wrong. */
  | 'invalid'
  /** A good proof, of another key. */
  | 'of-another'
  /** What the accused signed indeed, put together so that it looks like a contradiction. */
  | 'no-contradiction'

/** A requester that wants an honest provider found guilty: see `createFramingRequester`. */
export interface FramingRequester {
  readonly kind: 'framing-requester'
  readonly demandsPerSecond: number
  next(random: Random): FramingAttempt
}

export interface FramingAttempt {
  readonly demand: FramingDemand
  /** Of whom the trace is demanded. */
  readonly victim: string
  /** Whose receipt is held against it: another provider's, or that of a key of the requester's own. */
  readonly against: string
}

export interface FramingDemand {
  readonly name: FramingDemandName
  /**
   * What an honest provider answers: a signed `invalid-demand`, and nothing is run; or an honest trace, which binds nobody
   * but those who lied. Over the budget of the peer it is a signed `busy`. Nothing of this is ever held against it.
   */
  readonly outcome: 'refused' | 'traced'
}

export type FramingDemandName =
  | 'other-inputs'
  | 'other-salt'
  | 'job-of-another-requester'
  | 'forged-job'
  | 'receipt-of-another-provider'
  | 'receipt-of-another-job'
  | 'conflict-of-another-job'
  | 'conflict-of-another-lane'
  | 'conflict-with-itself'
  | 'no-conflict'
  | 'no-referee'
  | 'stale-receipt'
  | 'made-up-conflict'
  | 'repeated-demand'

/** Sends more than it needs: see `createFlooder`. */
export interface Flooder {
  readonly kind: 'flooder'
  /** `jobs` are whole, signed and never paid for by any use; `demands` are for traces of jobs that ran. */
  readonly request: 'jobs' | 'demands'
  readonly requestsPerSecond: number
  /** Keys among which it spreads its requests, since budgets are a key's. */
  readonly keys: number
  next(random: Random): FloodRequest
}

export interface FloodRequest {
  /** From the request before: exponential, so that requests come as a Poisson process. */
  readonly afterMs: number
  /** Which of its keys sends it, from 0. */
  readonly key: number
  readonly victim: string
}
