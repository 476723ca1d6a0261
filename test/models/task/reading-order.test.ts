import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { rectangleCorners } from '../../../models/task/geometry.ts'
import type { Quad } from '../../../models/task/index.ts'
import { paragraphStarts, readingOrder } from '../../../models/task/reading-order.ts'

/** A box at (x, y) on a sheet that is turned as a whole by `angle`. */
function box(x: number, y: number, width: number, angle = 0): Quad {
  const center = {
    x: x * Math.cos(angle) - y * Math.sin(angle),
    y: x * Math.sin(angle) + y * Math.cos(angle),
  }
  return rectangleCorners({ center, width, height: 20, angle })
}

test('no boxes are no rows', () => {
  assert.equal(readingOrder([]), [])
  assert.equal(paragraphStarts([]), [])
})

test('rows go from top to bottom and from left to right, however the sheet is turned and the boxes are shuffled', () => {
  const turned = fc.double({ min: -0.3, max: 0.3, noNaN: true })
  fc.assert(
    fc.property(turned, fc.nat(), (angle, shuffle) => {
      const rows = [
        [box(150, 30, 300, angle), box(500, 33, 300, angle)],
        [box(300, 70, 600, angle)],
        [box(100, 110, 200, angle), box(320, 108, 180, angle), box(700, 111, 500, angle)],
      ]
      const flat = rows.flat()
      const shuffled = flat.map((_, index) => flat[(index + shuffle) % flat.length]!).reverse()
      assert.equal(readingOrder(shuffled), rows)
    }),
  )
})

test('a paragraph starts where the step down is wider than usual', () => {
  const rows = [30, 60, 90, 140, 170, 200].map((y) => [box(300, y, 600, 0.02)])
  assert.equal(paragraphStarts(rows), [false, false, false, true, false, false])
})

test.run()
