/**
 * How groups are told apart: by form and dash as well as by colour, so that a print in black and white and a reader who
 * sees no red or green lose nothing. The colours are Okabe and Ito's, a little darker on white; style.ts has them.
 */
import { GROUPS_MAX } from './study.ts'

/** Forms of marks, in the order in which groups get them. */
export type Shape = 'circle' | 'square' | 'triangle' | 'diamond' | 'hourglass' | 'wedge' | 'plus' | 'bar'

/** Form, dash and colour of a group. */
export interface Look {
  readonly shape: Shape
  /** As in `stroke-dasharray`; undefined for a line that is whole. */
  readonly dash: string | undefined
  readonly width: number
  /** Classes to which style.ts gives the colour, for light and dark, and by which the page can fade all others. */
  readonly group: string
}

const SHAPES: readonly Shape[] = [
  'circle',
  'square',
  'triangle',
  'diamond',
  'hourglass',
  'wedge',
  'plus',
  'bar',
]
const DASHES: readonly (string | undefined)[] = [
  undefined,
  '6 3',
  '2 2.5',
  '9 3 2 3',
  '4 2',
  '12 3',
  '1.5 4',
  '6 2 1.5 2 1.5 2',
]

/** The look of the group with this index; from the ninth on they repeat. */
export function lookOf(index: number): Look {
  const turn = index % GROUPS_MAX
  return {
    shape: SHAPES[turn]!,
    dash: DASHES[turn],
    width: index === 0 ? 2.2 : 1.4,
    group: `g g${turn}`,
  }
}

/** The outline of a mark around (x, y). All are areas, so that each can be full, half full or open. */
export function shapePath(shape: Shape, x: number, y: number, radius: number): string {
  if (shape === 'circle') {
    const arc = `${round(radius)} ${round(radius)} 0 1 0`
    return `M${round(x - radius)} ${round(y)}A${arc} ${round(x + radius)} ${round(y)}A${arc} ${round(x - radius)} ${round(y)}Z`
  }
  const corners = OUTLINES[shape].map(([dx, dy]) => `${round(x + dx * radius)} ${round(y + dy * radius)}`)
  return `M${corners.join('L')}Z`
}

type Corner = readonly [number, number]

/** Of about the same area as a circle of radius 1, so that none seems to weigh more. */
const OUTLINES: Readonly<Record<Exclude<Shape, 'circle'>, readonly Corner[]>> = {
  square: [
    [-0.9, -0.9],
    [0.9, -0.9],
    [0.9, 0.9],
    [-0.9, 0.9],
  ],
  triangle: [
    [0, -1.2],
    [1.15, 0.9],
    [-1.15, 0.9],
  ],
  wedge: [
    [0, 1.2],
    [1.15, -0.9],
    [-1.15, -0.9],
  ],
  diamond: [
    [0, -1.35],
    [1.15, 0],
    [0, 1.35],
    [-1.15, 0],
  ],
  hourglass: [
    [-1.1, -1.15],
    [1.1, -1.15],
    [-1.1, 1.15],
    [1.1, 1.15],
  ],
  plus: [
    [-0.45, -1.3],
    [0.45, -1.3],
    [0.45, -0.45],
    [1.3, -0.45],
    [1.3, 0.45],
    [0.45, 0.45],
    [0.45, 1.3],
    [-0.45, 1.3],
    [-0.45, 0.45],
    [-1.3, 0.45],
    [-1.3, -0.45],
    [-0.45, -0.45],
  ],
  bar: [
    [-0.55, -1.4],
    [0.55, -1.4],
    [0.55, 1.4],
    [-0.55, 1.4],
  ],
}

function round(value: number): number {
  return Math.round(value * 10) / 10 || 0
}
