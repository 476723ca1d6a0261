/** The rows as RFC 4180 has it, for whatever reads tables. */
import type { Results } from '../results.ts'
import { MEASURED, parameterNames } from './columns.ts'

/**
 * A header, then a line for each row: policy, what was measured with all its digits, then every parameter in a column of
 * its own, empty where a row has none. A parameter that is called like another column is prefixed with `parameters.`. A
 * number that is not finite was not measured: its cell is empty.
 */
export function renderCsv({ rows }: Results): string {
  const names = parameterNames(rows)
  const lines = [
    ['policy', ...MEASURED, ...headersOf(names)],
    ...rows.map((row) => [
      row.policy,
      ...MEASURED.map((name) => row[name]),
      ...names.map((name) => (Object.hasOwn(row.parameters, name) ? row.parameters[name]! : '')),
    ]),
  ]
  return lines.map((cells) => `${cells.map(cellOf).join(',')}\r\n`).join('')
}

function headersOf(names: readonly string[]): readonly string[] {
  const taken = new Set<string>(['policy', ...MEASURED, ...names])
  const fixed = new Set<string>(['policy', ...MEASURED])
  return names.map((name) => {
    if (!fixed.has(name)) return name
    let header = `parameters.${name}`
    while (taken.has(header)) header = `parameters.${header}`
    taken.add(header)
    return header
  })
}

function cellOf(value: string | number): string {
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : ''
  // A spreadsheet runs what begins like a formula, and scenarios come from strangers.
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
