import { float32Tensor, type Tensor } from '../tensor/index.ts'
import { LINE_HEIGHT, LINE_WIDTH_MAX, LINE_WIDTH_MULTIPLE } from './constants.ts'
import { distance, type Quad } from './geometry.ts'
import { bluePlanesFirst, type RgbImage, warpImage } from './raster.ts'

/** Bytes to -1 .. 1. */
const SCALE = [2 / 255, 2 / 255, 2 / 255] as const
const OFFSET = [-1, -1, -1] as const

/**
 * The input of a text recognition network (PP-OCR family): what `box` shows, straightened and brought to 48 rows in
 * its own proportions, as float32 [1, 3, 48, W]; W is padded with mid-grey to a multiple of LINE_WIDTH_MULTIPLE.
 */
export function recognitionInput(name: string, image: RgbImage, box: Quad): Tensor {
  const [topLeft, topRight, bottomRight, bottomLeft] = box
  const along = Math.max(distance(topLeft, topRight), distance(bottomLeft, bottomRight))
  const across = Math.max(distance(topLeft, bottomLeft), distance(topRight, bottomRight), 1)
  const width = Math.min(LINE_WIDTH_MAX, Math.max(1, Math.round((along / across) * LINE_HEIGHT)))
  const padded = Math.ceil(width / LINE_WIDTH_MULTIPLE) * LINE_WIDTH_MULTIPLE
  const line = warpImage(image, box, width, LINE_HEIGHT)
  return float32Tensor(name, [1, 3, LINE_HEIGHT, padded], bluePlanesFirst(line, SCALE, OFFSET, padded))
}
