import { IMAGE_BYTES_MAX, IMAGE_PIXELS_MAX, IMAGE_SIDE_MAX, IMAGE_SIDE_MIN } from './constants.ts'
import { TaskError } from './errors.ts'
import type { RgbImage } from './raster.ts'

/** Formats that decode to one still picture. SVG and PDF are left out: they are programs, and may fetch. */
const FORMATS = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'avif'])

/**
 * Decodes the bytes of an image file (JPEG, PNG, WebP, GIF, TIFF, AVIF), turned upright as its EXIF says, transparent
 * parts on white, reduced so that no side is above IMAGE_SIDE_MAX. Works outside of this thread.
 * Throws TaskError `not-an-image`, `image-too-large` or `image-too-small`; an aborted `signal` throws its reason.
 */
export async function decodeImage(file: Uint8Array, signal?: AbortSignal): Promise<RgbImage> {
  signal?.throwIfAborted()
  if (file.byteLength > IMAGE_BYTES_MAX)
    tooLarge(`an image file may have ${IMAGE_BYTES_MAX} bytes at most; this one has ${file.byteLength}`)
  // Only here, so that commands that read no picture do not wait for a native library to load.
  const { default: sharp } = await import('sharp')
  if (file.byteLength === 0) notAnImage('it is empty')
  const metadata = await sharp(file, { limitInputPixels: false })
    .metadata()
    .catch((cause: unknown) => notAnImage(reasonOf(cause), cause))
  const { width, height, format } = metadata
  if (format === undefined || !FORMATS.has(format)) notAnImage(`its format is ${format ?? 'unknown'}`)
  if (width * height > IMAGE_PIXELS_MAX)
    tooLarge(`an image may have ${IMAGE_PIXELS_MAX} pixels at most; this one has ${width} x ${height}`)
  if (Math.min(width, height) < IMAGE_SIDE_MIN) {
    throw new TaskError(
      'image-too-small',
      `an image of ${width} x ${height} pixels holds no readable text; at least ${IMAGE_SIDE_MIN} on each side are needed`,
    )
  }
  const decoded = await sharp(file, { limitInputPixels: IMAGE_PIXELS_MAX, failOn: 'error' })
    .autoOrient()
    .resize({ width: IMAGE_SIDE_MAX, height: IMAGE_SIDE_MAX, fit: 'inside', withoutEnlargement: true })
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((cause: unknown) => notAnImage(reasonOf(cause), cause))
  signal?.throwIfAborted()
  if (decoded.info.channels !== 3) notAnImage(`it has ${decoded.info.channels} channels`)
  return { width: decoded.info.width, height: decoded.info.height, data: decoded.data }
}

function notAnImage(why: string, cause?: unknown): never {
  throw new TaskError(
    'not-an-image',
    `this is no JPEG, PNG, WebP, GIF, TIFF or AVIF picture that can be read: ${why}`,
    { cause },
  )
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function tooLarge(message: string): never {
  throw new TaskError('image-too-large', message)
}
