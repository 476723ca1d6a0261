/** What comes out of a simulation: rows for tables and papers, series for plots. Plain data; the same seed gives the same bytes. */

export interface Results {
  readonly scenario: string
  readonly seed: number
  /** Of Verimesh. */
  readonly version: string
  readonly rows: readonly ResultRow[]
}

/** One run: one policy at one point of the scenario. Shares and rates are from 0 to 1. */
export interface ResultRow {
  readonly policy: string
  /** Fraction of saboteurs, rate at which they lie, fraction of them that collude. */
  readonly f: number
  readonly s: number
  readonly c: number
  /** Further parameters of the run: what was swept, and the policy's own. */
  readonly parameters: Readonly<Record<string, number | string>>
  readonly jobs: number
  /** Answers that were served, and jobs that ended without one. */
  readonly served: number
  readonly failed: number
  /** Wrong answers at the moment they were served, over jobs. */
  readonly error: number
  /** All executions, probes, re-checks, own runs and traces at their cost, over jobs. */
  readonly executionsPerJob: number
  /** Wrong answers that were served and not found out by the end. */
  readonly wrongLeftStanding: number
  readonly honestCondemned: number
  /** Wrong answers served by one key: the most of any, and the mean over keys that had one served. */
  readonly wrongPerKeyMax: number
  readonly wrongPerKeyMean: number
  /** Wrong answers served for each right one that a saboteur gave, which is what it pays for them. */
  readonly wrongPerHonestWork: number
  readonly saboteursFound: number
  readonly disputes: number
  readonly rechecks: number
  /** Largest share of all executions that one provider ran. */
  readonly loadShareMax: number
  readonly latencyP50Ms: number
  readonly latencyP99Ms: number
  /** Messages sent and received by a node: mean over all, and the busiest one's. */
  readonly messagesPerNode: number
  readonly messagesMax: number
  /** Events that were handled, for the speed. */
  readonly events: number
}

/** What a run looked like over time, for plots. */
export interface RunSeries {
  readonly policy: string
  readonly f: number
  readonly s: number
  readonly c: number
  readonly parameters: Readonly<Record<string, number | string>>
  /** Equally spaced in jobs submitted; the first is before any. */
  readonly points: readonly SeriesPoint[]
  /** Quantiles of the latency of served answers in milliseconds, at `QUANTILES`. */
  readonly latencyMs: readonly number[]
  /** Share of all executions by provider, largest first. */
  readonly shares: readonly { readonly share: number; readonly honest: boolean }[]
}

export interface SeriesPoint {
  readonly atMs: number
  readonly jobs: number
  /** Cumulative. */
  readonly wrong: number
  readonly executions: number
  readonly failed: number
  /** Mean probability of being a saboteur that requesters hold, over providers they have met: honest ones, and the others. */
  readonly doubtHonest: number
  readonly doubtSaboteur: number
  /** Saboteurs found out so far. */
  readonly found: number
  /** Median latency since the point before, in milliseconds; 0 where nothing was served. */
  readonly latencyP50Ms: number
  /** Nodes that are up. */
  readonly nodes: number
}

export const QUANTILES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999] as const
