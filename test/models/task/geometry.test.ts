import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  convexHull,
  expandRectangle,
  minimumRectangle,
  type Rectangle,
  rectangleCorners,
} from '../../../models/task/geometry.ts'

const near = (actual: number, expected: number, within: number, what: string): void =>
  assert.ok(Math.abs(actual - expected) <= within, `${what}: ${actual}, expected ${expected}`)

test('the hull of a square leaves out inner and collinear points', () => {
  const points = [0, 1, 2].flatMap((x) => [0, 1, 2].map((y) => ({ x, y })))
  assert.equal(
    new Set(convexHull(points).map(({ x, y }) => `${x},${y}`)),
    new Set(['0,0', '2,0', '2,2', '0,2']),
  )
})

test('the smallest rectangle around the corners of a turned rectangle is that rectangle', () => {
  const rectangles = fc.record({
    center: fc.record({
      x: fc.double({ min: -500, max: 500, noNaN: true }),
      y: fc.double({ min: -500, max: 500, noNaN: true }),
    }),
    width: fc.double({ min: 40, max: 900, noNaN: true }),
    height: fc.double({ min: 5, max: 30, noNaN: true }),
    angle: fc.double({ min: -0.7, max: 0.7, noNaN: true }),
  })
  fc.assert(
    fc.property(rectangles, (rectangle: Rectangle) => {
      const found = minimumRectangle(rectangleCorners(rectangle))
      near(found.width, rectangle.width, 1e-3, 'width')
      near(found.height, rectangle.height, 1e-3, 'height')
      near(found.angle, rectangle.angle, 1e-4, 'angle')
      near(found.center.x, rectangle.center.x, 1e-3, 'x')
      near(found.center.y, rectangle.center.y, 1e-3, 'y')
    }),
  )
})

test('a tall letter stays upright: its rectangle is higher than wide', () => {
  const { width, height, angle } = minimumRectangle([
    { x: 0, y: 0 },
    { x: 4, y: 0 },
    { x: 4, y: 20 },
    { x: 0, y: 20 },
  ])
  near(width, 4, 1e-9, 'width')
  near(height, 20, 1e-9, 'height')
  near(angle, 0, 1e-9, 'angle')
})

test('a single point and a line have rectangles without area', () => {
  assert.is(minimumRectangle([{ x: 3, y: 4 }]).width, 0)
  const line = minimumRectangle([
    { x: 0, y: 0 },
    { x: 10, y: 0 },
  ])
  assert.equal([line.width, line.height], [10, 0])
})

test('growing a rectangle moves each side outwards and keeps middle and angle', () => {
  const rectangle = { center: { x: 5, y: 6 }, width: 10, height: 4, angle: 0.3 }
  assert.equal(expandRectangle(rectangle, 2), { ...rectangle, width: 14, height: 8 })
})

test.run()
