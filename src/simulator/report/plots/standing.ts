/** What requesters come to think of providers: the mean doubt about honest ones and about saboteurs, over time. */
import type { RunSeries } from '../../results.ts'
import { DIMENSION_NAMES, describeFacets, dimensionLabel, eachFacet, facetsOf, widest } from '../facets.ts'
import { figure } from '../figures.ts'
import { legend } from '../legend.ts'
import type { Look } from '../looks.ts'
import { line, thin } from '../marks.ts'
import type { Markup } from '../markup.ts'
import { axes, drawing, layPanels, type Panel, panelTitle, placing, xTitle, yTitle } from '../panels.ts'
import { linearScale, type Scale, timeScale } from '../scale.ts'
import { gather, type Study, spread } from '../study.ts'
import { facetTitles } from './by-point.ts'
import type { Figure } from './figure.ts'
import { drawSpans, spanEntries } from './spans.ts'

/** Of one line; a page with hundreds of runs stays small. */
const PLACES_MAX = 240

/** Doubt is a probability. */
const DOUBT = linearScale([0, 1], { about: 4 })

const HONEST: Look = { shape: 'square', dash: '4 2.5', width: 1.4, group: 'honest' }

/** Undefined where no run has a course. */
export function standing(study: Study): Figure | undefined {
  const withPoints = study.series.filter(({ points }) => points.length > 1)
  if (withPoints.length === 0) return undefined
  return study.points.length > 1 ? atPoints(study, withPoints) : byGroup(study, withPoints)
}

/** Many points: the lead policy alone, a panel for two of f, s, c and a line for each value of the third. */
function atPoints(study: Study, series: readonly RunSeries[]): Figure {
  const led = series.filter(({ policy }) => policy === study.lead)
  const own = led.length > 0 ? led : series.filter(({ policy }) => policy === series[0]!.policy)
  const variant = study.variantOf(own[0]!)
  // Of runs that were repeated, the first stands for all.
  const shown = gather(
    own.filter((run) => study.variantOf(run) === variant),
    ({ f, s, c }) => `${f}/${s}/${c}`,
  ).map(([first]) => first!)
  const facets = facetsOf(study, widest(study))
  const xScale = timeScale(endOf(shown))
  const looks = facets.withins.map((_, index) => saboteurLook(index, facets.withins.length))
  const names = legend(
    [
      ...facets.withins.map((value, index) => ({
        label: `saboteurs, ${dimensionLabel(facets.within, value)}`,
        look: looks[index]!,
        kind: 'line' as const,
      })),
      { label: 'honest', look: HONEST, kind: 'line' as const },
    ],
    { x: 0, y: 36 },
  )
  const laid = layPanels({
    count: facets.columns.length * facets.rows.length,
    columns: facets.columns.length,
    panelHeight: facets.rows.length > 1 ? 130 : 220,
    top: 36 + names.height + 14,
    right: facets.rows.length > 1 ? 76 : 22,
    gapX: 28,
  })
  return {
    id: 'standing',
    title: `Standing over time, with ${study.labelOf(shown[0]!)}`,
    caption: `The mean probability of being a saboteur that requesters hold of those whom they have met, of saboteurs for each ${DIMENSION_NAMES[facets.within]}, and of honest providers${describeFacets(facets)}.${describeFirst(study)}${describeEnds(shown, study.labelOf(shown[0]!))}`,
    drawing: drawing(
      laid.height,
      'Mean doubt about saboteurs and honest providers over time',
      yTitle('mean doubt'),
      names.markup,
      facetTitles(facets, laid),
      eachFacet(facets).map((facet, index) => {
        const panel = laid.panels[index]!
        const runs = shown.filter(facet.holds)
        return [
          axes(panel, xScale, DOUBT),
          runs.map((run) => doubtLine(run, panel, xScale, HONEST, 'doubtHonest')),
          runs.map((run) => {
            const look = looks[facets.withins.indexOf(run[facets.within])]!
            return doubtLine(run, panel, xScale, look, 'doubtSaboteur')
          }),
        ]
      }),
      xTitle(`virtual time (${xScale.unit})`, laid),
    ),
  }
}

