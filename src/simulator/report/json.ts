/** The results as a file: the same rows give the same bytes, in whatever order their fields were set. */
import type { ResultRow, Results } from '../results.ts'
import { MEASURED } from './columns.ts'

/** `{ scenario, seed, version, rows }`, a line for each row. A number that is not finite was not measured: `null`. */
export function renderJson({ scenario, seed, version, rows }: Results): string {
  const head = Object.entries({ scenario, seed, version }).map(
    ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`,
  )
  const lines = rows.map((row) => `    ${JSON.stringify(ordered(row))}`)
  const list = lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n  ]`
  return `{\n${head.join('')}  "rows": ${list}\n}\n`
}

function ordered(row: ResultRow): Record<string, unknown> {
  const parameters = Object.fromEntries(
    Object.keys(row.parameters)
      .sort()
      .map((name) => [name, row.parameters[name]]),
  )
  const { f, s, c, ...measured } = Object.fromEntries(MEASURED.map((name) => [name, row[name]]))
  return { policy: row.policy, f, s, c, parameters, ...measured }
}
