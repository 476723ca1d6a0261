import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { rectangleCorners } from '../../../models/task/geometry.ts'
import { bluePlanesFirst, type RgbImage, resizeImage, warpImage } from '../../../models/task/raster.ts'

test('an image warped from its own corners to its own size is itself', () => {
  const image = picture(7, 5, (x, y) => [x * 30, y * 40, x * y])
  assert.equal(resizeImage(image, 7, 5), image)
})

test('reducing an image by two averages its pixels', () => {
  const image = picture(2, 2, (x, y) => (x === y ? [100, 0, 40] : [0, 0, 80]))
  assert.equal([...resizeImage(image, 1, 1).data], [50, 0, 60])
})

test('a turned quad is straightened: a stripe along it becomes horizontal', () => {
  const angle = 0.2
  const center = { x: 40, y: 40 }
  const stripe = (x: number, y: number): number =>
    Math.abs((y + 0.5 - center.y) * Math.cos(angle) - (x + 0.5 - center.x) * Math.sin(angle)) < 3 ? 255 : 0
  const image = picture(80, 80, (x, y) => [stripe(x, y), 0, 0])
  const quad = rectangleCorners({ center, width: 60, height: 20, angle })
  const line = warpImage(image, quad, 60, 20)
  for (const x of [5, 30, 55]) {
    assert.ok(line.data[(10 * 60 + x) * 3]! > 200, `inside the stripe at ${x}`)
    assert.is(line.data[(3 * 60 + x) * 3], 0, `above the stripe at ${x}`)
    assert.is(line.data[(16 * 60 + x) * 3], 0, `below the stripe at ${x}`)
  }
})

test('the corners of a quad in perspective land in the corners of the rectangle', () => {
  const image = picture(100, 100, (x, y) => [x * 2, y * 2, 0])
  const quad = [
    { x: 20, y: 20 },
    { x: 80, y: 30 },
    { x: 90, y: 90 },
    { x: 10, y: 70 },
  ] as const
  const size = 400
  const { data } = warpImage(image, quad, size, size)
  const at = (x: number, y: number): number[] => [
    ...data.subarray((y * size + x) * 3, (y * size + x) * 3 + 2),
  ]
  const corners = [at(0, 0), at(size - 1, 0), at(size - 1, size - 1), at(0, size - 1)]
  corners.forEach(([red, green], index) => {
    assert.ok(Math.abs(red! - (quad[index]!.x - 0.5) * 2) <= 2, `x of corner ${index}`)
    assert.ok(Math.abs(green! - (quad[index]!.y - 0.5) * 2) <= 2, `y of corner ${index}`)
  })
})

test('a quad that reaches outside of the image repeats its border', () => {
  const image = picture(2, 1, (x) => [x === 0 ? 10 : 200, 0, 0])
  const quad = rectangleCorners({ center: { x: 1, y: 0.5 }, width: 6, height: 1, angle: 0 })
  const red = [...warpImage(image, quad, 6, 1).data].filter((_, index) => index % 3 === 0)
  assert.equal(red, [10, 10, 10, 200, 200, 200])
})

test('planes come blue, green, red, scaled, and zero beyond the image', () => {
  const image = picture(2, 1, (x) => [1 + x, 3 + x, 5 + x])
  assert.equal(
    [...bluePlanesFirst(image, [1, 10, 100], [0.5, 0, 0], 3)],
    [5.5, 6.5, 0, 30, 40, 0, 100, 200, 0],
  )
})

function picture(
  width: number,
  height: number,
  color: (x: number, y: number) => readonly [number, number, number],
): RgbImage {
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set(color(x, y), (y * width + x) * 3)
  return { width, height, data }
}

test.run()
