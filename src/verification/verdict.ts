import { type Answer, findCluster } from './quorum.ts'

/** What an answer rests on. Weakest first; see the table in the README. */
export type VerdictLabel = 'signed' | 'replicated'

export interface Verdict {
  readonly label: VerdictLabel
  /** Distinct providers whose outputs agree with the accepted ones (and with each other's), sorted. */
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

/** The verdict on a set of answers, whatever their order. Undefined where there is no (accepted) answer. */
export function composeVerdict(input: VerdictInput): Verdict | undefined {
  const { answers, agrees, accepted, asked, replicas } = input
  const cluster = findCluster(answers, agrees, accepted)
  if (cluster === undefined) return undefined
  const agreed = new Set(cluster.providers)
  const disagreed = new Set(answers.map(({ provider }) => provider).filter((name) => !agreed.has(name)))
  const groups = new Set(answers.filter(({ provider }) => agreed.has(provider)).map(({ group }) => group))
  return {
    label: replicas === 1 ? 'signed' : 'replicated',
    agreed: cluster.providers,
    disagreed: [...disagreed].sort(),
    asked,
    groups: groups.size,
  }
}
