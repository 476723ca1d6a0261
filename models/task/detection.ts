import { float32Elements, float32Tensor, type Tensor } from '../tensor/index.ts'
import {
  DETECTION_MULTIPLE,
  DETECTION_SCORE_MIN,
  DETECTION_SIDE_MAX,
  DETECTION_THICKNESS_MIN,
  DETECTION_THRESHOLD,
  DETECTION_UNCLIP_RATIO,
  LINES_MAX,
} from './constants.ts'
import { TaskError } from './errors.ts'
import { expandRectangle, minimumRectangle, type Point, type Quad, rectangleCorners } from './geometry.ts'
import { bluePlanesFirst, type RgbImage, resizeImage } from './raster.ts'

/** Mean and spread of the colours (blue, green, red planes in this order of values) that the network was trained with. */
const MEAN = [0.485, 0.456, 0.406] as const
const SPREAD = [0.229, 0.224, 0.225] as const

/**
 * The input of a text detection network (PP-OCR family): float32 [1, 3, H, W], H and W multiples of 32, the longer
 * one at most DETECTION_SIDE_MAX; a smaller picture is not enlarged.
 */
export function detectionInput(name: string, image: RgbImage): Tensor {
  const { width, height } = detectionSize(image)
  const planes = bluePlanesFirst(
    resizeImage(image, width, height),
    SPREAD.map((spread) => 1 / 255 / spread),
    SPREAD.map((spread, plane) => -MEAN[plane]! / spread),
  )
  return float32Tensor(name, [1, 3, height, width], planes)
}

/**
 * The boxes around lines of text, in pixels of `image`, that a heatmap (float32 [1, 1, H, W], probability of text,
 * for `detectionInput` of the same image) shows. In no particular order. At most LINES_MAX.
 * Throws TaskError `unexpected-output` when the heatmap is of another shape.
 *
 * This is the post-processing of differentiable binarisation (Liao et al., "Real-time Scene Text Detection with
 * Differentiable Binarization", 2020): threshold, connected regions, smallest rectangle, and growing each rectangle
 * back, since the network is trained on shrunk lines.
 */
export function detectedBoxes(heatmap: Tensor, image: RgbImage): Quad[] {
  const { width, height } = detectionSize(image)
  const given = `${heatmap.dtype}[${heatmap.dims.join(', ')}]`
  if (given !== `float32[1, 1, ${height}, ${width}]`) {
    throw new TaskError(
      'unexpected-output',
      `text detection returned ${given}, expected float32[1, 1, ${height}, ${width}]`,
    )
  }
  const scaleX = image.width / width
  const scaleY = image.height / height
  return textRegions(float32Elements(heatmap), width, height)
    .sort((a, b) => b.pixels - a.pixels)
    .slice(0, LINES_MAX)
    .flatMap((region) => {
      const core = minimumRectangle(region.outline)
      if (Math.min(core.width, core.height) < DETECTION_THICKNESS_MIN) return []
      const margin = (core.width * core.height * DETECTION_UNCLIP_RATIO) / (2 * (core.width + core.height))
      const [a, b, c, d] = rectangleCorners(expandRectangle(core, margin))
      const toImage = ({ x, y }: Point): Point => ({ x: x * scaleX, y: y * scaleY })
      return [[toImage(a), toImage(b), toImage(c), toImage(d)] as const]
    })
}

interface Region {
  readonly pixels: number
  /** Corners of the first and last pixel in each row: all that a convex hull needs. */
  readonly outline: readonly Point[]
}

/** Regions of neighbouring (also diagonally) pixels above the threshold whose mean is high enough. */
function textRegions(heat: Float32Array, width: number, height: number): Region[] {
  const seen = new Uint8Array(heat.length)
  const stack = new Uint32Array(heat.length)
  const regions: Region[] = []
  const isText = (index: number): boolean => heat[index]! > DETECTION_THRESHOLD
  for (let start = 0; start < heat.length; start++) {
    if (seen[start] === 1 || !isText(start)) continue
    const rows = new Map<number, { left: number; right: number }>()
    let depth = 1
    let pixels = 0
    let sum = 0
    stack[0] = start
    seen[start] = 1
    while (depth > 0) {
      const index = stack[--depth]!
      const x = index % width
      const y = (index - x) / width
      pixels++
      sum += heat[index]!
      const row = rows.get(y)
      if (row === undefined) rows.set(y, { left: x, right: x })
      else if (x < row.left) row.left = x
      else if (x > row.right) row.right = x
      for (let nextY = Math.max(0, y - 1); nextY <= Math.min(height - 1, y + 1); nextY++) {
        for (let nextX = Math.max(0, x - 1); nextX <= Math.min(width - 1, x + 1); nextX++) {
          const next = nextY * width + nextX
          if (seen[next] === 1 || !isText(next)) continue
          seen[next] = 1
          stack[depth++] = next
        }
      }
    }
    if (sum / pixels >= DETECTION_SCORE_MIN) regions.push({ pixels, outline: outlineOf(rows) })
  }
  return regions
}

function outlineOf(rows: ReadonlyMap<number, { left: number; right: number }>): Point[] {
  return [...rows].flatMap(([y, { left, right }]) => [
    { x: left, y },
    { x: right + 1, y },
    { x: left, y: y + 1 },
    { x: right + 1, y: y + 1 },
  ])
}

function detectionSize(image: RgbImage): { width: number; height: number } {
  const scale = Math.min(1, DETECTION_SIDE_MAX / Math.max(image.width, image.height))
  const fit = (side: number): number =>
    Math.max(1, Math.round((side * scale) / DETECTION_MULTIPLE)) * DETECTION_MULTIPLE
  return { width: fit(image.width), height: fit(image.height) }
}
