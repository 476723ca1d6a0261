import type { Markup } from '../markup.ts'

/** A plot with what a reader needs to read it. */
export interface Figure {
  /** For links within the page. */
  readonly id: string
  readonly title: string
  /** Whole sentences: what is drawn, and what to see in it. */
  readonly caption: string
  readonly drawing: Markup
}
