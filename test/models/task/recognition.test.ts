import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { rectangleCorners } from '../../../models/task/geometry.ts'
import { recognitionInput } from '../../../models/task/recognition.ts'
import { float32Elements } from '../../../models/tensor/index.ts'

const image = { width: 400, height: 100, data: new Uint8Array(400 * 100 * 3).fill(255) }
const box = (width: number, height: number) =>
  rectangleCorners({ center: { x: 200, y: 50 }, width, height, angle: 0 })

test('a line has 48 rows and its own proportions, padded with mid-grey to a multiple of 32', () => {
  const input = recognitionInput('x', image, box(100, 30))
  assert.equal(input.dims, [1, 3, 48, 160])
  assert.is(recognitionInput('x', image, box(101, 30)).dims[3], 192)
  const row = float32Elements(recognitionInput('x', image, box(101, 30))).subarray(0, 192)
  assert.is(row[161], 1, 'the last column of the line')
  assert.is(row[162], 0, 'the first column of the padding')
})

test('the width of a line is bounded, and at least one multiple', () => {
  assert.is(recognitionInput('x', image, box(390, 2)).dims[3], 2560)
  assert.is(recognitionInput('x', image, box(0, 0)).dims[3], 32)
})

test.run()
