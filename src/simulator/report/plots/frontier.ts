/** What accuracy costs: wrong answers against executions a job, with the bound that no policy can pass. */
import type { ResultRow } from '../../results.ts'
import { describeFacets, eachFacet, type Facet, facetsOf } from '../facets.ts'
import { figure } from '../figures.ts'
import { type LegendEntry, legend } from '../legend.ts'
import { type Look, lookOf } from '../looks.ts'
import { type Fullness, flatRange, line, mark, moves, type Place, range } from '../marks.ts'
import { element, type Markup } from '../markup.ts'
import { axes, drawing, layPanels, type Panel, placing, xTitle, yTitle } from '../panels.ts'
import { costScale, type Scale, zeroLogScale } from '../scale.ts'
import { type Bound, describePoint, gather, pointKey, type Study, spread } from '../study.ts'
import { describeRepetition, facetTitles } from './by-point.ts'
import type { Figure } from './figure.ts'

/** Undefined where there is nothing to compare: a single policy and no bound. */
export function frontier(study: Study): Figure | undefined {
  if (study.rows.length === 0) return undefined
  if (study.groups.length < 2 && study.input.bounds.length === 0) return undefined
  const facets = facetsOf(study, 'c')
  const hasBounds = study.input.bounds.length > 0
  const settings = study.rows.some((row) => study.labelOf(row) !== row.policy)
    ? ' Every setting of a policy has its mark; where they share a form, a thin line joins them.'
    : ''
  const levels =
    study.c.length > 1
      ? ` The fuller a mark, the more of the saboteurs collude: open for c = ${figure(study.c[0]!)}, full for c = ${figure(study.c.at(-1)!)}.`
      : ''
  const bound = hasBounds
    ? ' The bound is computed, not measured: under the assumptions of the rule, no policy of this kind gets beneath it.'
    : ''
  return {
    id: 'frontier',
    title: 'What accuracy costs',
    caption: `Wrong answers served against executions per job${describeFacets(facets)}; left and low is better.${bound}${levels}${settings}${describeRepetition(study)}`,
    drawing: draw(study),
  }
}

const BOUND_DASHES: readonly (string | undefined)[] = [undefined, '7 3', '2 2']

function boundLook(index: number): Look {
  return { shape: 'circle', dash: BOUND_DASHES[index % BOUND_DASHES.length], width: 1.6, group: 'bound' }
}

function draw(study: Study): Markup {
  const facets = facetsOf(study, 'c')
  const unit = 1 / Math.max(1, study.jobs)
  const yScale = zeroLogScale(
    study.rows.map(({ error }) => error),
    unit,
  )
  const xScale = costScale(study.rows.map((row) => row.executionsPerJob))
  const several = new Set(gather(study.input.bounds, curveKey).map(([first]) => first!.c)).size > 1
  const names = legend(legendEntries(study, several), { x: 0, y: 36 })
  const laid = layPanels({
    count: facets.columns.length * facets.rows.length,
    columns: facets.columns.length,
    panelHeight: facets.rows.length > 1 ? 150 : 320,
    top: 36 + names.height + 14,
    // A single panel of the whole width would be mostly empty.
    right: facets.rows.length > 1 ? 76 : facets.columns.length > 1 ? 22 : 340,
    gapX: 28,
  })
  return drawing(
    laid.height,
    'Wrong answers served against executions per job, by policy',
    yTitle('wrong answers served / jobs'),
    names.markup,
    facetTitles(facets, laid),
    eachFacet(facets).map((facet, index) => {
      const panel = laid.panels[index]!
      return [
        drawBounds(study, facet, panel, [xScale, yScale], index),
        axes(panel, xScale, yScale, { xGrid: true }),
        drawMarks(study, facet, panel, [xScale, yScale]),
      ]
    }),
    xTitle('executions / job', laid),
  )
}

function legendEntries(study: Study, several: boolean): readonly LegendEntry[] {
  const groups = study.groups.map(
    (group): LegendEntry => ({ label: group.label, look: lookOf(group.index), kind: 'mark' }),
  )
  if (study.input.bounds.length === 0) return groups
  if (!several) return [...groups, { label: 'computed bound', look: boundLook(0), kind: 'line' }]
  const bounds = study.c
    .filter((c) => study.input.bounds.some((bound) => bound.c === c))
    .map(
      (c, index): LegendEntry => ({ label: `bound, c = ${figure(c)}`, look: boundLook(index), kind: 'line' }),
    )
  return [...groups, ...bounds]
}

