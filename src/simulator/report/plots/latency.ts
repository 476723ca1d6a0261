/** How long people wait: the whole distribution, with room for its tail. */
import { QUANTILES, type RunSeries } from '../../results.ts'
import { count, figure } from '../figures.ts'
import { type LegendEntry, legend } from '../legend.ts'
import { lookOf } from '../looks.ts'
import { line, lineLabels, mark, moves, type Place } from '../marks.ts'
import { element, type Markup } from '../markup.ts'
import { axes, drawing, layPanels, type Panel, panelTitle, placing, xTitle, yTitle } from '../panels.ts'
import { eitherScale, logitScale, type Scale } from '../scale.ts'
import { type Group, type Study, spread } from '../study.ts'
import type { Figure } from './figure.ts'

/** Undefined where no run served an answer. A line each, or a panel for each group with the range of its runs. */
export function latency(study: Study): Figure | undefined {
  const measured = study.series.filter(wasServed)
  if (measured.length === 0) return undefined
  const single = isSingle(study, measured)
  const ghost = study.groups.length > 1 ? ` The grey line is that of ${study.groups[0]!.label}.` : ''
  const band = single
    ? ''
    : ` Each panel holds all points of the scenario: the line is their median at each percentile, the band reaches from the least to the most.${ghost}`
  return {
    id: 'latency',
    title: 'Latency of served answers',
    caption: `Latency in milliseconds by percentile; the horizontal axis (log odds) gives the slow tail as much room as the fast one.${band}${describeLead(study, measured)}`,
    drawing: draw(study, measured, single),
  }
}

const PERCENTILES = logitScale(QUANTILES[0], QUANTILES.at(-1)!, QUANTILES, (value) =>
  String(Number((value * 100).toPrecision(6))),
)

function wasServed({ latencyMs }: RunSeries): boolean {
  return latencyMs.some((value) => value > 0)
}

/** Whether each group has one line: then all share a panel. */
function isSingle(study: Study, series: readonly RunSeries[]): boolean {
  return study.groups.every((group) => series.filter((run) => study.groupOf(run) === group).length < 2)
}

function draw(study: Study, series: readonly RunSeries[], single: boolean): Markup {
  const scale = eitherScale(series.flatMap(({ latencyMs }) => latencyMs.filter((value) => value > 0)))
  const groups = study.groups.filter((group) => series.some((run) => study.groupOf(run) === group))
  return single ? drawTogether(study, groups, series, scale) : drawApart(study, groups, series, scale)
}

function drawTogether(
  study: Study,
  groups: readonly Group[],
  series: readonly RunSeries[],
  yScale: Scale,
): Markup {
  // Short names stand at the ends of their lines, longer ones in a legend.
  const direct = groups.every(({ label }) => label.length <= NAME_DIRECT_MAX)
  const entries = groups.map(
    ({ label, index }): LegendEntry => ({ label, look: lookOf(index), kind: 'marked-line' }),
  )
  const names = legend(direct ? [] : entries, { x: 0, y: 36 })
  const laid = layPanels({
    count: 1,
    columns: 1,
    panelHeight: 280,
    top: 36 + names.height,
    right: direct ? 150 : 22,
  })
  const panel = laid.panels[0]!
  const place = placing(panel, PERCENTILES, yScale)
  const drawn = groups.flatMap((group) => {
    const run = series.find((candidate) => study.groupOf(candidate) === group)
    return run === undefined ? [] : [{ group, places: curve(run, place.at) }]
  })
  return drawing(
    laid.height,
    'Latency of served answers by percentile, a line for each policy',
    yTitle('latency (ms)'),
    names.markup,
    axes(panel, PERCENTILES, yScale, { xGrid: true }),
    drawn.map(({ group, places }) => {
      const look = lookOf(group.index)
      return [
        line(look, places),
        places.map((at, index) =>
          mark(look, at, `${group.label}, percentile ${PERCENTILES.ticks[index]!.label}`, 'full', 3),
        ),
      ]
    }),
    direct ? endLabels(drawn, panel) : undefined,
    xTitle('percentile of served answers', laid),
  )
}

