/** How a run went: nodes, latency, wrong answers, failures and cost over time, one beneath the other. */
import type { RunSeries, SeriesPoint } from '../../results.ts'
import { count } from '../figures.ts'
import { type LegendEntry, legend } from '../legend.ts'
import { type Look, lookOf } from '../looks.ts'
import { line, mark, type Place, thin } from '../marks.ts'
import type { Markup } from '../markup.ts'
import { axes, drawing, layPanels, type Panel, panelTitle, placing, xTitle } from '../panels.ts'
import { costScale, countScale, eitherScale, type Scale, timeScale, zeroLogScale } from '../scale.ts'
import { describePoint, evenly, GROUPS_MAX, gather, pointKey, type Study, spread } from '../study.ts'
import type { Figure } from './figure.ts'
import { drawSpans, spanEntries } from './spans.ts'

/** Of one line: about three pixels apart. */
const PLACES_MAX = 320

interface Line {
  readonly run: RunSeries
  readonly label: string
  readonly look: Look
}

/** Undefined where no run has a course. Of several points the hardest for the lead policy is drawn. */
export function timeline(study: Study): Figure | undefined {
  const { lines, leftOut, at } = chooseLines(study)
  if (lines.length === 0) return undefined
  const panels = measuresOf(lines)
  const where = at === '' ? '' : ` The point is ${at}, where ${study.lead} served the most wrong answers.`
  const repeated =
    study.repetitions > 1 ? ' Of runs that differ by their seed alone, the first is drawn.' : ''
  const omitted = leftOut > 0 ? ` ${count(leftOut)} further runs are not drawn; the table has them.` : ''
  const spans = study.input.spans ?? []
  const shaded =
    spans.length === 0 ? '' : ` Shaded: ${[...new Set(spans.map(({ label }) => label))].join(', ')}.`
  return {
    id: 'timeline',
    title: at === '' ? 'Over time' : `Over time, at ${at}`,
    caption: `What happened during the run, all panels over the same virtual time. Counts add up from the beginning; latency is of the stretch since the measurement before, executions of the last ${WINDOWS}th of the run.${where}${repeated}${shaded}${omitted}${describeEnd(study, lines)}`,
    drawing: draw(study, lines, panels),
  }
}

/** One point of the scenario, the hardest for the lead policy; each setting once; no more than can be told apart. */
function chooseLines(study: Study): {
  readonly lines: readonly Line[]
  readonly leftOut: number
  readonly at: string
} {
  const series = study.series.filter(({ points }) => points.length > 1)
  const first = series[0]
  if (first === undefined) return { lines: [], leftOut: 0, at: '' }
  const led = series.filter(({ policy }) => policy === study.lead)
  const hardest = (led.length > 0 ? led : series).reduce((worst, run) =>
    errorAtEnd(run) >= errorAtEnd(worst) ? run : worst,
  )
  const here = series.filter((run) => pointKey(run) === pointKey(hardest))
  const once = here.filter(
    (run, index) => here.findIndex((other) => study.variantOf(other) === study.variantOf(run)) === index,
  )
  const chosen = once.length <= GROUPS_MAX ? once : representatives(once)
  const order = (run: RunSeries): number => study.groupOf(run).index
  const lines = [...chosen]
    .sort((a, b) => order(a) - order(b))
    .map(
      (run, index): Line => ({
        run,
        label: study.labelOf(run),
        look: lookOf(study.collapsed ? index : study.groupOf(run).index),
      }),
    )
  return { lines, leftOut: once.length - chosen.length, at: describePoint(study, hardest) }
}

/** Of each policy the first setting; of a single policy, settings evenly taken. */
function representatives(runs: readonly RunSeries[]): readonly RunSeries[] {
  const policies = gather(runs, ({ policy }) => policy)
  return policies.length > 1
    ? policies.slice(0, GROUPS_MAX).map(([first]) => first!)
    : evenly(runs, GROUPS_MAX)
}

function errorAtEnd({ points }: RunSeries): number {
  const last = points.at(-1)
  return last === undefined ? 0 : last.wrong / Math.max(1, last.jobs)
}

interface Measured {
  readonly title: string
  readonly scale: Scale
  readonly of: (point: SeriesPoint, points: readonly SeriesPoint[], index: number) => number
}

type ScaleOf = (values: readonly number[], ends: readonly number[]) => Scale

