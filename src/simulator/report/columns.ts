/** The columns of a table of rows, one order for CSV, JSON and the page. */
import type { ResultRow } from '../results.ts'

/** Names of what every row has as a number. */
export type Measured = Exclude<keyof ResultRow, 'policy' | 'parameters'>

/** What every row has beside policy and parameters, in the order of `ResultRow`, and what people read above it. */
export const HEADINGS: Readonly<Record<Measured, string>> = {
  f: 'f',
  s: 's',
  c: 'c',
  jobs: 'jobs',
  served: 'served',
  failed: 'failed',
  error: 'error',
  executionsPerJob: 'exec. / job',
  wrongLeftStanding: 'wrong left',
  honestCondemned: 'honest cond.',
  wrongPerKeyMax: 'wrong / key, max.',
  wrongPerKeyMean: 'wrong / key, mean',
  wrongPerHonestWork: 'wrong / honest work',
  saboteursFound: 'found',
  disputes: 'disputes',
  rechecks: 're-checks',
  loadShareMax: 'max. share',
  latencyP50Ms: 'p50 ms',
  latencyP99Ms: 'p99 ms',
  messagesPerNode: 'msgs / node',
  messagesMax: 'msgs max.',
  events: 'events',
}

/** Their order in every table. */
export const MEASURED = Object.keys(HEADINGS) as readonly Measured[]

/** Names of all parameters of the rows, in alphabetical order. */
export function parameterNames(rows: readonly ResultRow[]): readonly string[] {
  return [...new Set(rows.flatMap(({ parameters }) => Object.keys(parameters)))].sort()
}
