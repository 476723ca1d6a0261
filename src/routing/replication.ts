/**
 * How many providers a job is asked of, and when an answer may be served. Pure: records in, decision out.
 *
 * `doubt` is the rule of this project: an answer is served when the probability that it is wrong, by the records of those
 * who give it and reckoning all saboteurs among them as one coalition, is at most the risk that the person accepts. The
 * others are the rules of the literature, against which it is measured in the simulator.
 */
import { createPosterior, type ReputationParams, type TrackRecord } from '../../peers/reputation/index.ts'

export interface Replication {
  readonly name: string
  /**
   * Whether an answer that all of these give, and nobody contradicts, may be served. `draw` is in [0, 1), fixed for the
   * job, and unknown to providers.
   */
  isEnough(parties: readonly TrackRecord[], draw: number): boolean
  /**
   * Whether the first of these groups, each of whom gives another answer, may be served although the others contradict it.
   * Asked only where no referee decides.
   */
  prevails(groups: readonly (readonly TrackRecord[])[], draw: number): boolean
  /** The probability that an answer is wrong which these give and nobody contradicts; left out where the rule knows none. */
  wrong?(parties: readonly TrackRecord[]): number
}

export interface DoubtTerms {
  /** The probability that a wrong answer is served which the person accepts, in (0, 1). */
  readonly risk: number
  /** Share of jobs that one provider would be enough for, but two are asked, so that trust is never safe to spend. */
  readonly floorRate: number
}

export function createDoubt(
  { risk, floorRate }: DoubtTerms,
  params: Pick<ReputationParams, 'saboteurShare' | 'rates'>,
): Replication {
  const posterior = createPosterior(params)
  return {
    name: 'doubt',
    wrong: posterior.wrong,
    isEnough: (parties, draw) =>
      posterior.wrong(parties) <= risk && (parties.length > 1 || (parties.length === 1 && draw >= floorRate)),
    prevails: (groups) => wrongAmong(groups, posterior.wrong) <= risk,
  }
}

/**
 * The probability that the first group is wrong where others contradict it, by Sarmenta's credibility of groups: either
 * it is right and all others lie, or another is right and it lies with the rest, or everybody lies.
 */
export function wrongAmong(
  groups: readonly (readonly TrackRecord[])[],
  wrong: (records: readonly TrackRecord[]) => number,
): number {
  const lies = groups.map(wrong)
  const all = lies.reduce((product, lie) => product * lie, 1)
  const rightOf = (index: number): number =>
    lies.reduce((product, lie, at) => product * (at === index ? 1 - lie : lie), 1)
  const right = lies.map((_, index) => rightOf(index))
  const total = right.reduce((sum, chance) => sum + chance, all)
  return total === 0 ? 1 : 1 - (right[0] ?? 0) / total
}
