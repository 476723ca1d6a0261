/** A figure of each policy at every point of the scenario: small multiples over two of f, s, c, the third along the axis. */
import type { ResultRow } from '../../results.ts'
import {
  DIMENSION_NAMES,
  describeFacets,
  dimensionLabel,
  eachFacet,
  type Facet,
  type Facets,
  facetsOf,
  widest,
} from '../facets.ts'
import { count, figure } from '../figures.ts'
import { legend } from '../legend.ts'
import { lookOf } from '../looks.ts'
import { line, mark, moves, range, words } from '../marks.ts'
import { element, type Markup } from '../markup.ts'
import { axes, drawing, type Laid, layPanels, type Panel, placing, xTitle, yTitle } from '../panels.ts'
import { costScale, ordinalScale, type Scale, zeroLogScale } from '../scale.ts'
import { describePoint, type Group, gather, type Study, spread } from '../study.ts'
import type { Figure } from './figure.ts'

/** Undefined where the scenario has one point only: the comparison of policies shows that better. */
export function errorByPoint(study: Study): Figure | undefined {
  if (study.points.length < 2 || study.rows.length === 0) return undefined
  const unit = 1 / Math.max(1, study.jobs)
  const scale = zeroLogScale(
    study.rows.map(({ error }) => error),
    unit,
  )
  const worst = worstOf(study)
  const none = scale.breakAt === undefined ? '' : describeZero(study)
  return {
    id: 'error',
    title: 'Wrong answers served, by policy and point',
    caption: `The fraction of jobs whose answer was wrong when it was served, on a logarithmic axis${describeFacets(facetsOf(study, widest(study)))}; lower is better.${none}${describeRange(study)}${worst}`,
    drawing: draw(study, scale, 'wrong answers served / jobs', ({ error }) => error),
  }
}

/** What the answers cost at every point. Undefined where there is one point only. */
export function executionsByPoint(study: Study): Figure | undefined {
  if (study.points.length < 2 || study.rows.length === 0) return undefined
  const values = study.rows.map(({ executionsPerJob }) => executionsPerJob)
  const led = spread(
    study.rows.filter(({ policy }) => policy === study.lead).map((row) => row.executionsPerJob),
  )
  const sentence =
    led === undefined
      ? ''
      : ` ${study.lead} needs from ${figure(led.low, 3)} to ${figure(led.high, 3)} executions a job.`
  return {
    id: 'executions',
    title: 'Executions per job, by policy and point',
    caption: `What the answers cost: all executions, with probes, re-checks, own runs and traces, over jobs${describeFacets(facetsOf(study, widest(study)))}; 1 is an answer that nobody checks.${describeRange(study)}${sentence}`,
    drawing: draw(study, costScale(values), 'executions / job', (row) => row.executionsPerJob),
  }
}

type Measure = (row: ResultRow) => number

function draw(study: Study, yScale: Scale, title: string, measure: Measure): Markup {
  const facets = facetsOf(study, widest(study))
  const xScale = ordinalScale(facets.withins.map((value) => figure(value)))
  const names = legend(
    study.groups.map((group) => ({ label: group.label, look: lookOf(group.index), kind: 'marked-line' })),
    { x: 0, y: 36 },
  )
  const laid = layPanels({
    count: facets.columns.length * facets.rows.length,
    columns: facets.columns.length,
    panelHeight: facets.rows.length > 1 ? 150 : 240,
    top: 36 + names.height + 14,
    right: facets.rows.length > 1 ? 76 : 22,
    gapX: 28,
  })
  return drawing(
    laid.height,
    `${title}, by policy and point of the scenario`,
    yTitle(title),
    names.markup,
    facetTitles(facets, laid),
    eachFacet(facets).map((facet, index) => {
      const panel = laid.panels[index]!
      return [
        separators(panel, facets.withins.length),
        axes(panel, xScale, yScale),
        drawGroups(study, facets, facet, panel, [xScale, yScale], measure),
      ]
    }),
    xTitle(DIMENSION_NAMES[facets.within], laid),
  )
}

/** Light lines between the places of an axis that has several marks at each. */
function separators(panel: Panel, places: number): Markup {
  const between = Array.from({ length: Math.max(0, places - 1) }, (_, index) => {
    const x = panel.x + ((index + 1) / places) * panel.width
    return moves([
      { x, y: panel.y },
      { x, y: panel.y + panel.height },
    ])
  })
  return element('path', { class: 'grid', d: between.join('') })
}

