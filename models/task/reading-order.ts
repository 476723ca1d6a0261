import { distance, type Point, type Quad } from './geometry.ts'

/** Boxes whose middles are nearer than this part of the lower box's height stand in one row. */
const ROW_OVERLAP = 0.5

/**
 * Boxes in the order in which they are read, grouped in rows from top to bottom, each row from left to right, along
 * the slant that most of the text has. A page in several columns is read across the columns.
 */
export function readingOrder(boxes: readonly Quad[]): Quad[][] {
  const slant = commonSlant(boxes)
  const cos = Math.cos(slant)
  const sin = Math.sin(slant)
  const placed = boxes
    .map((box) => {
      const { x, y } = middle(box)
      return { box, along: x * cos + y * sin, down: y * cos - x * sin, height: boxHeight(box) }
    })
    .sort((a, b) => a.down - b.down || a.along - b.along)
  const rows: (typeof placed)[] = []
  for (const item of placed) {
    const row = rows.at(-1)
    const first = row?.[0]
    if (
      row !== undefined &&
      first !== undefined &&
      item.down - first.down < ROW_OVERLAP * Math.min(item.height, first.height)
    ) {
      row.push(item)
    } else rows.push([item])
  }
  return rows.map((row) => row.sort((a, b) => a.along - b.along).map(({ box }) => box))
}

/** For each row whether a paragraph begins there: the step down to it is clearly wider than the usual one. */
export function paragraphStarts(rows: readonly (readonly Quad[])[]): boolean[] {
  const slant = commonSlant(rows.flat())
  const downs = rows.map((row) => {
    const { x, y } = middle(row[0]!)
    return y * Math.cos(slant) - x * Math.sin(slant)
  })
  const steps = downs.map((down, index) => (index === 0 ? 0 : down - downs[index - 1]!))
  const usual = median(steps.slice(1))
  return steps.map((step, index) => index > 0 && step > usual * 1.3)
}

/** The median angle of the boxes' upper edges, each counted by its length; 0 without boxes. */
function commonSlant(boxes: readonly Quad[]): number {
  const edges = boxes
    .map(([left, right]) => ({
      angle: Math.atan2(right.y - left.y, right.x - left.x),
      length: distance(left, right),
    }))
    .sort((a, b) => a.angle - b.angle)
  const half = edges.reduce((sum, { length }) => sum + length, 0) / 2
  let passed = 0
  for (const { angle, length } of edges) {
    passed += length
    if (passed >= half) return angle
  }
  return 0
}

function middle([a, b, c, d]: Quad): Point {
  return { x: (a.x + b.x + c.x + d.x) / 4, y: (a.y + b.y + c.y + d.y) / 4 }
}

function boxHeight([topLeft, topRight, bottomRight, bottomLeft]: Quad): number {
  return (distance(topLeft, bottomLeft) + distance(topRight, bottomRight)) / 2
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
