export interface Point {
  readonly x: number
  readonly y: number
}

/** Four corners, clockwise on the screen from the top left, in pixels. */
export type Quad = readonly [Point, Point, Point, Point]

/** A rectangle that may be turned: `angle` is that of its width against the x axis, within -45 to 45 degrees. */
export interface Rectangle {
  readonly center: Point
  readonly width: number
  readonly height: number
  /** Radians; positive is clockwise on the screen, where y grows downwards. */
  readonly angle: number
}

/**
 * The rectangle of least area around `points` (at least one). Its width runs along whichever of its axes is nearer to
 * the horizontal, so a single tall letter stays upright.
 */
export function minimumRectangle(points: readonly Point[]): Rectangle {
  const hull = convexHull(points)
  let best: Rectangle | undefined
  for (let index = 0; index < hull.length; index++) {
    // One side of the smallest rectangle lies on a side of the hull (Freeman and Shapira, 1975).
    const from = hull[index]!
    const to = hull[(index + 1) % hull.length]!
    const rectangle = rectangleAt(hull, quarterTurn(Math.atan2(to.y - from.y, to.x - from.x)))
    if (best === undefined || rectangle.width * rectangle.height < best.width * best.height) best = rectangle
  }
  if (best === undefined) throw new RangeError('no points to put a rectangle around')
  return best
}

/** The rectangle with every side moved outwards by `distance`. */
export function expandRectangle(rectangle: Rectangle, distance: number): Rectangle {
  return {
    ...rectangle,
    width: rectangle.width + 2 * distance,
    height: rectangle.height + 2 * distance,
  }
}

/** Its corners, clockwise from the one that is at the top left when the angle is 0. */
export function rectangleCorners({ center, width, height, angle }: Rectangle): Quad {
  const cos = Math.cos(angle)
  const sin = Math.sin(angle)
  const corner = (right: number, down: number): Point => ({
    x: center.x + right * cos - down * sin,
    y: center.y + right * sin + down * cos,
  })
  return [
    corner(-width / 2, -height / 2),
    corner(width / 2, -height / 2),
    corner(width / 2, height / 2),
    corner(-width / 2, height / 2),
  ]
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}

/** Corners of the convex hull in order (Andrew's monotone chain), without collinear points. */
export function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y)
  if (sorted.length < 3) return sorted
  const chain = (ordered: readonly Point[]): Point[] => {
    const hull: Point[] = []
    for (const point of ordered) {
      while (hull.length >= 2 && cross(hull.at(-2)!, hull.at(-1)!, point) <= 0) hull.pop()
      hull.push(point)
    }
    hull.pop()
    return hull
  }
  return [...chain(sorted), ...chain(sorted.reverse())]
}

function rectangleAt(points: readonly Point[], angle: number): Rectangle {
  const cos = Math.cos(angle)
  const sin = Math.sin(angle)
  let left = Infinity
  let right = -Infinity
  let top = Infinity
  let bottom = -Infinity
  for (const { x, y } of points) {
    const along = x * cos + y * sin
    const across = y * cos - x * sin
    left = Math.min(left, along)
    right = Math.max(right, along)
    top = Math.min(top, across)
    bottom = Math.max(bottom, across)
  }
  const along = (left + right) / 2
  const across = (top + bottom) / 2
  return {
    center: { x: along * cos - across * sin, y: along * sin + across * cos },
    width: right - left,
    height: bottom - top,
    angle,
  }
}

/** The same axes with the angle brought to -45 (exclusive) up to 45 degrees. */
function quarterTurn(angle: number): number {
  const quarter = Math.PI / 2
  return angle - quarter * Math.ceil(angle / quarter - 0.5)
}

function cross(o: Point, a: Point, b: Point): number {
  return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x)
}
