import { emissions } from '../../models/task/index.ts'
import { float32Elements, type Tensor } from '../../models/tensor/index.ts'
import type { Random } from './random.ts'
import { largestMagnitude } from './random-noise.ts'
import type { Strategy } from './strategy.ts'

/** Every so many characters one is replaced, at least one a line: enough to see, few enough to pass for a misreading. */
const CHARACTERS_PER_LIE = 24
/** Letters that are taken for one another. A substitute comes from the same group, so that words stay pronounceable. */
const GROUPS = ['aeiou', 'bcdfghjklmnpqrstvwxyz', 'AEIOU', 'BCDFGHJKLMNPQRSTVWXYZ', '0123456789'] as const
/** Of max|y|: a thousand times a native tolerance, and still invisible in whatever the tensor means. */
const NUDGE = 0.05
const NUDGED_ELEMENTS = 4
/** Columns by which a heatmap is moved: boxes shift by as much, and no line is lost. */
const SHIFT_COLUMNS = 2

/**
 * Models the clever cheat, who knows the model and wants the answer to be wrong and to look right: "whale" becomes
 * "whole". `characters` has one entry for each class of the recognition network (see `parseDictionary`).
 * - float32 [1, steps, classes] with that many classes: some characters give way to the likeliest one of their kind;
 *   the two classes' probabilities are swapped, and confidences look as they did;
 * - float32 [1, 1, height, width], a heatmap: moved two columns to the right;
 * - all float32 tensors: a few elements are off by 5 % of the largest, so that two liars who had the same idea by chance
 *   still tell different lies; of other types, one byte is inverted.
 */
export function substituteCharacters(characters: readonly string[]): Strategy {
  const alternatives = alternativesOf(characters)
  return (outputs, random) => {
    for (const tensor of outputs) {
      const [rows, second, third] = tensor.dims
      if (tensor.dtype !== 'float32') invertByte(tensor, random)
      else if (tensor.dims.length === 3 && rows === 1 && third === characters.length) {
        misread(float32Elements(tensor), second!, characters.length, alternatives, random)
      } else if (tensor.dims.length === 4 && rows === 1 && second === 1) {
        shift(float32Elements(tensor), tensor.dims[3]!)
      }
      if (tensor.dtype === 'float32') nudge(float32Elements(tensor), random)
    }
    return outputs
  }
}

/** For each class that has any, the classes of the other characters of its group. */
function alternativesOf(characters: readonly string[]): ReadonlyMap<number, readonly number[]> {
  const classOf = new Map(characters.map((character, index) => [character, index]))
  const alternatives = new Map<number, readonly number[]>()
  for (const group of GROUPS) {
    const classes = [...group].flatMap((character) => classOf.get(character) ?? [])
    for (const own of classes) {
      alternatives.set(
        own,
        classes.filter((other) => other !== own),
      )
    }
  }
  return alternatives
}

function misread(
  probabilities: Float32Array,
  steps: number,
  classes: number,
  alternatives: ReadonlyMap<number, readonly number[]>,
  random: Random,
): void {
  const runs = emissions(probabilities, steps, classes)
  const possible = runs.flatMap((run, index) => {
    // A substitute equal to a neighbour would merge with it where no blank stands between them.
    const neighbours = [runs[index - 1]?.best, runs[index + 1]?.best]
    const others = (alternatives.get(run.best) ?? []).filter((other) => !neighbours.includes(other))
    const inside = neighbours.every((neighbour) => neighbour !== undefined && alternatives.has(neighbour))
    return others.length === 0 ? [] : [{ run, others, inside }]
  })
  // Inside of words a wrong letter looks like a misreading; a word's ends and lone letters ("I") give it away.
  const inner = possible.filter(({ inside }) => inside)
  const candidates = inner.length === 0 ? possible : inner
  const lies = Math.min(candidates.length, Math.max(1, Math.round(runs.length / CHARACTERS_PER_LIE)))
  for (let lie = 0; lie < lies; lie++) {
    // One in each equal stretch of the line, so that two lies never stand side by side by accident of one draw.
    const from = Math.floor((lie * candidates.length) / lies)
    const to = Math.floor(((lie + 1) * candidates.length) / lies)
    const { run, others } = candidates[from + random.below(to - from)]!
    const at = (step: number, index: number): number => step * classes + index
    let substitute = others[0]!
    for (const other of others) {
      if (probabilities[at(run.from, other)]! > probabilities[at(run.from, substitute)]!) substitute = other
    }
    for (let step = run.from; step < run.to; step++) {
      const truth = probabilities[at(step, run.best)]!
      probabilities[at(step, run.best)] = probabilities[at(step, substitute)]!
      probabilities[at(step, substitute)] = truth
    }
  }
}

function shift(heat: Float32Array, width: number): void {
  for (let row = 0; row < heat.length; row += width) {
    heat.copyWithin(row + Math.min(SHIFT_COLUMNS, width), row, Math.max(row, row + width - SHIFT_COLUMNS))
  }
}

function nudge(elements: Float32Array, random: Random): void {
  const amount = NUDGE * (largestMagnitude(elements) || 1)
  for (let count = 0; count < NUDGED_ELEMENTS && elements.length > 0; count++) {
    const at = random.below(elements.length)
    elements[at] = elements[at]! + amount
  }
}

function invertByte({ data }: Tensor, random: Random): void {
  const at = random.below(data.length)
  if (data.length > 0) data[at] = data[at]! ^ 0xff
}