function drawGroups(
  study: Study,
  facets: Facets,
  facet: Facet,
  panel: Panel,
  [xScale, yScale]: readonly [Scale, Scale],
  measure: Measure,
): readonly Markup[] {
  const place = placing(panel, xScale, yScale)
  const slot = panel.width / Math.max(1, facets.withins.length)
  const apart = Math.min(9, (slot * 0.84) / study.groups.length)
  const rows = study.rows.filter(facet.holds)
  const drawn = study.groups.map((group) => {
    const shift = (group.index - (study.groups.length - 1) / 2) * apart
    const spreads = facets.withins.map((value, index) => {
      const own = rows.filter((row) => row[facets.within] === value && study.groupOf(row) === group)
      return { x: place.x(index) + shift, spread: spread(own.map(measure)), row: own[0] }
    })
    return { group, spreads }
  })
  const lines = drawn.map(({ group, spreads }) => {
    // No line leads to zero across the break: it would pass through values that the axis does not have.
    const joined = spreads.map(({ x, spread: values }) => ({
      x,
      y:
        values === undefined || (yScale.breakAt && values.median === 0) ? Number.NaN : place.y(values.median),
    }))
    return line(lookOf(group.index), joined, 'faint')
  })
  const marks = drawn.flatMap(({ group, spreads }) =>
    spreads.flatMap(({ x, spread: values, row }) => {
      if (values === undefined || row === undefined) return []
      const look = lookOf(group.index)
      const ends = values.high > values.low ? [range(look, x, place.y(values.low), place.y(values.high))] : []
      return [...ends, mark(look, { x, y: place.y(values.median) }, tooltip(study, group, row, values))]
    }),
  )
  return [...lines, ...marks]
}

function tooltip(
  study: Study,
  group: Group,
  row: ResultRow,
  { median, low, high, count: times }: { median: number; low: number; high: number; count: number },
): string {
  const of = times > 1 ? ` (${figure(low)} to ${figure(high)} in ${times} runs)` : ''
  return `${group.label}; ${describePoint(study, row)}: ${figure(median)}${of}`
}

/** Titles of columns above the panels, of rows beside them. */
export function facetTitles(facets: Facets, { panels }: Laid): readonly Markup[] {
  const titles: Markup[] = []
  for (const panel of panels) {
    if (panel.row === 0 && facets.columns.length > 1) {
      const text = dimensionLabel(facets.column, facets.columns[panel.column]!)
      titles.push(words(text, { x: panel.x + panel.width / 2, y: panel.y - 8 }, 'head', 'middle'))
    }
    if (panel.column === facets.columns.length - 1 && facets.rows.length > 1) {
      const text = dimensionLabel(facets.row, facets.rows[panel.row]!)
      titles.push(words(text, { x: panel.x + panel.width + 10, y: panel.y + panel.height / 2 + 4 }, 'head'))
    }
  }
  return titles.length === 0 ? [] : [element('g', {}, titles)]
}

function describeRange(study: Study): string {
  if (study.collapsed)
    return ' Marks are medians over the settings of a policy, bars reach from the least to the most.'
  return describeRepetition(study)
}

/** What stands for runs that differ in their seed alone. */
export function describeRepetition({ repetitions }: Study): string {
  if (repetitions < 2) return ''
  return ` Marks are medians, bars reach from the least to the most of up to ${repetitions} runs with different seeds.`
}

/** The rule of three: what none among n says about the rate. */
function describeZero({ rows, jobs }: Study): string {
  const same = rows.every((row) => row.jobs === jobs)
  const meaning = same
    ? `no wrong answer in ${count(jobs)} jobs, which means less than ${figure(3 / Math.max(1, jobs), 2)}`
    : 'no wrong answer in the whole run, which means less than 3 / jobs'
  return ` A mark on the tinted strip is a true zero: ${meaning} with 95 % confidence.`
}

function worstOf(study: Study): string {
  const led = study.rows.filter(({ policy }) => policy === study.lead)
  const points = gather(led, (row) => describePoint(study, row))
    .map((rows) => ({ row: rows[0]!, spread: spread(rows.map(({ error }) => error)) }))
    .filter(({ spread: values }) => values !== undefined)
    .sort((a, b) => b.spread!.median - a.spread!.median)
  const [first] = points
  if (first === undefined) return ''
  const { median } = first.spread!
  if (median === 0) return ` ${study.lead} served no wrong answer at any point.`
  return ` ${study.lead} is wrong most often at ${describePoint(study, first.row)}: ${figure(median, 3)}.`
}
