/**
 * Which answers agree. "Within the tolerance" is not transitive, so agreement is a clique: everyone in it agrees
 * with everyone else in it, and a chain of near neighbours does not merge. The result depends on the set of answers
 * alone, never on their order.
 */
import { ANSWERS_MAX } from './constants.ts'
import { VerificationError } from './errors.ts'

export interface Answer {
  readonly provider: string
  /** Address group of the provider (`Candidate.group`). */
  readonly group: string
  /** Hex of the salted output digest. */
  readonly digest: string
}

export interface Cluster {
  /** Whose outputs stand for the cluster: the digest that most of its providers share, ties to the smallest. */
  readonly digest: string
  /** Distinct, ascending. */
  readonly digests: readonly string[]
  /** Distinct, ascending. */
  readonly providers: readonly string[]
}

/**
 * The largest clique by distinct providers; ties go to the smallest digests. `agrees` is asked about distinct digests
 * only and must be symmetric; equal digests agree. With `anchor`, only cliques around that digest count.
 *
 * An answer given twice counts once; a provider with two different answers contradicts itself and counts for none.
 * Undefined without (anchored) answers. Throws VerificationError `too-many-answers` above ANSWERS_MAX distinct digests.
 */
export function findCluster(
  answers: readonly Answer[],
  agrees: (left: string, right: string) => boolean,
  anchor?: string,
): Cluster | undefined {
  const providersOf = groupByDigest(answers)
  const digests = [...providersOf.keys()].sort()
  if (digests.length > ANSWERS_MAX) {
    throw new VerificationError(
      'too-many-answers',
      `${digests.length} different answers; at most ${ANSWERS_MAX} can be compared`,
    )
  }
  const weights = digests.map((digest) => providersOf.get(digest)!.length)
  const neighbours = digests.map((left, i) =>
    digests.reduce((mask, right, j) => (i !== j && agrees(left, right) ? mask | (1 << j) : mask), 0),
  )
  const anchorIndex = anchor === undefined ? -1 : digests.indexOf(anchor)
  if (digests.length === 0 || (anchor !== undefined && anchorIndex < 0)) return undefined

  const members =
    anchorIndex < 0
      ? largestClique(0, (1 << digests.length) - 1, weights, neighbours)
      : largestClique(1 << anchorIndex, neighbours[anchorIndex]!, weights, neighbours)
  const chosen = digests.filter((_, index) => members & (1 << index))
  const sizeOf = (digest: string) => providersOf.get(digest)!.length
  return {
    digest: chosen.reduce((best, digest) => (sizeOf(digest) > sizeOf(best) ? digest : best)),
    digests: chosen,
    providers: chosen.flatMap((digest) => providersOf.get(digest)!).sort(),
  }
}

/**
 * The heaviest clique that contains `start` and otherwise only members of `among`, as bit masks. Cliques are visited
 * in lexicographic order of their members and replaced only by heavier ones: ties go to the smallest digests.
 */
function largestClique(
  start: number,
  among: number,
  weights: readonly number[],
  neighbours: readonly number[],
): number {
  let best = start
  let bestWeight = weigh(start, weights)
  const extend = (clique: number, weight: number, open: number) => {
    if (weight > bestWeight) {
      best = clique
      bestWeight = weight
    }
    let rest = open
    while (rest !== 0 && weight + weigh(rest, weights) > bestWeight) {
      const bit = rest & -rest
      const index = 31 - Math.clz32(bit)
      rest &= ~bit
      extend(clique | bit, weight + weights[index]!, rest & neighbours[index]!)
    }
  }
  extend(start, bestWeight, among)
  return best
}

function weigh(mask: number, weights: readonly number[]): number {
  return weights.reduce((sum, weight, index) => (mask & (1 << index) ? sum + weight : sum), 0)
}

function groupByDigest(answers: readonly Answer[]): Map<string, string[]> {
  const digestOf = new Map<string, string | undefined>()
  for (const { provider, digest } of answers) {
    const known = digestOf.get(provider)
    if (!digestOf.has(provider)) digestOf.set(provider, digest)
    else if (known !== digest) digestOf.set(provider, undefined)
  }
  const groups = new Map<string, string[]>()
  for (const [provider, digest] of digestOf) {
    if (digest === undefined) continue
    const group = groups.get(digest)
    if (group === undefined) groups.set(digest, [provider])
    else group.push(provider)
  }
  return groups
}
