/** What a parameter does: everything that was measured against the values that it was given. */
import type { ResultRow } from '../../results.ts'
import { figure } from '../figures.ts'
import { legend } from '../legend.ts'
import { type Look, lookOf } from '../looks.ts'
import { line, mark, range } from '../marks.ts'
import type { Markup } from '../markup.ts'
import { axes, drawing, layPanels, type Panel, panelTitle, placing, xTitle } from '../panels.ts'
import {
  costScale,
  countScale,
  eitherScale,
  linearScale,
  ordinalScale,
  type Scale,
  wideScale,
  zeroLogScale,
} from '../scale.ts'
import { byParameter, gather, type Study, spread, varyingParameters } from '../study.ts'
import type { Figure } from './figure.ts'

/** More parameters than these are in the table alone. */
const SWEEPS_MAX = 4

/** Two values are two settings, which the other figures tell apart; three make a curve. */
const VALUES_MIN = 3

/** One figure for each parameter that has several values within a policy. */
export function sweeps(study: Study): readonly Figure[] {
  const policies = gather(study.rows, ({ policy }) => policy)
  const names = [...new Set(policies.flatMap(varyingParameters))]
    .filter((name) => policies.some((rows) => valuesOf(rows, name).length >= VALUES_MIN))
    .sort()
  return names.slice(0, SWEEPS_MAX).map((name, index) => sweep(study, name, index))
}

interface Curve {
  readonly policy: string
  readonly look: Look
  readonly rows: readonly ResultRow[]
  /** Whether the policy does not have the parameter: it is drawn across, to compare with. */
  readonly still: boolean
}

function sweep(study: Study, name: string, index: number): Figure {
  const all = gather(study.rows, ({ policy }) => policy).map((rows) => curveOf(study, name, rows))
  const curves = [
    ...all.filter(({ still }) => !still),
    ...all.filter(({ still }) => still).slice(0, STILL_MAX),
  ]
  const swept = curves.filter(({ still }) => !still)
  const many = swept.some(({ rows }) => rows.length > valuesOf(rows, name).length)
  const ranges = many
    ? ' Marks are medians over the points, seeds and other settings of the scenario; bars reach from the least to the most.'
    : ''
  const across =
    swept.length < curves.length ? ' Policies that do not have it run across, at their median.' : ''
  return {
    id: `sweep-${index}`,
    title: `What ${name} does`,
    caption: `What was measured, against ${name}; honest work is right answers that a saboteur gave.${ranges}${across}`,
    drawing: draw(study, name, curves),
  }
}

/** Lines across, beside the curves. */
const STILL_MAX = 5

function curveOf(study: Study, name: string, rows: readonly ResultRow[]): Curve {
  const { policy } = rows[0]!
  const still = !varyingParameters(rows).includes(name)
  const index = study.groups.find((group) => group.policy === policy)?.index ?? 0
  const own = still ? rows : rows.filter(({ parameters }) => parameters[name] !== undefined)
  return { policy, look: lookOf(index), rows: own, still }
}

function valuesOf(rows: readonly ResultRow[], name: string): readonly (number | string)[] {
  const values = rows.map(({ parameters }) => parameters[name]).filter((value) => value !== undefined)
  return [...new Set(values)].sort(byParameter)
}

interface Measured {
  readonly title: string
  readonly of: (row: ResultRow) => number
  readonly scale: Scale
}

function measuresOf(study: Study, rows: readonly ResultRow[]): readonly Measured[] {
  const measured = (
    title: string,
    of: Measured['of'],
    scaleOf: (values: readonly number[]) => Scale,
  ): Measured => ({ title, of, scale: scaleOf(rows.map(of).filter((value) => Number.isFinite(value))) })
  const positive = (values: readonly number[]): Scale => eitherScale(values.filter((value) => value > 0))
  const counted = (values: readonly number[]): Scale =>
    values.some((value) => value > COUNT_LINEAR_MAX) ? wideScale(values, 1) : countScale(values)
  const unit = 1 / Math.max(1, study.jobs)
  return [
    measured(
      'wrong answers served / jobs',
      ({ error }) => error,
      (values) => zeroLogScale(values, unit),
    ),
    measured('executions / job', (row) => row.executionsPerJob, costScale),
    measured('wrong answers left standing', (row) => row.wrongLeftStanding, counted),
    measured('wrong answers of one key, most', (row) => row.wrongPerKeyMax, counted),
    measured(
      'wrong answers / honest work',
      (row) => row.wrongPerHonestWork,
      (values) => wideScale(values, unit),
    ),
    measured(
      'largest share of load (%)',
      (row) => row.loadShareMax * 100,
      (values) => linearScale(values),
    ),
    measured('median latency (ms)', (row) => row.latencyP50Ms || Number.NaN, positive),
    measured('99th percentile of latency (ms)', (row) => row.latencyP99Ms || Number.NaN, positive),
    measured('messages / node', (row) => row.messagesPerNode || Number.NaN, positive),
  ]
}

