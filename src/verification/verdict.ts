/** What an answer rests on. Weakest first; see the table in the README. */
export type VerdictLabel = 'signed' | 'replicated'

export interface Verdict {
  readonly label: VerdictLabel
  /** Distinct providers whose outputs agree with the accepted ones, sorted. */
  readonly agreed: readonly string[]
  /** Distinct providers that answered something else, sorted. */
  readonly disagreed: readonly string[]
  /** How many were asked in all. */
  readonly asked: number
  /** Distinct address groups among `agreed`. */
  readonly groups: number
}