/** Curves that are the same for several c are drawn once. */
function curveKey({ f, s, points }: Bound): string {
  return JSON.stringify([f, s, points.map(({ executionsPerJob, error }) => [executionsPerJob, error])])
}

function drawBounds(
  study: Study,
  facet: Facet,
  panel: Panel,
  [xScale, yScale]: readonly [Scale, Scale],
  index: number,
): readonly Markup[] {
  const bounds = gather(study.input.bounds.filter(facet.holds), curveKey).map(([first]) => first!)
  if (bounds.length === 0) return []
  const place = placing(panel, xScale, yScale)
  const clip = `bound-${index}`
  const strip = yScale.breakAt === undefined ? 0 : yScale.breakAt.to * panel.height
  const floor = panel.y + panel.height - strip
  const drawn = bounds.map((bound) => {
    const places = curveOf(bound, place.at, floor)
    const look = boundLook(Math.max(0, study.c.indexOf(bound.c)))
    const [first, last] = [places[0], places.at(-1)]
    // Shaded only where there is one curve: two shades on each other would say nothing.
    const shade =
      bounds.length === 1 && first !== undefined && last !== undefined
        ? element('path', {
            class: 'infeasible',
            d: `${moves([{ x: panel.x, y: floor }, { x: panel.x, y: first.y }, ...places, { x: last.x, y: floor }])}Z`,
          })
        : undefined
    return [shade, line(look, places)].filter((part) => part !== undefined)
  })
  return [
    element(
      'clipPath',
      { id: clip },
      element('rect', { x: panel.x, y: panel.y, width: panel.width, height: panel.height - strip }),
    ),
    element('g', { 'clip-path': `url(#${clip})` }, drawn),
  ]
}

/** The curve as far as there is anything to bound; where it comes to zero it leaves the logarithmic axis. */
function curveOf({ points }: Bound, at: (x: number, y: number) => Place, floor: number): readonly Place[] {
  const sorted = [...points].sort((a, b) => a.executionsPerJob - b.executionsPerJob)
  const end = sorted.findIndex(({ error }) => !(error > 0))
  const above = (end === -1 ? sorted : sorted.slice(0, end)).map((point) =>
    at(point.executionsPerJob, point.error),
  )
  if (end < 1) return above
  return [...above, { x: at(sorted[end]!.executionsPerJob, 1).x, y: floor }]
}

function drawMarks(
  study: Study,
  facet: Facet,
  panel: Panel,
  [xScale, yScale]: readonly [Scale, Scale],
): readonly Markup[] {
  const place = placing(panel, xScale, yScale)
  const rows = study.rows.filter(facet.holds)
  return study.groups.flatMap((group) => {
    const own = rows.filter((row) => study.groupOf(row) === group)
    const spots = gather(own, (row) => `${study.variantOf(row)} ${pointKey(row)}`).map((same) => spotOf(same))
    const look = lookOf(group.index)
    // Where a policy was run at several settings, a line joins them: its own curve.
    const curves = gather(spots, ({ row }) => pointKey(row))
      .filter((curve) => curve.length > 1)
      .map((curve) => {
        const places = [...curve]
          .sort((a, b) => a.cost.median - b.cost.median)
          .map(({ cost, error }) => ({
            x: place.x(cost.median),
            y: yScale.breakAt && error.median === 0 ? Number.NaN : place.y(error.median),
          }))
        return line(look, places, 'faint')
      })
    return [
      ...curves,
      ...spots.flatMap(({ row, cost, error }) => {
        const at = place.at(cost.median, error.median)
        const ranges = [
          ...(error.high > error.low ? [range(look, at.x, place.y(error.low), place.y(error.high))] : []),
          ...(cost.high > cost.low ? [flatRange(look, at.y, place.x(cost.low), place.x(cost.high))] : []),
        ]
        const title = `${study.labelOf(row)}; ${describePoint(study, row)}: ${figure(error.median)} at ${figure(cost.median)} executions a job`
        return [...ranges, mark(look, at, title, fullness(study.c, row.c), group.index === 0 ? 4.4 : 3.8)]
      }),
    ]
  })
}

function spotOf(same: readonly ResultRow[]) {
  const nothing = { median: Number.NaN, low: Number.NaN, high: Number.NaN, count: 0 }
  return {
    row: same[0]!,
    cost: spread(same.map((row) => row.executionsPerJob)) ?? nothing,
    error: spread(same.map((row) => row.error)) ?? nothing,
  }
}

/** The least of several values is open, the most full. */
export function fullness(values: readonly number[], value: number): Fullness {
  if (values.length < 2 || value === values.at(-1)) return 'full'
  return value === values[0] ? 'open' : 'half'
}
