/** What is drawn into a panel: marks, ranges, lines, words. Places are pixels; colours come from classes in style.ts. */
import { type Look, shapePath } from './looks.ts'
import { element, type Markup } from './markup.ts'

/** In pixels from the top left. */
export interface Place {
  readonly x: number
  readonly y: number
}

/** How full a mark is: of three kinds of one group, which also paper can show. */
export type Fullness = 'full' | 'half' | 'open'

/** A mark at a place, with what a pointer over it is told. */
export function mark(
  look: Look,
  { x, y }: Place,
  title: string,
  fullness: Fullness = 'full',
  radius = 4,
): Markup {
  return element(
    'g',
    { class: `${look.group} m ${fullness}` },
    element('title', {}, title),
    element('path', { d: shapePath(look.shape, x, y, radius) }),
  )
}

/** A range from end to end, upright, with short feet. */
export function range(look: Look, x: number, from: number, to: number, feet = 2.5): Markup {
  return element('path', {
    class: `${look.group} range`,
    d: `${moves([
      { x: x - feet, y: from },
      { x: x + feet, y: from },
    ])}${moves([
      { x, y: from },
      { x, y: to },
    ])}${moves([
      { x: x - feet, y: to },
      { x: x + feet, y: to },
    ])}`,
  })
}

/** A range that lies. */
export function flatRange(look: Look, y: number, from: number, to: number, feet = 2.5): Markup {
  return element('path', {
    class: `${look.group} range`,
    d: `${moves([
      { x: from, y: y - feet },
      { x: from, y: y + feet },
    ])}${moves([
      { x: from, y },
      { x: to, y },
    ])}${moves([
      { x: to, y: y - feet },
      { x: to, y: y + feet },
    ])}`,
  })
}

/** A line through places, interrupted where one of them is no number. */
export function line(look: Look, places: readonly Place[], extra = ''): Markup {
  return element('path', {
    class: `${look.group} line ${extra}`.trim(),
    d: moves(places),
    'stroke-dasharray': look.dash,
    'stroke-width': String(look.width),
  })
}

/** The data of a path through places. */
export function moves(places: readonly Place[]): string {
  let path = ''
  let drawing = false
  for (const { x, y } of places) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      drawing = false
      continue
    }
    path += `${drawing ? 'L' : 'M'}${tenth(x)} ${tenth(y)}`
    drawing = true
  }
  return path
}

/** Which end of the words stands at their place. */
export type Anchor = 'start' | 'middle' | 'end'

/** Words at a place; `kind` is a class of style.ts. */
export function words(text: string, { x, y }: Place, kind: string, anchor: Anchor = 'start'): Markup {
  return element('text', { x, y, class: kind, 'text-anchor': anchor === 'start' ? undefined : anchor }, text)
}

/** About how wide words are, in the widest of the fonts that a reader is likely to have. */
export function widthOf(text: string, size = 12): number {
  return [...text].reduce((width, character) => width + size * ems(character), 0)
}

function ems(character: string): number {
  if (/[ijltfrI.,:;'| ]/.test(character)) return 0.38
  if (/[mwMW%@]/.test(character)) return 0.95
  if (/[A-Z]/.test(character)) return 0.72
  // Scripts of which each sign fills a square.
  return /[\u1100-\uffdc\u{10000}-\u{10ffff}]/u.test(character) ? 1 : 0.61
}

/**
 * At most about `max` places of a long line, such that no peak and no dip is lost: of every stretch the first, the lowest,
 * the highest and the last are kept.
 */
export function thin(places: readonly Place[], max: number): readonly Place[] {
  if (places.length <= max) return places
  const stretches = Math.max(1, Math.floor(max / 4))
  const kept: Place[] = []
  for (let stretch = 0; stretch < stretches; stretch++) {
    const from = Math.floor((stretch * places.length) / stretches)
    const to = Math.floor(((stretch + 1) * places.length) / stretches)
    let [low, high] = [from, from]
    for (let index = from; index < to; index++) {
      if (places[index]!.y < places[low]!.y) low = index
      if (places[index]!.y > places[high]!.y) high = index
    }
    const chosen = new Set([from, Math.min(low, high), Math.max(low, high), to - 1])
    for (const index of chosen) kept.push(places[index]!)
  }
  return kept
}

/** What stands at the end of a line. */
export interface LineLabel {
  readonly text: string
  readonly y: number
  readonly look: Look
}

/** Words at the ends of lines, pushed apart where they would lie on each other, between `top` and `bottom`. */
export function lineLabels(labels: readonly LineLabel[], x: number, top: number, bottom: number): Markup[] {
  const sorted = labels.filter(({ y }) => Number.isFinite(y)).sort((a, b) => a.y - b.y)
  const heights = spreadApart(
    sorted.map(({ y }) => y),
    LABEL_HEIGHT,
    top,
    bottom,
  )
  return sorted.map(({ text, look }, index) =>
    words(text, { x, y: heights[index]! + 4 }, `${look.group} named`),
  )
}

const LABEL_HEIGHT = 12

/** The heights, in their ascending order, moved as little as it takes for them to be `apart`, and within the ends if they fit. */
export function spreadApart(
  heights: readonly number[],
  apart: number,
  top: number,
  bottom: number,
): readonly number[] {
  const moved = [...heights]
  for (let index = 0; index < moved.length; index++)
    moved[index] = Math.max(moved[index]!, index === 0 ? top : moved[index - 1]! + apart)
  for (let index = moved.length - 1; index >= 0; index--)
    moved[index] = Math.min(moved[index]!, index === moved.length - 1 ? bottom : moved[index + 1]! - apart)
  return moved
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10 || 0
}
