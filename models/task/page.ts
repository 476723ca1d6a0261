import type { Tensor } from '../tensor/index.ts'
import { LINES_IN_FLIGHT_MAX } from './constants.ts'
import { decodeReading, type Reading } from './ctc.ts'
import { detectedBoxes, detectionInput } from './detection.ts'
import { TaskError } from './errors.ts'
import type { Quad } from './geometry.ts'
import type { RgbImage } from './raster.ts'
import { paragraphStarts, readingOrder } from './reading-order.ts'
import { recognitionInput } from './recognition.ts'

/** Executes the detection model: here, or on the mesh. Resolves with its outputs. */
export type Detect = (inputs: readonly Tensor[], signal: AbortSignal) => Promise<readonly Tensor[]>

/** Executes the recognition model on one line. `line` counts from 0 in reading order. */
export type Recognize = (
  inputs: readonly Tensor[],
  line: number,
  signal: AbortSignal,
) => Promise<readonly Tensor[]>

export interface ReadOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: ReadProgress) => void
}

export type ReadProgress =
  /** Detection has ended; so many lines will be read. */
  | { readonly stage: 'detected'; readonly total: number }
  /** A line has been read; `done` of `total` are. */
  | {
      readonly stage: 'recognized'
      readonly line: number
      readonly text: string
      readonly done: number
      readonly total: number
    }

export interface PageLine extends Reading {
  /** Where it stands, in pixels of the decoded image, clockwise from its top left corner. */
  readonly box: Quad
}

export interface PageReading {
  /** Lines joined in reading order: a space between boxes of one row, a line break between rows, an empty line before a paragraph. */
  readonly text: string
  readonly lines: readonly PageLine[]
}

/** Names of the networks' tensors and the characters of the recognition network's classes. */
export interface RecognitionModel {
  readonly input: string
  readonly characters: readonly string[]
}

/**
 * Reads a page: one execution of detection, then one of recognition for each line, all in flight together (up to
 * LINES_IN_FLIGHT_MAX).
 * Rejects with what `detect` or the first failing `recognize` rejects with (the signal of the others is aborted), or
 * with TaskError `unexpected-output`. A page without text is an empty reading.
 */
export async function readPage(
  image: RgbImage,
  models: { readonly detection: { readonly input: string }; readonly recognition: RecognitionModel },
  execute: { readonly detect: Detect; readonly recognize: Recognize },
  options: ReadOptions = {},
): Promise<PageReading> {
  const boxes = await findLines(image, models.detection, execute.detect, options)
  return readLines(image, boxes, models.recognition, execute.recognize, options)
}

/** The first half of `readPage`: boxes around the lines of text, in reading order. */
export async function findLines(
  image: RgbImage,
  model: { readonly input: string },
  detect: Detect,
  options: ReadOptions = {},
): Promise<Quad[]> {
  const signal = options.signal ?? new AbortController().signal
  signal.throwIfAborted()
  const heatmap = onlyOutput(await detect([detectionInput(model.input, image)], signal), 'text detection')
  const boxes = readingOrder(detectedBoxes(heatmap, image)).flat()
  options.onProgress?.({ stage: 'detected', total: boxes.length })
  return boxes
}

/** The second half of `readPage`: reads the lines in `boxes`, which stand in reading order. */
export async function readLines(
  image: RgbImage,
  boxes: readonly Quad[],
  model: RecognitionModel,
  recognize: Recognize,
  options: ReadOptions = {},
): Promise<PageReading> {
  const failed = new AbortController()
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal])
  const lines: PageLine[] = []
  let next = 0
  let done = 0
  const readOne = async (line: number, box: Quad): Promise<void> => {
    const outputs = await recognize([recognitionInput(model.input, image, box)], line, signal)
    const reading = decodeReading(onlyOutput(outputs, 'text recognition'), model.characters)
    lines[line] = { ...reading, box }
    done++
    options.onProgress?.({ stage: 'recognized', line, text: reading.text, done, total: boxes.length })
  }
  const readInTurn = async (): Promise<void> => {
    while (next < boxes.length) {
      signal.throwIfAborted()
      const line = next++
      await readOne(line, boxes[line]!)
    }
  }
  const readers = Array.from({ length: Math.min(LINES_IN_FLIGHT_MAX, boxes.length) }, readInTurn)
  try {
    await Promise.all(readers)
  } catch (error) {
    failed.abort(error)
    await Promise.allSettled(readers)
    throw error
  }
  return layOut(lines)
}

/** The box of a whole image, for one that shows a single line. */
export function wholeImage({ width, height }: RgbImage): Quad {
  return [
    { x: 0, y: 0 },
    { x: width, y: 0 },
    { x: width, y: height },
    { x: 0, y: height },
  ]
}

function layOut(lines: readonly PageLine[]): PageReading {
  const byBox = new Map(lines.map((line) => [line.box, line]))
  const rows = readingOrder(lines.filter(({ text }) => text !== '').map(({ box }) => box))
  const starts = paragraphStarts(rows)
  const text = rows
    .map((row, index) => (starts[index] ? '\n' : '') + row.map((box) => byBox.get(box)!.text).join(' '))
    .join('\n')
  return { text, lines }
}

function onlyOutput(outputs: readonly Tensor[], what: string): Tensor {
  const [output] = outputs
  if (output === undefined || outputs.length !== 1) {
    throw new TaskError('unexpected-output', `${what} returned ${outputs.length} outputs, expected one`)
  }
  return output
}
