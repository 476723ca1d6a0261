import type { GoalResult } from './goals.ts'
import type { Ratios, Row } from './rounds.ts'
import type { Spread } from './statistics.ts'

const COLUMNS = [
  'workload',
  'at once',
  'target',
  'p50 ms',
  'p99 ms',
  'requests/s',
  'KB/request',
  'failed',
  'p50 : http',
  'req/s : http',
  'p50 : https',
  'req/s : https',
] as const

/** The rows as text in columns, or as a Markdown table. Times and rates are medians of the rounds. */
export function renderRows(rows: readonly Row[], markdown: boolean): string {
  return render(
    COLUMNS,
    rows.map((row) => [
      row.workload,
      String(row.concurrency),
      row.target,
      digits(row.p50Ms.median),
      digits(row.p99Ms.median),
      digits(row.requestsPerSecond.median),
      digits(row.bytesPerRequest.median / 1000),
      row.failures === 0 ? '0' : `${row.failures} of ${row.requests + row.failures}`,
      ...ratioCells(row.versus.http),
      ...ratioCells(row.versus.https),
    ]),
    markdown,
  )
}

export function renderGoals(goals: readonly GoalResult[], markdown: boolean): string {
  return render(
    ['goal', 'wanted', 'measured', ''],
    goals.map((goal) => [
      `${goal.target}, ${goal.workload}, ${goal.concurrency} at once: ${goal.metric === 'p50' ? 'p50' : 'requests/s'} against ${goal.versus}`,
      `${goal.metric === 'p50' ? 'at most' : 'at least'} ${goal.limit}`,
      digits(goal.ratio),
      goal.met ? 'met' : 'MISSED',
    ]),
    markdown,
  )
}

/** Why requests failed, one line for each row that has failures. */
export function renderFailures(rows: readonly Row[]): string {
  return rows
    .filter((row) => row.failures > 0)
    .map((row) => `${row.workload}, ${row.concurrency} at once, ${row.target}: ${row.firstFailure}\n`)
    .join('')
}

function ratioCells(ratios: Ratios | undefined): [string, string] {
  return ratios === undefined ? ['', ''] : [range(ratios.p50), range(ratios.requestsPerSecond)]
}

/** Median, and in brackets the least and the greatest round. */
function range({ min, median, max }: Spread): string {
  return `${digits(median)} (${digits(min)}-${digits(max)})`
}

/** Three significant digits, without an exponent. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value >= 100) return value.toFixed(0)
  return value.toFixed(value >= 10 ? 1 : value >= 0.995 ? 2 : 3)
}

/** Cells in columns, or as a Markdown table. */
export function render(
  head: readonly string[],
  body: readonly (readonly string[])[],
  markdown: boolean,
): string {
  const all = [head, ...body]
  const widths = head.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0), 3))
  const lines = all.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)))
  if (!markdown) return lines.map((cells) => `${cells.join('  ').trimEnd()}\n`).join('')
  lines.splice(
    1,
    0,
    widths.map((width) => '-'.repeat(width)),
  )
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}
