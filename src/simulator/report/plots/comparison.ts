/** The policies side by side over the whole scenario: a row each, a column for each thing that was measured. */
import type { ResultRow } from '../../results.ts'
import { figure, perCent, tickLabel } from '../figures.ts'
import { type Look, lookOf } from '../looks.ts'
import { type Fullness, flatRange, mark, moves, widthOf, words } from '../marks.ts'
import { element, type Markup, shortened } from '../markup.ts'
import { axes, drawing, layPanels, type Panel, placing } from '../panels.ts'
import { costScale, eitherScale, linearScale, ordinalScale, type Scale, zeroLogScale } from '../scale.ts'
import { type Group, type Study, spread } from '../study.ts'
import type { Figure } from './figure.ts'
import { sweeps } from './sweep.ts'

/** Undefined where there is nothing to compare. */
export function comparison(study: Study): Figure | undefined {
  if (study.groups.length < 2 || study.rows.length === 0) return undefined
  // The settings of a single policy are better seen along an axis, where sweep.ts has them.
  if (study.groups.every(({ policy }) => policy === study.lead) && sweeps(study).length > 0) return undefined
  const many = study.points.length > 1 || study.repetitions > 1 || study.collapsed
  const ranges = many
    ? ' Marks are medians over all points and seeds of the scenario; bars reach from the least to the most.'
    : ''
  const limit =
    study.input.shareMax === undefined ? '' : ' The dashed line is the largest share that a provider may get.'
  return {
    id: 'comparison',
    title: 'The policies side by side',
    caption: `Wrong answers, executions, latency, messages and the load of the busiest provider, for each policy. Full marks: the median latency, and the mean node's messages; open marks: the 99th percentile, and the busiest node's.${limit}${ranges}`,
    drawing: draw(study),
  }
}

interface Column {
  readonly title: string
  readonly scale: Scale
  readonly measures: readonly Measure[]
  /** Where a line stands for a limit. */
  readonly limit?: number
}

interface Measure {
  readonly name: string
  readonly of: (row: ResultRow) => number
  readonly fullness: Fullness
  readonly say: (value: number) => string
}

const ROW_HEIGHT = 30

function columnsOf({ rows, jobs, input }: Study): readonly Column[] {
  const all = (...measures: readonly ((row: ResultRow) => number)[]): readonly number[] =>
    rows.flatMap((row) => measures.map((of) => of(row)))
  const plain = (name: string, of: Measure['of'], fullness: Fullness = 'full'): Measure => ({
    name,
    of,
    fullness,
    say: figure,
  })
  const share: Measure = {
    name: 'largest share of the load',
    of: (row) => row.loadShareMax,
    fullness: 'full',
    say: (value) => `${perCent(value)} %`,
  }
  return [
    {
      title: 'wrong answers / jobs',
      scale: zeroLogScale(
        all((row) => row.error),
        1 / Math.max(1, jobs),
      ),
      measures: [plain('wrong answers', (row) => row.error)],
    },
    {
      title: 'executions / job',
      scale: costScale(all((row) => row.executionsPerJob)),
      measures: [plain('executions a job', (row) => row.executionsPerJob)],
    },
    {
      title: 'latency (ms)',
      scale: eitherScale(
        all(
          (row) => row.latencyP50Ms,
          (row) => row.latencyP99Ms,
        ).filter((value) => value > 0),
      ),
      measures: [
        plain('median latency in ms', (row) => row.latencyP50Ms),
        plain('99th percentile of latency in ms', (row) => row.latencyP99Ms, 'open'),
      ],
    },
    {
      title: 'messages / node',
      scale: eitherScale(
        all(
          (row) => row.messagesPerNode,
          (row) => row.messagesMax,
        ).filter((value) => value > 0),
      ),
      measures: [
        plain('messages of the mean node', (row) => row.messagesPerNode),
        plain('messages of the busiest node', (row) => row.messagesMax, 'open'),
      ],
    },
    {
      title: 'largest share (%)',
      scale: linearScale([...all((row) => row.loadShareMax), input.shareMax ?? 0], {
        about: 3,
        label: (value) => tickLabel(Number((value * 100).toPrecision(6))),
      }),
      measures: [share],
      ...(input.shareMax === undefined ? {} : { limit: input.shareMax }),
    },
  ]
}

function draw(study: Study): Markup {
  const columns = columnsOf(study)
  const rows = ordinalScale([...study.groups].reverse().map(({ label }) => label))
  const laid = layPanels({
    count: columns.length,
    columns: columns.length,
    panelHeight: study.groups.length * ROW_HEIGHT,
    left: Math.max(...study.groups.map(({ label }) => widthOf(nameOf(label)))) + 34,
    top: 30,
    bottom: 28,
    gapX: 42,
    right: 20,
  })
  return drawing(
    laid.height,
    'Policies side by side: wrong answers, executions, latency, messages, load',
    study.groups.map((group, index) => labelled(group, laid.panels[0]!, index)),
    columns.map((column, index) => {
      const panel = laid.panels[index]!
      return [
        words(column.title, { x: panel.x, y: panel.y - 10 }, 'head'),
        axes(panel, column.scale, { ...rows, ticks: [] }, { xGrid: true, yLabels: false, xLabels: true }),
        column.limit === undefined ? undefined : limitLine(panel, column.scale, column.limit),
        study.groups.map((group) => drawGroup(study, group, column, panel)),
      ]
    }),
  )
}

function heightOf(panel: Panel, index: number): number {
  return panel.y + (index + 0.5) * ROW_HEIGHT
}

function nameOf(label: string): string {
  return shortened(label, 26)
}

function labelled(group: Group, panel: Panel, index: number): Markup {
  const y = heightOf(panel, index)
  const look = lookOf(group.index)
  return element(
    'g',
    {},
    mark(look, { x: 8, y }, group.label),
    words(nameOf(group.label), { x: 20, y: y + 4 }, 'label'),
  )
}

function limitLine(panel: Panel, scale: Scale, limit: number): Markup {
  const x = panel.x + scale.fraction(limit) * panel.width
  return element('path', {
    class: 'limit',
    d: moves([
      { x, y: panel.y },
      { x, y: panel.y + panel.height },
    ]),
  })
}

function drawGroup(study: Study, group: Group, column: Column, panel: Panel): readonly Markup[] {
  const rows = study.rows.filter((row) => study.groupOf(row) === group)
  const place = placing(panel, column.scale, ordinalScale([]))
  const look: Look = lookOf(group.index)
  const middle = heightOf(panel, group.index)
  return column.measures.flatMap(({ name, of, fullness, say }, index) => {
    const values = spread(rows.map(of))
    if (values === undefined || !Number.isFinite(place.x(values.median))) return []
    // Two measures of one column lie one above the other.
    const y = middle + (index - (column.measures.length - 1) / 2) * 9
    const low = Number.isFinite(place.x(values.low)) ? place.x(values.low) : place.x(values.median)
    const ends = values.count > 1 ? ` (${say(values.low)} to ${say(values.high)})` : ''
    return [
      ...(values.high > values.low ? [flatRange(look, y, low, place.x(values.high))] : []),
      mark(
        look,
        { x: place.x(values.median), y },
        `${group.label}, ${name}: ${say(values.median)}${ends}`,
        fullness,
        3.8,
      ),
    ]
  })
}