/** One point: a panel for each group. */
function byGroup(study: Study, series: readonly RunSeries[]): Figure {
  const shown = study.groups.flatMap((group) => {
    const run = series.find((candidate) => study.groupOf(candidate) === group)
    return run === undefined ? [] : [{ group, run }]
  })
  const runs = shown.map(({ run }) => run)
  const xScale = timeScale(endOf(runs))
  const saboteur = saboteurLook(0, 1)
  const names = legend(
    [
      { label: 'saboteurs', look: saboteur, kind: 'line' },
      { label: 'honest', look: HONEST, kind: 'line' },
      ...spanEntries(study),
    ],
    { x: 0, y: 36 },
  )
  const laid = layPanels({
    count: shown.length,
    columns: Math.min(3, shown.length),
    panelHeight: shown.length > 1 ? 130 : 220,
    top: 36 + names.height + 18,
    gapX: 28,
    gapY: 38,
  })
  return {
    id: 'standing',
    title: 'Standing over time',
    caption: `The mean probability of being a saboteur that requesters hold of those whom they have met: of saboteurs, and of honest providers.${describeFirst(study)}${describeEnds(runs.slice(0, 1), shown[0]!.group.label)}`,
    drawing: drawing(
      laid.height,
      'Mean doubt about saboteurs and honest providers over time',
      yTitle('mean doubt'),
      names.markup,
      shown.map(({ group, run }, index) => {
        const panel = laid.panels[index]!
        return [
          drawSpans(study, panel, xScale),
          panelTitle(panel, study.collapsed ? study.labelOf(run) : group.label),
          axes(panel, xScale, DOUBT),
          doubtLine(run, panel, xScale, HONEST, 'doubtHonest'),
          doubtLine(run, panel, xScale, saboteur, 'doubtSaboteur'),
        ]
      }),
      xTitle(`virtual time (${xScale.unit})`, laid),
    ),
  }
}

/** Darker, and whole, where they lie more. */
function saboteurLook(index: number, of: number): Look {
  const dashes = [undefined, '7 2.5', '3 2', '1.5 2']
  const place = of - 1 - index
  return {
    shape: 'circle',
    dash: dashes[Math.min(place, dashes.length - 1)],
    width: 2 - Math.min(place, 3) * 0.25,
    group: 'saboteur',
  }
}

function doubtLine(
  { points }: RunSeries,
  panel: Panel,
  xScale: Scale,
  look: Look,
  doubt: 'doubtHonest' | 'doubtSaboteur',
): Markup | undefined {
  // Where there are no saboteurs, nobody's opinion of them is drawn.
  if (!points.some((point) => point[doubt] > 0)) return undefined
  const place = placing(panel, xScale, DOUBT)
  return line(
    look,
    thin(
      points.map((point) => place.at(point.atMs, point[doubt])),
      PLACES_MAX,
    ),
  )
}

function endOf(series: readonly RunSeries[]): number {
  return series.reduce((end, { points }) => Math.max(end, points.at(-1)?.atMs ?? 0), 0)
}

/** Lines are of single runs: a median of curves would be a run that nobody saw. */
function describeFirst({ repetitions }: Study): string {
  return repetitions > 1 ? ' Of runs that differ by their seed alone, the first is drawn.' : ''
}

function describeEnds(series: readonly RunSeries[], name: string): string {
  const ends = series.map(({ points }) => points.at(-1)!)
  const honest = spread(ends.map(({ doubtHonest }) => doubtHonest))
  const saboteur = spread(ends.map(({ doubtSaboteur }) => doubtSaboteur))
  if (honest === undefined || saboteur === undefined) return ''
  const over = ends.length > 1 ? ' (medians over the lines)' : ''
  const ofSaboteurs = saboteur.high > 0 ? `${figure(saboteur.median, 3)} for saboteurs and ` : ''
  return ` With ${name} it is ${ofSaboteurs}${figure(honest.median, 2)} for honest ones at the end${over}.`
}
