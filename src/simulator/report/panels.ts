/** Small multiples: where the panels of a plot lie, and their axes. */
import { moves, type Place, widthOf, words } from './marks.ts'
import { type Child, element, type Markup, shortened, together } from './markup.ts'
import type { Scale } from './scale.ts'

/** Of every plot, in pixels; a narrow screen scrolls. */
export const PLOT_WIDTH = 1040

/** One of the small multiples. */
export interface Panel {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly column: number
  readonly row: number
  readonly isLeft: boolean
  /** Whether no panel lies beneath. */
  readonly isBottom: boolean
}

/** How panels are laid: left to right, then down. Lengths in pixels; what is left out has a common default. */
export interface Layout {
  readonly count: number
  readonly columns: number
  readonly panelHeight: number
  readonly left?: number
  readonly right?: number
  readonly top: number
  readonly bottom?: number
  readonly gapX?: number
  readonly gapY?: number
  readonly width?: number
}

/** Panels in their places, and the height of the whole. */
export interface Laid {
  readonly panels: readonly Panel[]
  readonly height: number
}

/** Panels of one size that fill the width. */
export function layPanels(layout: Layout): Laid {
  const { count, columns, panelHeight, top } = layout
  const { left = 58, right = 22, bottom = 44, gapX = 20, gapY = 20, width = PLOT_WIDTH } = layout
  const panelWidth = (width - left - right - gapX * (columns - 1)) / columns
  const rows = Math.ceil(count / columns)
  const panels = Array.from({ length: count }, (_, index): Panel => {
    const [column, row] = [index % columns, Math.floor(index / columns)]
    return {
      x: left + column * (panelWidth + gapX),
      y: top + row * (panelHeight + gapY),
      width: panelWidth,
      height: panelHeight,
      column,
      row,
      isLeft: column === 0,
      isBottom: index + columns >= count,
    }
  })
  return { panels, height: top + rows * panelHeight + (rows - 1) * gapY + bottom }
}

/** From values to places in a panel. */
export interface Placing {
  x(value: number): number
  y(value: number): number
  at(x: number, y: number): Place
}

/** Both scales, in the pixels of a panel. */
export function placing(panel: Panel, xScale: Scale, yScale: Scale): Placing {
  const x = (value: number): number => panel.x + xScale.fraction(value) * panel.width
  const y = (value: number): number => panel.y + (1 - yScale.fraction(value)) * panel.height
  return { x, y, at: (xValue, yValue) => ({ x: x(xValue), y: y(yValue) }) }
}

/** By default labels stand on the outer panels alone. */
export interface AxesOptions {
  readonly xLabels?: boolean
  readonly yLabels?: boolean
  /** Whether lines are drawn across at the ticks of this axis. */
  readonly xGrid?: boolean
  readonly yGrid?: boolean
}

/** The axes of a panel: ticks, labels where asked, light lines across, a break before a zero that stands apart. */
export function axes(panel: Panel, xScale: Scale, yScale: Scale, options: AxesOptions = {}): Markup {
  const { xLabels = panel.isBottom, yLabels = panel.isLeft, xGrid = false, yGrid = true } = options
  const place = placing(panel, xScale, yScale)
  const [right, bottom] = [panel.x + panel.width, panel.y + panel.height]
  return together(
    zeroStrip(panel, xScale, yScale),
    yGrid
      ? element('path', {
          class: 'grid',
          d: yScale.ticks.map(({ value }) => across(panel.x, right, place.y(value))).join(''),
        })
      : undefined,
    xGrid
      ? element('path', {
          class: 'grid',
          d: xScale.ticks.map(({ value }) => down(place.x(value), panel.y, bottom)).join(''),
        })
      : undefined,
    yAxis(panel, yScale, place, yLabels),
    xAxis(panel, xScale, place, xLabels),
  )
}

function yAxis(panel: Panel, scale: Scale, place: Placing, labels: boolean): Markup {
  const { x, y, height } = panel
  const bottom = y + height
  const broken = scale.breakAt
  const spine =
    broken === undefined
      ? down(x, y, bottom)
      : down(x, y, bottom - broken.to * height) + down(x, bottom - broken.from * height, bottom)
  const slashes =
    broken === undefined
      ? ''
      : [broken.from, broken.to]
          .map((at) =>
            moves([
              { x: x - 3, y: bottom - at * height + 2 },
              { x: x + 3, y: bottom - at * height - 2 },
            ]),
          )
          .join('')
  return together(
    element('path', {
      class: 'axis',
      d: `${spine}${slashes}${scale.ticks.map(({ value }) => across(x - 4, x, place.y(value))).join('')}`,
    }),
    scale.minor.length === 0
      ? undefined
      : element('path', {
          class: 'axis minor',
          d: scale.minor.map((value) => across(x - 2, x, place.y(value))).join(''),
        }),
    labels
      ? legible(
          scale,
          (value) => -place.y(value),
          () => TICK_HEIGHT,
        ).map(({ value, label }) => words(label, { x: x - 7, y: place.y(value) + 4 }, 'tick', 'end'))
      : undefined,
  )
}

