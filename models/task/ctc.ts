import { float32Elements, type Tensor } from '../tensor/index.ts'
import { BLANK } from './dictionary.ts'
import { TaskError } from './errors.ts'

/** A line of text as read. `confidence` is the mean probability of its characters, 0 for an empty line. */
export interface Reading {
  readonly text: string
  readonly confidence: number
}

/**
 * PP-OCRv4's Chinese dictionary leaves out many spaces of English text by a hair: between two words the class of the
 * space reaches 0.09 and more even where the blank wins, between the letters of a word it stays below 0.07 (measured
 * on the demo's page, 1,000 characters). From here up a space is written. No other character is ever added.
 */
const SPACE_PROBABILITY_MIN = 0.08

/**
 * Reads the output of a recognition network (float32 [1, T, classes], probabilities) by greedy connectionist temporal
 * classification: the best class of each step, repetitions merged, blanks dropped. `characters` has one entry a class
 * (see `parseDictionary`). Surrounding spaces are trimmed. Throws TaskError `unexpected-output`.
 */
export function decodeReading(output: Tensor, characters: readonly string[]): Reading {
  const steps = verifyRecognition(output, characters.length)
  const probabilities = float32Elements(output)
  const space = characters.length - 1
  let text = ''
  let sum = 0
  let count = 0
  let spaceSince = 0
  for (const { step, best, previous } of bestClasses(probabilities, steps, characters.length)) {
    spaceSince = Math.max(spaceSince, probabilities[step * characters.length + space]!)
    if (best === BLANK || best === previous) continue
    if (best !== space && spaceSince >= SPACE_PROBABILITY_MIN && !text.endsWith(' ')) text += ' '
    text += characters[best]!
    sum += probabilities[step * characters.length + best]!
    count++
    spaceSince = 0
  }
  return { text: text.trim(), confidence: count === 0 ? 0 : Math.min(1, Math.max(0, sum / count)) }
}

/** One character as the network emitted it: `best` won every step from `from` up to, not including, `to`. */
export interface Emission {
  readonly best: number
  readonly from: number
  readonly to: number
}

/** The runs of equal best classes, blanks left out, in a matrix of `steps` x `classes` probabilities. */
export function emissions(probabilities: Float32Array, steps: number, classes: number): Emission[] {
  const runs: Emission[] = []
  for (const { step, best, previous } of bestClasses(probabilities, steps, classes)) {
    const last = runs.at(-1)
    if (best === BLANK) continue
    if (best === previous && last !== undefined) runs[runs.length - 1] = { ...last, to: step + 1 }
    else runs.push({ best, from: step, to: step + 1 })
  }
  return runs
}

function* bestClasses(
  probabilities: Float32Array,
  steps: number,
  classes: number,
): Generator<{ step: number; best: number; previous: number }> {
  let previous = BLANK
  for (let step = 0; step < steps; step++) {
    const row = step * classes
    let best = BLANK
    let value = probabilities[row]!
    for (let index = 1; index < classes; index++) {
      const candidate = probabilities[row + index]!
      if (candidate > value) {
        value = candidate
        best = index
      }
    }
    yield { step, best, previous }
    previous = best
  }
}

function verifyRecognition(output: Tensor, classes: number): number {
  const [rows, steps, columns] = output.dims
  if (
    output.dtype !== 'float32' ||
    output.dims.length !== 3 ||
    rows !== 1 ||
    steps === undefined ||
    columns !== classes
  ) {
    throw new TaskError(
      'unexpected-output',
      `text recognition returned ${output.dtype}[${output.dims.join(', ')}], expected float32[1, steps, ${classes}]: one class for each of the dictionary's characters`,
    )
  }
  return steps
}
