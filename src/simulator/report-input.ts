/** What the report of a scenario needs beside the rows. */
import { boundCurve } from './bound.ts'
import type { Bound, ReportInput, Span } from './report/index.ts'
import type { ResultRow, Results, RunSeries } from './results.ts'
import type { Scenario } from './scenario.ts'

export function reportOn(
  scenario: Scenario,
  command: string,
  results: Results,
  series: readonly RunSeries[],
): ReportInput {
  return {
    title: scenario.name,
    purpose: scenario.shows,
    command,
    results,
    series,
    bounds: boundsOf(scenario, results.rows),
    shareMax: scenario.shareMax,
    spans: spansOf(scenario),
  }
}

/** One curve for each fraction and rate of saboteurs that were run. */
function boundsOf({ jobs, shareMax }: Scenario, rows: readonly ResultRow[]): readonly Bound[] {
  const points = new Map(rows.map(({ f, s, c }) => [`${f} ${s} ${c}`, { f, s, c }]))
  return [...points.values()]
    .filter(({ f, s }) => f > 0 && s > 0)
    .map(({ f, s, c }) => ({ f, s, c, points: boundCurve({ jobs, f, s, shareMax }) }))
}

function spansOf({ network, bursts }: Scenario): readonly Span[] {
  return [
    ...network.partitions.map(({ fromMs, untilMs, sides }) => ({
      fromMs,
      untilMs,
      label: `cut into ${sides}`,
    })),
    ...bursts.map(({ fromMs, untilMs, factor }) => ({
      fromMs,
      untilMs,
      label: `${factor} x the load`,
    })),
  ]
}
