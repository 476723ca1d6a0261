/** What a person is told of a provider's standing, and why. */
import type { LedgerEntry } from './ledger.ts'
import { REPUTATION_PARAMS, type ReputationParams } from './params.ts'
import { createPosterior, type TrackRecord } from './posterior.ts'

export type StandingName =
  /** Nothing was checked yet. */
  | 'newcomer'
  /** Some runs were checked, and agreed. */
  | 'known'
  /** Something speaks against it. */
  | 'doubted'
  /** So much that it is drawn only where nobody else is left. */
  | 'shunned'
  /** Proved to have lied. */
  | 'condemned'

export interface Standing {
  readonly provider: string
  readonly name: StandingName
  /** The probability that it is a saboteur, with models of the class of which most is known. */
  readonly saboteur: number
  /** For each class of models: how many checked runs count, and how likely its answer alone is wrong. */
  readonly classes: readonly {
    readonly modelClass: string
    readonly checked: number
    readonly wrong: number
  }[]
  /** Share of the jobs that it took which it answered. */
  readonly reliability: number
  /** Why, in sentences for a person, the weightiest first. */
  readonly reasons: readonly string[]
}

/** The standing of one provider at a moment. `record` gives its track record for a class, as `Ledger.trackRecord` does. */
export function standingOf(
  entry: LedgerEntry,
  record: (modelClass: string) => TrackRecord,
  params: ReputationParams = REPUTATION_PARAMS,
): Standing {
  const posterior = createPosterior(params)
  const classes = entry.classes
    .map(({ modelClass }) => {
      const known = record(modelClass)
      return { modelClass, known, checked: known.checked, wrong: posterior.wrong([known]) }
    })
    .sort((a, b) => b.checked - a.checked || (a.modelClass < b.modelClass ? -1 : 1))
  const best = classes[0]?.known ?? record('')
  const saboteur = posterior.saboteur(best)
  return {
    provider: entry.provider,
    name: nameOf(entry, best, saboteur, params),
    saboteur,
    classes: classes.map(({ modelClass, checked, wrong }) => ({ modelClass, checked, wrong })),
    reliability: entry.reliability,
    reasons: reasonsFor(entry, best),
  }
}

function nameOf(
  entry: LedgerEntry,
  { checked, suspicion }: TrackRecord,
  saboteur: number,
  { shunnedAt }: ReputationParams,
): StandingName {
  if (entry.condemned !== undefined) return 'condemned'
  if (saboteur >= shunnedAt) return 'shunned'
  // Less than a factor of two is no doubt worth a word.
  if (suspicion > Math.LN2) return 'doubted'
  return checked > 0 ? 'known' : 'newcomer'
}

function reasonsFor({ condemned, counts, reliability }: LedgerEntry, best: TrackRecord): string[] {
  const reasons: string[] = []
  if (condemned !== undefined) {
    const where = condemned.jobId === '' ? '' : ` in job ${condemned.jobId.slice(0, 12)}`
    reasons.push(
      condemned.kind === 'lost-dispute'
        ? `it was proved to have lied${where}: a step that it signed gives something else`
        : `a proof of fraud against its key was verified${where}`,
    )
  }
  const told: readonly [keyof typeof counts, string][] = [
    ['contradicted-exact', 'gave an answer that its own exact run contradicts'],
    ['contradicted-replay', 'gave an answer that neither its own exact run nor hardware like its own gives'],
    ['withheld', 'was silent about an answer of its own'],
    ['violated-protocol', 'broke the protocol'],
    ['disagreed', 'answered something else than what was accepted'],
  ]
  for (const [kind, what] of told) {
    const count = counts[kind] ?? 0
    if (count > 0) reasons.push(`${what} ${times(count)}`)
  }
  const agreed = counts.agreed ?? 0
  if (agreed > 0) {
    reasons.push(
      `agreed with others in ${agreed} ${agreed === 1 ? 'job' : 'jobs'}, of which ${rounded(best.checked)} count`,
    )
  }
  if (reliability < 0.95) reasons.push(`answered ${Math.round(reliability * 100)} % of what it took lately`)
  if (reasons.length === 0) reasons.push('nothing of it was checked yet')
  return reasons
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}

function rounded(value: number): string {
  return value >= 10 ? String(Math.round(value)) : value.toFixed(1)
}
