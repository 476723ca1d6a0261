/** Who does the work: the share of all executions of each provider, largest first. */
import type { RunSeries } from '../../results.ts'
import { count, perCent, tickLabel } from '../figures.ts'
import { legend } from '../legend.ts'
import { moves, words } from '../marks.ts'
import { element, type Markup } from '../markup.ts'
import { axes, drawing, layPanels, type Panel, panelTitle, placing, xTitle, yTitle } from '../panels.ts'
import { linearScale, type Scale } from '../scale.ts'
import { describePoint, evenly, type Study } from '../study.ts'
import type { Figure } from './figure.ts'

/** More bars than this are thinner than a line in a panel; evenly taken ranks stand for all. */
const BARS_MAX = 200

/** Undefined where no run says who did the work. */
export function load(study: Study): Figure | undefined {
  const chosen = busiest(study)
  if (chosen.length === 0) return undefined
  const most = mostOf(chosen)
  const cap = study.input.shareMax
  const point =
    study.points.length > 1 ? ' Each panel shows the point at which one provider ran the most.' : ''
  const limit =
    cap === undefined
      ? ''
      : ` ${isNear(cap, most) ? 'The line is the' : 'Far above the axis lies the'} largest share that a provider may get, ${perCent(cap)} %.`
  const providers = chosen.reduce((all, { shares }) => Math.max(all, shares.length), 0)
  const taken =
    providers > BARS_MAX
      ? ` Of ${count(providers)} providers, ${BARS_MAX} are drawn, at evenly spaced ranks.`
      : ''
  return {
    id: 'load',
    title: 'Share of the load by provider',
    caption: `The share of all executions that each provider ran, largest first; saboteurs dark, with a tick beneath the axis.${limit}${point}${taken} The busiest provider of all ran ${perCent(most)} %.`,
    drawing: draw(study, chosen),
  }
}

/** Of each group the run in which one provider ran the most. */
function busiest(study: Study): readonly RunSeries[] {
  return study.groups.flatMap((group) => {
    const own = study.series.filter((run) => run.shares.length > 0 && study.groupOf(run) === group)
    return own.length === 0 ? [] : [own.reduce((best, run) => (topShare(run) > topShare(best) ? run : best))]
  })
}

function mostOf(chosen: readonly RunSeries[]): number {
  return chosen.reduce((top, run) => Math.max(top, topShare(run)), 0)
}

/** Whether the cap can be drawn without making all bars vanish. */
function isNear(cap: number, most: number): boolean {
  return cap < most * CAP_RATIO_MAX
}

/** Of the cap to the highest bar. */
const CAP_RATIO_MAX = 8

function topShare({ shares }: RunSeries): number {
  return shares.reduce((most, { share }) => Math.max(most, share), 0)
}

function draw(study: Study, chosen: readonly RunSeries[]): Markup {
  const cap = study.input.shareMax
  const shareMax = cap !== undefined && isNear(cap, mostOf(chosen)) ? cap : undefined
  const yScale = linearScale([...chosen.map(topShare), shareMax ?? 0], {
    label: (value) => tickLabel(Number((value * 100).toPrecision(6))),
  })
  const shape = 'square'
  const names = legend(
    [
      { label: 'honest', look: { shape, dash: undefined, width: 1, group: 'honest' }, kind: 'mark' },
      { label: 'saboteur', look: { shape, dash: undefined, width: 1, group: 'saboteur' }, kind: 'mark' },
    ],
    { x: 0, y: 36 },
  )
  const laid = layPanels({
    count: chosen.length,
    columns: Math.min(3, chosen.length),
    panelHeight: chosen.length > 1 ? 120 : 220,
    top: 36 + names.height + 18,
    gapX: 28,
    gapY: 50,
  })
  return drawing(
    laid.height,
    'Share of all executions by provider, largest first',
    yTitle('share of all executions (%)'),
    names.markup,
    chosen.map((run, index) => {
      const panel = laid.panels[index]!
      const at = describePoint(study, run)
      const title = study.collapsed ? study.labelOf(run) : study.groupOf(run).label
      const ranks = linearScale([1, run.shares.length], { zero: false, about: 4 })
      const xScale = rankScale(run.shares.length, ranks)
      return [
        panelTitle(panel, at === '' ? title : `${title}: ${at}`),
        axes(panel, xScale, yScale, { xLabels: true }),
        drawBars(run, panel, xScale, yScale),
        shareMax === undefined ? undefined : capLine(panel, yScale, shareMax, index === 0),
      ]
    }),
    xTitle('provider, by rank', laid),
  )
}

/** From rank 1 to the last, half a bar of room at each end, with the round ranks among the ticks of `ranks`. */
function rankScale(providers: number, ranks: Scale): Scale {
  return {
    fraction: (rank) => (rank - 0.5) / Math.max(1, providers),
    ticks: [{ value: 1, label: '1' }, ...ranks.ticks.filter(({ value }) => value > 1 && value <= providers)],
    minor: [],
  }
}

function drawBars({ shares }: RunSeries, panel: Panel, xScale: Scale, yScale: Scale): readonly Markup[] {
  const place = placing(panel, xScale, yScale)
  const sorted = shares.map((provider, index) => ({ ...provider, rank: index + 1 }))
  const drawn = evenly(sorted, BARS_MAX)
  const slot = panel.width / drawn.length
  // Bars touch where there are many, else a gap tells them apart.
  const width = slot > 3 ? slot - 1 : slot
  const floor = panel.y + panel.height
  return [true, false].flatMap((honest) => {
    const own = drawn.filter((provider) => provider.honest === honest)
    if (own.length === 0) return []
    const bars = own
      .map(({ rank, share }) => {
        const left = place.x(rank) - width / 2
        const top = place.y(share)
        return `${moves([
          { x: left, y: floor },
          { x: left, y: top },
          { x: left + width, y: top },
          { x: left + width, y: floor },
        ])}Z`
      })
      .join('')
    const rug = honest
      ? ''
      : own
          .map(({ rank }) =>
            moves([
              { x: place.x(rank), y: floor + 1 },
              { x: place.x(rank), y: floor + 4 },
            ]),
          )
          .join('')
    const total = shares.reduce((sum, provider) => sum + (provider.honest === honest ? provider.share : 0), 0)
    const kind = honest ? 'honest' : 'saboteur'
    return [
      element(
        'g',
        { class: kind },
        element('title', {}, `${kind} providers: ${perCent(total)} % of all executions`),
        element('path', { class: 'area', d: bars }),
        rug === '' ? undefined : element('path', { class: 'rug', d: rug }),
      ),
    ]
  })
}

function capLine(panel: Panel, yScale: Scale, cap: number, named: boolean): Markup {
  const y = panel.y + (1 - yScale.fraction(cap)) * panel.height
  const right = panel.x + panel.width
  return element(
    'g',
    {},
    element('path', {
      class: 'limit',
      d: moves([
        { x: panel.x, y },
        { x: right, y },
      ]),
    }),
    named ? words(`cap ${perCent(cap)} %`, { x: right, y: y - 5 }, 'note', 'end') : undefined,
  )
}