function xAxis(panel: Panel, scale: Scale, place: Placing, labels: boolean): Markup {
  const { x, y, width, height } = panel
  const bottom = y + height
  const broken = scale.breakAt
  const spine =
    broken === undefined
      ? across(x, x + width, bottom)
      : across(x, x + broken.from * width, bottom) + across(x + broken.to * width, x + width, bottom)
  const slashes =
    broken === undefined
      ? ''
      : [broken.from, broken.to]
          .map((at) =>
            moves([
              { x: x + at * width - 2, y: bottom + 3 },
              { x: x + at * width + 2, y: bottom - 3 },
            ]),
          )
          .join('')
  return together(
    element('path', {
      class: 'axis',
      d: `${spine}${slashes}${scale.ticks.map(({ value }) => down(place.x(value), bottom, bottom + 4)).join('')}`,
    }),
    scale.minor.length === 0
      ? undefined
      : element('path', {
          class: 'axis minor',
          d: scale.minor.map((value) => down(place.x(value), bottom, bottom + 2)).join(''),
        }),
    labels
      ? legible(scale, place.x, (label) => widthOf(label, 11) + 6).map(({ value, label }) =>
          words(label, { x: place.x(value), y: bottom + 16 }, 'tick', 'middle'),
        )
      : undefined,
  )
}

/** Where zero stands apart, its strip is tinted: nothing on it is a value of the logarithmic axis. */
function zeroStrip(panel: Panel, xScale: Scale, yScale: Scale): Markup {
  const { x, y, width, height } = panel
  const [flat, upright] = [yScale.breakAt, xScale.breakAt]
  return together(
    flat === undefined
      ? undefined
      : element('rect', {
          class: 'zero',
          x,
          y: y + height * (1 - flat.from),
          width,
          height: height * flat.from,
        }),
    upright === undefined
      ? undefined
      : element('rect', { class: 'zero', x, y, width: width * upright.from, height }),
  )
}

const TICK_HEIGHT = 12

/** The ticks whose labels do not lie on the one before. */
function legible(
  scale: Scale,
  at: (value: number) => number,
  sizeOf: (label: string) => number,
): readonly { readonly value: number; readonly label: string }[] {
  let until = Number.NEGATIVE_INFINITY
  return scale.ticks.filter(({ value, label }) => {
    const half = sizeOf(label) / 2
    if (at(value) - half < until) return false
    until = at(value) + half
    return true
  })
}

/** The title of the y axis, which stands level above the plot, where it can be read. */
export function yTitle(text: string): Markup {
  return words(text, { x: 0, y: 13 }, 'title')
}

/** The title of the x axis, centred beneath the panels. */
export function xTitle(text: string, { panels, height }: Laid): Markup {
  const left = panels[0]?.x ?? 0
  const right = panels.reduce((most, panel) => Math.max(most, panel.x + panel.width), left)
  return words(text, { x: (left + right) / 2, y: height - 8 }, 'title', 'middle')
}

/** What a panel shows, above it. */
export function panelTitle(panel: Panel, text: string): Markup {
  return words(shortened(text, Math.floor(panel.width / 7)), { x: panel.x, y: panel.y - 7 }, 'head')
}

/** A plot as a whole. `label` is what it shows, for those who cannot see it. */
export function drawing(height: number, label: string, ...children: readonly Child[]): Markup {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      class: 'plot',
      viewBox: `0 0 ${PLOT_WIDTH} ${Math.round(height)}`,
      width: PLOT_WIDTH,
      height: Math.round(height),
      role: 'img',
      'aria-label': label,
    },
    ...children,
  )
}

function across(from: number, to: number, y: number): string {
  return moves([
    { x: from, y },
    { x: to, y },
  ])
}

function down(x: number, from: number, to: number): string {
  return moves([
    { x, y: from },
    { x, y: to },
  ])
}