function measuresOf(lines: readonly Line[]): readonly Measured[] {
  const points = lines.flatMap(({ run }) => run.points)
  const measured = (title: string, of: Measured['of'], scaleOf: ScaleOf): Measured => {
    const values = lines.map(({ run }) => run.points.map((point, index) => of(point, run.points, index)))
    const ends = values.map((own) => own.at(-1) ?? Number.NaN)
    return { title, of, scale: scaleOf(values.flat(), ends) }
  }
  const changes = new Set(points.map(({ nodes }) => nodes)).size > 1
  return [
    ...(changes ? [measured('nodes that are up', ({ nodes }) => nodes, countScale)] : []),
    measured(
      'median latency (ms)',
      ({ latencyP50Ms }) => latencyP50Ms || Number.NaN,
      (values) => eitherScale(values),
    ),
    measured('wrong answers served so far', ({ wrong }) => wrong, growing),
    measured('jobs that failed so far', ({ failed }) => failed, growing),
    measured('executions / job', (_, points, index) => executionsLately(points, index), costScale),
    ...(points.some(({ found }) => found > 0)
      ? [measured('saboteurs found so far', ({ found }) => found, countScale)]
      : []),
  ]
}

/** Over the last stretch of the run: between two points it would be a matter of a few jobs. */
function executionsLately(points: readonly SeriesPoint[], index: number): number {
  const [point, before] = [points[index]!, points[Math.max(0, index - Math.ceil(points.length / WINDOWS))]!]
  if (point.jobs <= before.jobs) return Number.NaN
  return (point.executions - before.executions) / (point.jobs - before.jobs)
}

/** Stretches in a run, over each of which executions are counted. */
const WINDOWS = 25

/** Of counts that only grow: logarithmic with zero apart where the lines end far from each other. */
function growing(values: readonly number[], ends: readonly number[]): Scale {
  const [least, most] = [Math.min(...ends), Math.max(...ends)]
  return most > 20 && most > least * 10 ? zeroLogScale(values, 1) : countScale(values)
}

function draw(study: Study, lines: readonly Line[], measures: readonly Measured[]): Markup {
  const end = lines.reduce((last, { run }) => Math.max(last, run.points.at(-1)?.atMs ?? 0), 0)
  const xScale = timeScale(end)
  const names = legend(
    [
      ...lines.map(({ label, look }): LegendEntry => ({ label, look, kind: 'marked-line' })),
      ...spanEntries(study),
    ],
    { x: 0, y: 14 },
  )
  const laid = layPanels({
    count: measures.length,
    columns: 2,
    panelHeight: 132,
    top: 14 + names.height + 26,
    gapX: 76,
    gapY: 54,
  })
  return drawing(
    laid.height,
    `Over time: ${measures.map(({ title }) => title).join('; ')}`,
    names.markup,
    measures.map((measured, index) => {
      const panel = laid.panels[index]!
      return [
        drawSpans(study, panel, xScale),
        panelTitle(panel, measured.title),
        axes(panel, xScale, measured.scale, { yLabels: true, xLabels: true }),
        lines.map((drawn, order) => drawLine(drawn, measured, panel, xScale, order / lines.length)),
      ]
    }),
    xTitle(`virtual time (${xScale.unit})`, laid),
  )
}

function drawLine(
  { run, label, look }: Line,
  measured: Measured,
  panel: Panel,
  xScale: Scale,
  phase: number,
): Markup[] {
  const place = placing(panel, xScale, measured.scale)
  const places = run.points.map((point, index) => place.at(point.atMs, measured.of(point, run.points, index)))
  const broken = measured.scale.breakAt === undefined ? places : breakAtZero(places, panel, measured.scale)
  return [
    line(look, thin(broken, PLACES_MAX)),
    ...along(places, panel, phase).map((at) => mark(look, at, label, 'full', 3)),
  ]
}

/** A gap where a line would cross the break of the axis. */
function breakAtZero(places: readonly Place[], panel: Panel, scale: Scale): readonly Place[] {
  const limit = panel.y + panel.height * (1 - scale.breakAt!.from)
  return places.flatMap((at, index) => {
    const before = places[index - 1]
    const crosses = before !== undefined && before.y > limit !== at.y > limit
    return crosses ? [{ x: at.x, y: Number.NaN }, at] : [at]
  })
}

/** A few places of a line for its mark, by which it is known without colour; each line has its own. */
function along(places: readonly Place[], panel: Panel, phase: number): readonly Place[] {
  const wanted = [0, 1, 2, 3].map((step) => panel.x + ((step + 0.25 + phase * 0.8) / 4) * panel.width)
  const chosen = wanted.flatMap((x) => {
    const next = places.find((at) => at.x >= x && Number.isFinite(at.y))
    return next === undefined ? [] : [next]
  })
  return [...new Set(chosen)]
}

function describeEnd(study: Study, lines: readonly Line[]): string {
  const led = lines.find(({ run }) => run.policy === study.lead)?.run
  const last = led?.points.at(-1)
  if (led === undefined || last === undefined) return ''
  const nodes = spread(led.points.map((point) => point.nodes))
  const up =
    nodes !== undefined && nodes.high > nodes.low
      ? `, with ${count(nodes.low)} to ${count(nodes.high)} nodes up`
      : ''
  return ` With ${study.labelOf(led)}, of ${count(last.jobs)} jobs ${count(last.wrong)} were answered wrongly and ${count(last.failed)} failed${up}.`
}
