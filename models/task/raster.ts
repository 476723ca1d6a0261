import type { Quad } from './geometry.ts'

/** A picture: three bytes (red, green, blue) a pixel, row by row, no padding. */
export interface RgbImage {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/**
 * Samples a pixel grid may take along one axis of one output pixel. Reducing by more than this factor skips pixels,
 * which is harmless for text that was readable at the size it is reduced to.
 */
const SAMPLES_PER_AXIS_MAX = 4

/** The picture at another size. Same result on every machine: plain arithmetic in double precision. */
export function resizeImage(image: RgbImage, width: number, height: number): RgbImage {
  const { width: right, height: bottom } = image
  return warpImage(
    image,
    [
      { x: 0, y: 0 },
      { x: right, y: 0 },
      { x: right, y: bottom },
      { x: 0, y: bottom },
    ],
    width,
    height,
  )
}

/**
 * What the picture shows inside `quad` (corners clockwise from the top left, in pixels of the picture), brought to a
 * `width` x `height` rectangle by the perspective transform that maps corner to corner. Bilinear, with several
 * samples a pixel where it reduces; outside the picture its border is repeated.
 */
export function warpImage(image: RgbImage, quad: Quad, width: number, height: number): RgbImage {
  const [m00, m01, m02, m10, m11, m12, m20, m21] = squareToQuad(quad)
  const [topLeft, topRight, bottomRight, bottomLeft] = quad
  const samplesX = samplesFor(Math.max(span(topLeft, topRight), span(bottomLeft, bottomRight)) / width)
  const samplesY = samplesFor(Math.max(span(topLeft, bottomLeft), span(topRight, bottomRight)) / height)
  const samples = samplesX * samplesY
  const source = image.data
  const stride = image.width * 3
  const lastX = image.width - 1
  const lastY = image.height - 1
  const out = new Uint8Array(width * height * 3)
  let at = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      let red = 0
      let green = 0
      let blue = 0
      for (let j = 0; j < samplesY; j++) {
        const v = (y + (j + 0.5) / samplesY) / height
        for (let i = 0; i < samplesX; i++) {
          const u = (x + (i + 0.5) / samplesX) / width
          const depth = m20 * u + m21 * v + 1
          const sourceX = clamp((m00 * u + m01 * v + m02) / depth - 0.5, lastX)
          const sourceY = clamp((m10 * u + m11 * v + m12) / depth - 0.5, lastY)
          const left = Math.floor(sourceX)
          const top = Math.floor(sourceY)
          const fx = sourceX - left
          const fy = sourceY - top
          const a = top * stride + left * 3
          const b = left < lastX ? a + 3 : a
          const down = top < lastY ? stride : 0
          const weightA = (1 - fx) * (1 - fy)
          const weightB = fx * (1 - fy)
          const weightC = (1 - fx) * fy
          const weightD = fx * fy
          red +=
            source[a]! * weightA +
            source[b]! * weightB +
            source[a + down]! * weightC +
            source[b + down]! * weightD
          green +=
            source[a + 1]! * weightA +
            source[b + 1]! * weightB +
            source[a + down + 1]! * weightC +
            source[b + down + 1]! * weightD
          blue +=
            source[a + 2]! * weightA +
            source[b + 2]! * weightB +
            source[a + down + 2]! * weightC +
            source[b + down + 2]! * weightD
        }
      }
      out[at] = Math.round(red / samples)
      out[at + 1] = Math.round(green / samples)
      out[at + 2] = Math.round(blue / samples)
    }
  }
  return { width, height, data: out }
}

/**
 * The picture as a plane of each colour, blue first (the order in which the networks were trained), each byte mapped
 * to `byte * scale[plane] + offset[plane]`, in rows of `rowWidth` >= width elements; what is right of the picture is 0.
 */
export function bluePlanesFirst(
  image: RgbImage,
  scale: readonly number[],
  offset: readonly number[],
  rowWidth: number = image.width,
): Float32Array {
  const { width, height, data } = image
  const planes = new Float32Array(3 * height * rowWidth)
  for (let plane = 0; plane < 3; plane++) {
    const multiply = scale[plane]!
    const add = offset[plane]!
    for (let y = 0; y < height; y++) {
      let to = (plane * height + y) * rowWidth
      let from = y * width * 3 + 2 - plane
      for (let x = 0; x < width; x++, to++, from += 3) planes[to] = data[from]! * multiply + add
    }
  }
  return planes
}

/** The eight free coefficients of the projective map from the unit square to `quad` (the ninth is 1). */
function squareToQuad([p0, p1, p2, p3]: Quad): readonly [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
] {
  // Heckbert, "Fundamentals of Texture Mapping and Image Warping" (1989), section 2.2.3.
  const sumX = p0.x - p1.x + p2.x - p3.x
  const sumY = p0.y - p1.y + p2.y - p3.y
  const dx1 = p1.x - p2.x
  const dx2 = p3.x - p2.x
  const dy1 = p1.y - p2.y
  const dy2 = p3.y - p2.y
  const determinant = dx1 * dy2 - dx2 * dy1
  const g = determinant === 0 ? 0 : (sumX * dy2 - dx2 * sumY) / determinant
  const h = determinant === 0 ? 0 : (dx1 * sumY - sumX * dy1) / determinant
  return [
    p1.x - p0.x + g * p1.x,
    p3.x - p0.x + h * p3.x,
    p0.x,
    p1.y - p0.y + g * p1.y,
    p3.y - p0.y + h * p3.y,
    p0.y,
    g,
    h,
  ]
}

function samplesFor(reduction: number): number {
  return Math.min(SAMPLES_PER_AXIS_MAX, Math.max(1, Math.round(reduction)))
}

function span(a: { x: number; y: number }, b: { x: number; y: number }): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}

function clamp(value: number, max: number): number {
  return Math.max(0, Math.min(max, value))
}
