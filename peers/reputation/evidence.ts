/** What can be learnt about a provider. */
export type EvidenceKind =
  /** Others who ran the job, or a run that decided it, gave the same within the tolerance. */
  | 'agreed'
  /** It answered something else than what was accepted, and it was not found out why. */
  | 'disagreed'
  /** It took the job and did not answer. Says nothing about whether its answers are right. */
  | 'timed-out'
  | 'failed'
  | 'violated-protocol'
  /** Its native answer lies outside the tolerance of its own exact run. Weighted, never final: hardware differs. */
  | 'contradicted-exact'
  /**
   * In place of that, where it was run again on the engine, version and instruction-set class that its receipt declares, and
   * gave other bits. Weighs more: its own hardware is no excuse. Still this node's alone, and never final.
   */
  | 'contradicted-replay'
  /** Its own leaf was judged and found false. */
  | 'lost-dispute'
  /** It was silent about its own answer while it could have spoken. */
  | 'withheld'
  /** A fraud proof against its key was verified, wherever it came from. Final. */
  | 'fraud-proof'

/**
 * One observation of this node's own, or a proof that it verified: what others say of a provider is no evidence. Nor are
 * network faults, refusals and this node's own faults, for which there is no kind.
 */
export interface Evidence {
  readonly provider: string
  /** What the trust is about: one earned with a cheap model says little about a costly one. This node uses the CID. */
  readonly modelClass: string
  readonly kind: EvidenceKind
  /** Wall clock, milliseconds since 1970; in a simulation, virtual time. */
  readonly atMs: number
  /** Hex of the job commitment; empty where there was no job, as for a proof that was gossiped. */
  readonly jobId: string
  /**
   * From 0 to 1: how sure the observation is. Of `agreed`, the probability that a lie would have been noticed, which is
   * less than 1 where those who agree may be one coalition, and 0 where nobody else was asked.
   */
  readonly strength: number
}
