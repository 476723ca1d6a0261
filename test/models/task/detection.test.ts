import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { LINES_MAX } from '../../../models/task/constants.ts'
import { detectedBoxes, detectionInput } from '../../../models/task/detection.ts'
import { TaskError } from '../../../models/task/index.ts'
import { float32Elements, float32Tensor, type Tensor } from '../../../models/tensor/index.ts'

const blank = (width: number, height: number) => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(255),
})

test('the input has sides that are multiples of 32, the longer one at most 960', () => {
  const dimsOf = (width: number, height: number) => detectionInput('x', blank(width, height)).dims
  assert.equal(dimsOf(1920, 1080), [1, 3, 544, 960])
  assert.equal(dimsOf(100, 20), [1, 3, 32, 96])
  assert.equal(dimsOf(4096, 8), [1, 3, 32, 960])
})

test('the input is normalised by plane', () => {
  const input = float32Elements(detectionInput('x', blank(32, 32)))
  const expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
  expected.forEach((value, plane) => {
    assert.ok(Math.abs(input[plane * 1024]! - value) < 1e-5, `plane ${plane}`)
  })
})

test('a region of the heatmap becomes a box in pixels of the image, grown on each side', () => {
  // 320 x 160 is twice the heatmap's size in neither direction: the image fits as it is.
  const image = blank(320, 160)
  const [box, ...others] = detectedBoxes(heatmap(320, 160, [[40, 60, 200, 10]]), image)
  assert.is(others.length, 0)
  const margin = (200 * 10 * 1.5) / (2 * 210)
  const [topLeft, , bottomRight] = box!
  assert.ok(Math.abs(topLeft.x - (40 - margin)) < 1e-6, `left ${topLeft.x}`)
  assert.ok(Math.abs(topLeft.y - (60 - margin)) < 1e-6, `top ${topLeft.y}`)
  assert.ok(Math.abs(bottomRight.x - (240 + margin)) < 1e-6, `right ${bottomRight.x}`)
  assert.ok(Math.abs(bottomRight.y - (70 + margin)) < 1e-6, `bottom ${bottomRight.y}`)
})

test('a heatmap of a reduced image is scaled back', () => {
  const image = blank(1920, 960)
  const [box] = detectedBoxes(heatmap(960, 480, [[100, 100, 300, 20]]), image)
  const center = (box![0].x + box![2].x) / 2
  assert.ok(Math.abs(center - 500) < 1e-6, `center ${center}`)
})

test('faint regions and specks are no text', () => {
  const image = blank(320, 160)
  assert.equal(detectedBoxes(heatmap(320, 160, [[10, 10, 50, 10]], 0.5), image), [])
  assert.equal(detectedBoxes(heatmap(320, 160, [[10, 10, 2, 2]]), image), [])
  assert.equal(detectedBoxes(heatmap(320, 160, []), image), [])
})

test('a heatmap full of regions yields a bounded number of boxes', () => {
  const specks = Array.from({ length: 60 * 30 }, (_, index) => {
    return [(index % 60) * 16, Math.floor(index / 60) * 16, 8, 8] as const
  })
  assert.is(detectedBoxes(heatmap(960, 480, specks), blank(960, 480)).length, LINES_MAX)
})

test('values that are no numbers are no text', () => {
  assert.equal(detectedBoxes(heatmap(320, 160, [[0, 0, 320, 160]], Number.NaN), blank(320, 160)), [])
})

test('refuses a heatmap of another shape or type', () => {
  const image = blank(320, 160)
  const right = heatmap(320, 160, [])
  const wrong: Tensor[] = [
    { ...right, dims: [1, 1, 320, 160] },
    { ...right, dims: [1, 320 * 160] },
    { ...right, dtype: 'int32' },
  ]
  for (const tensor of wrong) {
    assert.throws(
      () => detectedBoxes(tensor, image),
      (error: unknown) => error instanceof TaskError && error.code === 'unexpected-output',
      `${tensor.dtype}[${tensor.dims}]`,
    )
  }
})

function heatmap(
  width: number,
  height: number,
  regions: readonly (readonly [number, number, number, number])[],
  value = 0.9,
): Tensor {
  const heat = new Float32Array(width * height)
  for (const [left, top, wide, high] of regions) {
    for (let y = top; y < top + high; y++) heat.fill(value, y * width + left, y * width + left + wide)
  }
  return float32Tensor('heat', [1, 1, height, width], heat)
}

test.run()
