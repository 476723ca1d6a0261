/** The tables of the page: what came of each policy, and every row. */
import type { ResultRow } from '../results.ts'
import { HEADINGS, MEASURED, type Measured, parameterNames } from './columns.ts'
import { count, figure, perCent } from './figures.ts'
import { element, type Markup, shortened } from './markup.ts'
import { type Group, gather, pointKey, REPETITION, type Study, spread } from './study.ts'

/** A table of more rows than this is folded. */
const OPEN_ROWS_MAX = 60

interface Column {
  readonly title: string
  readonly of: (rows: readonly ResultRow[]) => string
}

type Measure = (row: ResultRow) => number

function worst(rows: readonly ResultRow[], of: Measure): number {
  return spread(rows.map(of))?.high ?? Number.NaN
}

function middle(rows: readonly ResultRow[], of: Measure): number {
  return spread(rows.map(of))?.median ?? Number.NaN
}

function sum(rows: readonly ResultRow[], of: Measure): number {
  return rows.reduce((total, row) => total + of(row), 0)
}

const SUMMARY: readonly Column[] = [
  { title: 'runs', of: (rows) => count(rows.length) },
  { title: 'error, median', of: (rows) => figure(middle(rows, ({ error }) => error)) },
  { title: 'error, worst', of: (rows) => figure(worst(rows, ({ error }) => error)) },
  { title: 'exec. / job, median', of: (rows) => figure(middle(rows, (row) => row.executionsPerJob)) },
  { title: 'exec. / job, most', of: (rows) => figure(worst(rows, (row) => row.executionsPerJob)) },
  { title: 'wrong left standing', of: (rows) => count(sum(rows, (row) => row.wrongLeftStanding)) },
  { title: 'honest condemned', of: (rows) => count(sum(rows, (row) => row.honestCondemned)) },
  { title: 'failed', of: (rows) => count(sum(rows, ({ failed }) => failed)) },
  { title: 'largest share', of: (rows) => `${perCent(worst(rows, (row) => row.loadShareMax))} %` },
  { title: 'p50 ms, median', of: (rows) => figure(middle(rows, (row) => row.latencyP50Ms)) },
  { title: 'p99 ms, most', of: (rows) => figure(worst(rows, (row) => row.latencyP99Ms)) },
  { title: 'messages / node', of: (rows) => figure(middle(rows, (row) => row.messagesPerNode)) },
]

/** A line for each policy, or each setting of one. */
export function summaryTable(study: Study): Markup {
  const line = (group: Group): Markup => {
    const rows = study.rows.filter((row) => study.groupOf(row) === group)
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, shortened(group.label, 48)),
      SUMMARY.map(({ of }) => element('td', {}, of(rows))),
    )
  }
  return element(
    'div',
    { class: 'scroll' },
    element(
      'table',
      { class: 'summary' },
      element(
        'thead',
        {},
        element(
          'tr',
          {},
          element('th', { scope: 'col' }, 'policy'),
          SUMMARY.map(({ title }) => element('th', { scope: 'col' }, title)),
        ),
      ),
      element('tbody', {}, study.groups.map(line)),
    ),
  )
}

/** More lines than this make a page of many megabytes that nobody reads. */
const LINES_MAX = 2000

/**
 * Every row with every column, in the order of the results. Where there are too many, those that differ in their seed
 * alone are one line, of their medians.
 */
export function rowsTable(study: Study): Markup {
  const { rows } = study
  const merged = rows.length > LINES_MAX
  const same = merged
    ? gather(rows, (row) => `${study.variantOf(row)} ${pointKey(row)}`)
    : rows.map((row) => [row])
  const parameters = parameterNames(rows).filter((name) => !merged || name !== REPETITION)
  const heads = [
    'policy',
    ...(merged ? ['runs'] : []),
    ...MEASURED.slice(0, 3),
    ...parameters,
    ...MEASURED.slice(3).map((name) => HEADINGS[name]),
  ]
  const line = (own: readonly ResultRow[]): Markup => {
    const row = own[0]!
    const measured = (name: Measured): Markup =>
      numberCell(merged ? middle(own, (one) => one[name]) : row[name])
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, row.policy),
      merged ? numberCell(own.length) : undefined,
      MEASURED.slice(0, 3).map(measured),
      parameters.map((name) => {
        const value = Object.hasOwn(row.parameters, name) ? row.parameters[name] : undefined
        return typeof value === 'number' ? numberCell(value) : element('td', {}, value ?? '')
      }),
      MEASURED.slice(3).map(measured),
    )
  }
  const note = merged
    ? 'Rows that differ in their seed alone are one line, of their medians; results.csv and results.json have each.'
    : 'Rounded to four digits; results.csv and results.json have them all.'
  return element(
    'details',
    { id: 'rows', open: rows.length <= OPEN_ROWS_MAX ? 'open' : undefined },
    element('summary', {}, `All ${count(rows.length)} rows`),
    element('p', {}, note),
    element(
      'div',
      { class: 'scroll' },
      element(
        'table',
        { class: 'rows' },
        element(
          'thead',
          {},
          element(
            'tr',
            {},
            heads.map((head) => element('th', { scope: 'col' }, head)),
          ),
        ),
        element('tbody', {}, same.map(line)),
      ),
    ),
  )
}

/** With the whole number beside it where what is shown was rounded, by which the script sorts. */
function numberCell(value: number): Markup {
  const shown = figure(value)
  const isWhole = shown === String(value) || !Number.isFinite(value)
  return element('td', { 'data-value': isWhole ? undefined : String(value) }, shown)
}
