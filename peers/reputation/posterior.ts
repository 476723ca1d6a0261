/**
 * What a record is worth, by Bayes' rule.
 *
 * A provider is honest, or a saboteur that lies at some rate s, each job anew. A checked run that agreed is (1 - s) times
 * as likely from a saboteur as from an honest provider, so that after n of them its odds have shrunk by (1 - s)^n; what
 * spoke against it multiplies them. Those who agree on one job are reckoned in the worst way: all saboteurs among them are
 * one coalition with one rate, which picks the same jobs and tells the same lie. Two of them then are not the product of
 * two chances of lying, but one chance times the chance that both are of it.
 *
 * Source: L. Sarmenta, "Sabotage-tolerance mechanisms for volunteer computing systems" (2002), sections 4 and 5, with a
 * distribution over s in place of its worst case. `docs/replication.md` derives it.
 */
import type { ReputationParams } from './params.ts'

/** What is known of a provider with models of one class, at one moment. */
export interface TrackRecord {
  /** Checked runs that agreed, each counted by its strength, less what was forgotten. Forfeited by anything against it. */
  readonly checked: number
  /** Checked runs that agreed since the last that did not. */
  readonly streak: number
  /** Natural logarithm of how much likelier what spoke against it is from a saboteur; infinite where it was proved. */
  readonly suspicion: number
}

/** Of whom nothing is known. */
export const NEWCOMER: TrackRecord = { checked: 0, streak: 0, suspicion: 0 }

export interface Posterior {
  /** The probability that a provider with this record is a saboteur, of whatever rate. */
  saboteur(record: TrackRecord): number
  /**
   * The probability that an answer which all of these give, and nobody contradicts, is wrong: that all of them are one
   * coalition and that it lies on this job. 1 where nobody gives it.
   */
  wrong(records: readonly TrackRecord[]): number
}

export function createPosterior({
  saboteurShare,
  rates,
}: Pick<ReputationParams, 'saboteurShare' | 'rates'>): Posterior {
  const priorOdds = Math.log(saboteurShare / (1 - saboteurShare))
  const decay = rates.map(({ rate }) => Math.log1p(-rate))
  const size = rates.length

  /** That it is a saboteur, given that saboteurs lie at the rate with this index. */
  const saboteurAt = ({ checked, suspicion }: TrackRecord, index: number): number =>
    suspicion === Number.POSITIVE_INFINITY
      ? 1
      : 1 / (1 + Math.exp(-(priorOdds + suspicion + checked * decay[index]!)))

  return {
    saboteur(record) {
      if (record.suspicion === Number.POSITIVE_INFINITY) return 1
      let likelihood = 0
      for (let index = 0; index < size; index++) {
        likelihood += rates[index]!.weight * Math.exp(record.checked * decay[index]!)
      }
      return 1 / (1 + 1 / (Math.exp(priorOdds + record.suspicion) * likelihood))
    },
    wrong(records) {
      if (records.length === 0) return 1
      let sum = 0
      for (let index = 0; index < size; index++) {
        const { rate, weight } = rates[index]!
        let all = rate * weight
        for (const record of records) all *= saboteurAt(record, index)
        sum += all
      }
      return sum
    },
  }
}
