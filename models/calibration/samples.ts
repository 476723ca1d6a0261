import type { Signature, ValueSignature } from '../manifest/index.ts'
import { type DType, ELEMENT_BYTES, elementCount, type Tensor } from '../tensor/index.ts'
import { DIMENSION_GUESSES, INTEGER_SAMPLE_MAX, SAMPLE_BYTES_MAX, SAMPLE_STEP_ELEMENTS } from './constants.ts'

/**
 * Inputs of a model drawn from a seed: floats as from a photograph or a wave, between -1 and 1; whole numbers small; masks
 * true. `guess` chooses the size of every dimension that varies but the first of each input, which is 1. Undefined where
 * they would be too large. The same arguments give the same bytes on every machine.
 */
export function sampleInputs(signature: Signature, seed: number, guess: number): Tensor[] | undefined {
  const drawing = drawInputs(signature, guessShapes(signature, guess), createNumbers(seed))
  for (;;) {
    const step = drawing.next()
    if (step.done) return step.value
  }
}

/** The sizes that `sampleInputs` takes for a guess, one list for each input in the signature's order. */
export function guessShapes({ inputs }: Signature, guess: number): readonly (readonly number[])[] {
  return inputs.map(({ dims }) =>
    dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : guess)),
  )
}

/**
 * As `sampleInputs`, of given sizes and from given numbers, each in [0, 1). Yields after every so many elements, so that
 * whoever must not be held up goes on later.
 */
export function* drawInputs(
  signature: Signature,
  shapes: readonly (readonly number[])[],
  next: () => number,
): Generator<undefined, Tensor[] | undefined> {
  const inputs: Tensor[] = []
  let bytes = 0
  for (const [at, value] of signature.inputs.entries()) {
    const dims = shapes[at] ?? []
    bytes += elementCount(dims) * ELEMENT_BYTES[value.dtype]
    if (!(bytes <= SAMPLE_BYTES_MAX)) return undefined
    inputs.push({ name: value.name, dtype: value.dtype, dims, data: yield* draw(value, dims, next) })
  }
  return inputs
}

/** What `guess` may be for a model, in the order in which it is worth trying. */
export function guessesFor(signature: Signature): readonly number[] {
  const varies = signature.inputs.some(({ dims }) =>
    dims.some((dim, axis) => axis > 0 && typeof dim === 'string'),
  )
  return varies ? DIMENSION_GUESSES : DIMENSION_GUESSES.slice(0, 1)
}

function* draw(
  { dtype }: ValueSignature,
  dims: readonly number[],
  next: () => number,
): Generator<undefined, Uint8Array> {
  const count = elementCount(dims)
  const data = new Uint8Array(count * ELEMENT_BYTES[dtype])
  const view = new DataView(data.buffer)
  const write = WRITERS[dtype]
  for (let index = 0; index < count; index++) {
    write(view, index * ELEMENT_BYTES[dtype], next())
    if (index % SAMPLE_STEP_ELEMENTS === SAMPLE_STEP_ELEMENTS - 1) yield undefined
  }
  return data
}

type Write = (view: DataView, at: number, random: number) => void

function small(random: number): number {
  return Math.floor(random * INTEGER_SAMPLE_MAX)
}

/** Each takes a number in [0, 1). */
const WRITERS: Readonly<Record<DType, Write>> = {
  float32: (view, at, random) => view.setFloat32(at, random * 2 - 1, true),
  float64: (view, at, random) => view.setFloat64(at, random * 2 - 1, true),
  // Sign, an exponent that puts it between 0.5 and 1, and ten random bits.
  float16: (view, at, random) =>
    view.setUint16(at, (random < 0.5 ? 0x8000 : 0) | 0x3800 | Math.floor(random * 1024), true),
  uint8: (view, at, random) => view.setUint8(at, Math.floor(random * 256)),
  int8: (view, at, random) => view.setInt8(at, Math.floor(random * 256) - 128),
  uint16: (view, at, random) => view.setUint16(at, small(random), true),
  int16: (view, at, random) => view.setInt16(at, small(random), true),
  int32: (view, at, random) => view.setInt32(at, small(random), true),
  int64: (view, at, random) => view.setBigInt64(at, BigInt(small(random)), true),
  uint32: (view, at, random) => view.setUint32(at, small(random), true),
  uint64: (view, at, random) => view.setBigUint64(at, BigInt(small(random)), true),
  bool: (view, at) => view.setUint8(at, 1),
}

/** Mulberry32. */
function createNumbers(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