/** Of a name beside its line. */
const NAME_DIRECT_MAX = 20

function endLabels(
  drawn: readonly { readonly group: Group; readonly places: readonly Place[] }[],
  panel: Panel,
): readonly Markup[] {
  const labels = drawn.map(({ group, places }) => ({
    text: group.label,
    y: places.at(-1)?.y ?? Number.NaN,
    look: lookOf(group.index),
  }))
  return lineLabels(labels, panel.x + panel.width + 8, panel.y, panel.y + panel.height)
}

function drawApart(
  study: Study,
  groups: readonly Group[],
  series: readonly RunSeries[],
  yScale: Scale,
): Markup {
  const columns = Math.min(3, groups.length)
  const [lead] = groups
  const laid = layPanels({
    count: groups.length,
    columns,
    panelHeight: groups.length > 1 ? 150 : 240,
    top: 48,
    gapX: 28,
    gapY: 38,
  })
  return drawing(
    laid.height,
    'Latency of served answers by percentile, a panel for each policy',
    yTitle('latency (ms)'),
    groups.map((group, index) => {
      const panel = laid.panels[index]!
      const own = series.filter((run) => study.groupOf(run) === group)
      return [
        panelTitle(panel, group.label),
        axes(panel, PERCENTILES, yScale, { xGrid: true }),
        lead === undefined || lead === group
          ? undefined
          : element('path', {
              class: 'ghost',
              d: moves(
                middle(
                  series.filter((run) => study.groupOf(run) === lead),
                  placing(panel, PERCENTILES, yScale).at,
                ),
              ),
            }),
        drawBand(group, own, panel, yScale),
      ]
    }),
    xTitle('percentile of served answers', laid),
  )
}

function drawBand(group: Group, runs: readonly RunSeries[], panel: Panel, yScale: Scale): readonly Markup[] {
  const place = placing(panel, PERCENTILES, yScale)
  const look = lookOf(group.index)
  const spreads = QUANTILES.flatMap((quantile, index) => {
    const values = spread(runs.map(({ latencyMs }) => latencyMs[index] ?? 0).filter((value) => value > 0))
    return values === undefined ? [] : [{ quantile, values }]
  })
  const upper = spreads.map(({ quantile, values }) => place.at(quantile, values.high))
  const lower = spreads.map(({ quantile, values }) => place.at(quantile, values.low))
  const middle = spreads.map(({ quantile, values }) => place.at(quantile, values.median))
  return [
    element('path', { class: `${look.group} band`, d: `${moves([...upper, ...lower.reverse()])}Z` }),
    line({ ...look, dash: undefined }, middle),
    ...spreads.map(({ quantile, values }, index) =>
      mark(
        look,
        middle[index]!,
        `${group.label}, percentile ${quantile * 100}: ${figure(values.median)} ms (${figure(values.low)} to ${figure(values.high)})`,
        'full',
        2.6,
      ),
    ),
  ]
}

/** The median of the runs at each percentile. */
function middle(runs: readonly RunSeries[], at: (x: number, y: number) => Place): readonly Place[] {
  return QUANTILES.map((quantile, index) => {
    const values = runs.map(({ latencyMs }) => latencyMs[index] ?? 0).filter((value) => value > 0)
    return at(quantile, spread(values)?.median ?? Number.NaN)
  })
}

function curve({ latencyMs }: RunSeries, at: (x: number, y: number) => Place): readonly Place[] {
  return QUANTILES.map((quantile, index) => at(quantile, latencyMs[index] || Number.NaN))
}

function describeLead(study: Study, series: readonly RunSeries[]): string {
  const led = series.filter(({ policy }) => policy === study.lead)
  const [half, late] = ([0.5, 0.99] as const).map((quantile) =>
    spread(led.map(({ latencyMs }) => latencyMs[QUANTILES.indexOf(quantile)] ?? Number.NaN)),
  )
  if (half === undefined || late === undefined) return ''
  return ` With ${study.lead}, half of the answers take at most ${count(half.median)} ms, 99 % at most ${count(late.median)} ms${led.length > 1 ? ' (medians over the runs)' : ''}.`
}
