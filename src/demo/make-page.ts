/**
 * Makes `page.jpg` from `page.txt`: a print of the text, laid on a table and photographed by hand. Not part of the
 * demo's run; `node src/demo/make-page.ts` writes the picture again. It needs the font
 * Liberation Serif on the system; a wider one would run off the sheet.
 *
 * The text is from the first chapter of Herman Melville, "Moby-Dick; or, The Whale" (1851), shortened, its dashes
 * written as hyphens.
 */
import { readFile, writeFile } from 'node:fs/promises'
import sharp from 'sharp'
import { type RgbImage, warpImage } from '../../models/task/index.ts'

const PAPER = { width: 1180, height: 1040, left: 104, top: 108, fontPx: 34, linePx: 48, paragraphPx: 24 }
const PHOTO = { width: 1180, height: 1040, noise: 7, blur: 0.6, quality: 88 }
/** Corners of the photo's frame on the paper, clockwise from the top left: a degree and a half of skew, and a camera held not quite level. */
const FRAME = [
  { x: 8, y: 34 },
  { x: 1158, y: 6 },
  { x: 1178, y: 1006 },
  { x: -6, y: 1038 },
] as const

const text = await readFile(new URL('./page.txt', import.meta.url), 'utf8')
const paper = await render(print(text))
const photo = illuminate(warpImage(paper, FRAME, PHOTO.width, PHOTO.height))
await sharp(photo.data, { raw: { width: photo.width, height: photo.height, channels: 3 } })
  .blur(PHOTO.blur)
  .jpeg({ quality: PHOTO.quality })
  .toBuffer()
  .then((jpeg) => writeFile(new URL('./page.jpg', import.meta.url), jpeg))

/** The sheet as SVG, one text element a line; an empty line of the text starts a paragraph. */
function print(content: string): string {
  const lines: string[] = []
  let y = PAPER.top
  for (const line of content.trimEnd().split('\n')) {
    if (line === '') {
      y += PAPER.paragraphPx
      continue
    }
    lines.push(`<text x="${PAPER.left}" y="${y}">${line.replaceAll('&', '&amp;')}</text>`)
    y += PAPER.linePx
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${PAPER.width}" height="${PAPER.height}">
    <rect width="100%" height="100%" fill="#f1e8d2"/>
    <g font-family="Liberation Serif, Times New Roman, serif" font-size="${PAPER.fontPx}" fill="#2b2522">
    ${lines.join('\n')}</g></svg>`
}

async function render(svg: string): Promise<RgbImage> {
  const { data, info } = await sharp(Buffer.from(svg))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { width: info.width, height: info.height, data }
}

/** Light from the upper left that falls off, the shadow of a hand in the lower right, and a sensor's noise. */
function illuminate(image: RgbImage): RgbImage {
  const next = generator(1851)
  const data = new Uint8Array(image.data.byteLength)
  for (let y = 0, at = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const u = x / image.width
      const v = y / image.height
      const light = 1.04 - 0.3 * Math.hypot(u - 0.25, v - 0.2)
      const shadow = 1 - 0.28 / (1 + Math.exp(-18 * (u + 0.7 * v - 1.32)))
      const grain = (next() + next() + next() + next() - 2) * PHOTO.noise * 1.7
      for (let channel = 0; channel < 3; channel++, at++) {
        const warmth = channel === 2 ? 0.97 : 1
        const tint = (next() - 0.5) * PHOTO.noise
        data[at] = Math.max(0, Math.min(255, image.data[at]! * light * shadow * warmth + grain + tint))
      }
    }
  }
  return { ...image, data }
}

/** Numbers in [0, 1) by a linear congruential generator (Numerical Recipes' constants): enough for grain. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
