import { type Answer, findCluster } from './quorum.ts'

/** What an answer rests on, weakest first; see the table in the README. */
export const VERDICT_LABELS = ['signed', 'replicated', 'refereed', 'recomputed'] as const

export type VerdictLabel = (typeof VERDICT_LABELS)[number]

/** The requester's own run, as a party of a dispute. */
export const SELF = 'self'

/** What was wrong with a party's own leaf, in DESIGN section 5's words. */
export type GuiltKind = 'wiring' | 'execution' | 'shape' | 'equivocation'

/** Why an answer counts for nothing, however it compares with the others. */
export type DiscardReason =
  | 'lost-dispute'
  | 'withheld'
  | 'violated-protocol'
  /** Its native answer lies outside the tolerance of its own exact run. Its trace still counts. */
  | 'contradicted-exact'
  /** The same, and hardware of the class that it declared gives other bits. Its trace still counts. */
  | 'contradicted-replay'
  /** A fraud proof against its key was verified. */
  | 'exposed'
  /** It was found out in another job, without a proof. */
  | 'distrusted'

/** Whether only the answer is lost: what its giver's exact run gave is a statement of its own. */
export function isAnswerAlone(reason: DiscardReason): boolean {
  return reason === 'contradicted-exact' || reason === 'contradicted-replay'
}

/** Two traces that were held against each other. */
export interface DisputeSummary {
  readonly left: string
  /** A provider, or `self`. */
  readonly right: string
  /** Nobody, where it could not be decided; both, where both lied. */
  readonly losers: readonly { readonly provider: string; readonly kind: GuiltKind | 'withheld' }[]
}

/** What the dispute about a job brought to light; left out of a verdict without one. */
export interface DisputeRecord {
  /** Sorted by their parties. */
  readonly disputes: readonly DisputeSummary[]
  /** Distinct providers that gave a trace, sorted. */
  readonly traced: readonly string[]
  /** Sorted by provider. */
  readonly discarded: readonly { readonly provider: string; readonly reason: DiscardReason }[]
}

export interface Verdict extends Partial<DisputeRecord> {
  readonly label: VerdictLabel
  /**
   * Distinct providers whose answers stand with the accepted outputs, sorted. Where answers were counted, they agree
   * with each other too; where a run decided, they lie within the tolerance of it. Empty where everyone's answer was
   * wrong and the exact outputs were accepted instead.
   */
  readonly agreed: readonly string[]
  /** Distinct providers that answered something else, sorted. */
  readonly disagreed: readonly string[]
  /** How many distinct providers were asked in all. */
  readonly asked: number
  /** Distinct address groups among `agreed`. */
  readonly groups: number
}

export interface VerdictInput {
  readonly answers: readonly Answer[]
  /** Whether the outputs behind two distinct digests are the same within the tolerance; symmetric. */
  readonly agrees: (left: string, right: string) => boolean
  /** Digest of the outputs that were accepted; without it, those of the largest cluster. */
  readonly accepted?: string
  readonly asked: number
  /** How many providers the policy asks. One provider's word is `signed`, however many were asked in vain before. */
  readonly replicas: number
}

/** The verdict on a set of answers that are counted, whatever their order. Undefined where there is no (accepted) answer. */
export function composeVerdict(input: VerdictInput): Verdict | undefined {
  const { answers, agrees, accepted, asked, replicas } = input
  const cluster = findCluster(answers, agrees, accepted)
  if (cluster === undefined) return undefined
  const agreed = new Set(cluster.providers)
  return {
    label: replicas === 1 ? 'signed' : 'replicated',
    agreed: cluster.providers,
    disagreed: namesOf(answers.filter(({ provider }) => !agreed.has(provider))),
    asked,
    groups: countGroups(answers.filter(({ provider }) => agreed.has(provider))),
  }
}

export interface Decision {
  readonly label: 'refereed' | 'recomputed'
  /** Answers that stand with the run that decided, and those that do not. */
  readonly agreed: readonly Answer[]
  readonly disagreed: readonly Answer[]
  readonly asked: number
}

/** The verdict where a run decided, and nobody was counted; whatever the order of the answers. */
export function composeDecision({ label, agreed, disagreed, asked }: Decision): Verdict {
  return {
    label,
    agreed: namesOf(agreed),
    disagreed: namesOf(disagreed),
    asked,
    groups: countGroups(agreed),
  }
}

/** Whether `label` rests on at least as much as `least`. */
export function isLabelAtLeast(label: VerdictLabel, least: VerdictLabel): boolean {
  return VERDICT_LABELS.indexOf(label) >= VERDICT_LABELS.indexOf(least)
}

function namesOf(answers: readonly Answer[]): string[] {
  return [...new Set(answers.map(({ provider }) => provider))].sort()
}

function countGroups(answers: readonly Answer[]): number {
  return new Set(answers.map(({ group }) => group)).size
}