/** Counts up to here are told apart on a linear axis whatever they are. */
const COUNT_LINEAR_MAX = 20

function draw(study: Study, name: string, curves: readonly Curve[]): Markup {
  const { scale: xScale, at } = axisOf(
    valuesOf(
      curves.filter(({ still }) => !still).flatMap(({ rows }) => rows),
      name,
    ),
  )
  const measures = measuresOf(
    study,
    curves.flatMap(({ rows }) => rows),
  )
  const names = legend(
    curves.map(({ policy, look }) => ({ label: policy, look, kind: 'marked-line' })),
    { x: 0, y: 14 },
  )
  const laid = layPanels({
    count: measures.length,
    columns: 3,
    panelHeight: 150,
    top: 14 + names.height + 26,
    gapX: 62,
    gapY: 54,
  })
  return drawing(
    laid.height,
    `What ${name} does to what was measured`,
    names.markup,
    measures.map((measured, index) => {
      const panel = laid.panels[index]!
      return [
        panelTitle(panel, measured.title),
        axes(panel, xScale, measured.scale, { yLabels: true, xLabels: true }),
        curves.map((curve) =>
          curve.still
            ? drawStill(curve, measured, panel, xScale)
            : drawCurve(curve, name, measured, panel, xScale, at),
        ),
      ]
    }),
    xTitle(name, laid),
  )
}

/** Labelled at the values that were run, where there are few of them and they are numbers. */
function axisOf(values: readonly (number | string)[]): {
  readonly scale: Scale
  readonly at: (value: number | string) => number
} {
  const numbers = values.filter((value) => typeof value === 'number')
  if (numbers.length < values.length) {
    return { scale: ordinalScale(values.map(String)), at: (value) => values.indexOf(value) }
  }
  const isLog = numbers[0]! > 0 && numbers.at(-1)! / numbers[0]! > 20
  const inner = isLog ? eitherScale(numbers) : linearScale(numbers, { zero: numbers[0]! >= 0 })
  const ticks = numbers.length <= 8 ? numbers.map((value) => ({ value, label: figure(value) })) : inner.ticks
  return { scale: { ...inner, ticks, minor: [] }, at: Number }
}

function drawStill(
  { policy, look, rows }: Curve,
  { of, scale, title }: Measured,
  panel: Panel,
  xScale: Scale,
): readonly Markup[] {
  const values = spread(rows.map(of))
  if (values === undefined) return []
  const { y } = placing(panel, xScale, scale).at(0, values.median)
  const right = panel.x + panel.width
  return [
    line(
      look,
      [
        { x: panel.x, y },
        { x: right, y },
      ],
      'faint',
    ),
    mark(look, { x: right, y }, `${policy}, ${title}: ${figure(values.median)}`, 'full', 3),
  ]
}

function drawCurve(
  { policy, look, rows }: Curve,
  name: string,
  { of, scale, title }: Measured,
  panel: Panel,
  xScale: Scale,
  at: (value: number | string) => number,
): readonly Markup[] {
  const place = placing(panel, xScale, scale)
  const spots = gather(rows, ({ parameters }) => JSON.stringify(parameters[name]))
    .map((same) => ({ value: same[0]!.parameters[name]!, values: spread(same.map(of)) }))
    .sort((a, b) => byParameter(a.value, b.value))
    .flatMap(({ value, values }) => (values === undefined ? [] : [{ value, values, x: place.x(at(value)) }]))
  const joined = spots.map(({ x, values }) => ({
    x,
    y: scale.breakAt && values.median === 0 ? Number.NaN : place.y(values.median),
  }))
  return [
    line(look, joined),
    ...spots.flatMap(({ value, values, x }) => [
      ...(values.high > values.low ? [range(look, x, place.y(values.low), place.y(values.high))] : []),
      mark(
        look,
        { x, y: place.y(values.median) },
        `${policy}, ${name} ${value}, ${title}: ${figure(values.median)}`,
      ),
    ]),
  ]
}
