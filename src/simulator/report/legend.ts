/** What stands for what, in a line or several above a plot: within it, so that it goes wherever the plot is copied. */
import type { Look } from './looks.ts'
import { mark, moves, type Place, widthOf, words } from './marks.ts'
import { type Child, element, type Markup, shortened, together } from './markup.ts'
import { PLOT_WIDTH } from './panels.ts'

/** What a form or colour stands for. */
export interface LegendEntry {
  readonly label: string
  readonly look: Look
  /** What stands before the words: the mark, a line with it, a line alone, or a patch of what is shaded. */
  readonly kind: 'mark' | 'line' | 'marked-line' | 'area'
}

/** The longest name that a legend shows whole. */
const NAME_LENGTH_MAX = 34

/** Drawn, and how high it came out. */
export interface Legend {
  readonly markup: Markup
  readonly height: number
}

/** A line, or several, of what stands for what, from (x, y) on. */
export function legend(entries: readonly LegendEntry[], { x, y }: Place, width = PLOT_WIDTH): Legend {
  const parts: Child[] = []
  let [left, line] = [x, 0]
  for (const { label, look, kind } of entries) {
    const name = shortened(label, NAME_LENGTH_MAX)
    const sample = kind === 'mark' ? 14 : 30
    const size = sample + widthOf(name) + 18
    if (left > x && left + size > width) {
      left = x
      line += 1
    }
    const middle = y + line * LEGEND_LINE - 4
    if (kind === 'area')
      parts.push(element('rect', { class: look.group, x: left, y: middle - 6, width: 24, height: 12 }))
    if (kind === 'line' || kind === 'marked-line')
      parts.push(
        element('path', {
          class: `${look.group} line`,
          d: moves([
            { x: left, y: middle },
            { x: left + 24, y: middle },
          ]),
          'stroke-dasharray': look.dash,
          'stroke-width': String(look.width),
        }),
      )
    if (kind === 'mark' || kind === 'marked-line')
      parts.push(mark(look, { x: left + (kind === 'mark' ? 5 : 12), y: middle }, label))
    parts.push(words(name, { x: left + sample, y: middle + 4 }, 'label'))
    left += size
  }
  return { markup: together(parts), height: entries.length === 0 ? 0 : (line + 1) * LEGEND_LINE }
}

const LEGEND_LINE = 18
