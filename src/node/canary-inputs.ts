/**
 * Inputs for canaries: of the shape of real jobs, with nothing of their content. The numbers are a key stream, so that nobody who
 * sees them can tell by them that they were drawn by this program, or what is drawn next.
 */
import { createCipheriv } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { drawInputs, guessesFor, guessShapes } from '../../models/calibration/index.ts'
import type { Signature } from '../../models/manifest/index.ts'
import type { Tensor } from '../../models/tensor/index.ts'
import type { Random } from '../routing/index.ts'
import { CANARY_MODELS_MAX, CANARY_SHAPES_MAX, CANARY_SHAPES_TRIED } from './constants.ts'

/** Sizes of each input of a model, in the order of its signature. */
export type Shapes = readonly (readonly number[])[]

export interface RecentShapes {
  /** The person had an answer to these. Nothing is kept of them but their sizes. */
  add(model: string, signature: Signature, inputs: readonly Tensor[]): void
  /** What a canary of the model may look like, in the order in which it is tried: as recent jobs did, drawn among them, first. */
  draw(model: string, signature: Signature, random: Random): readonly Shapes[]
}

export function createRecentShapes(): RecentShapes {
  /** The model used longest ago, and the oldest of its jobs, come first. */
  const models = new Map<string, Shapes[]>()
  return {
    add(model, signature, inputs) {
      const byName = new Map(inputs.map(({ name, dims }) => [name, [...dims]]))
      const shapes = signature.inputs.map(({ name }) => byName.get(name) ?? [])
      const recent = models.get(model) ?? []
      models.delete(model)
      models.set(model, [...recent, shapes].slice(-CANARY_SHAPES_MAX))
      const [oldest] = models.keys()
      if (models.size > CANARY_MODELS_MAX && oldest !== undefined) models.delete(oldest)
    },
    draw(model, signature, random) {
      const known = models.get(model) ?? []
      // Not each size once: what is frequent among jobs is frequent among canaries.
      const recent = Array.from({ length: known.length === 0 ? 0 : CANARY_SHAPES_TRIED }, () => {
        return known[Math.floor(random.next() * known.length)]!
      })
      return [...recent, ...guessesFor(signature).map((guess) => guessShapes(signature, guess))]
    },
  }
}

/** Inputs of these sizes; the same `key` (32 bytes) gives the same. Undefined where they would be too large. */
export async function drawCanary(
  signature: Signature,
  shapes: Shapes,
  key: Uint8Array,
): Promise<Tensor[] | undefined> {
  const drawing = drawInputs(signature, shapes, createKeyStream(key))
  for (;;) {
    const step = drawing.next()
    if (step.done) return step.value
    await turn()
  }
}

/** Numbers in [0, 1) from AES-256 in counter mode. */
function createKeyStream(key: Uint8Array): () => number {
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16))
  const zeros = new Uint8Array(STREAM_BYTES)
  let stream = cipher.update(zeros)
  let at = 0
  return () => {
    if (at === stream.byteLength) {
      stream = cipher.update(zeros)
      at = 0
    }
    const number = stream.readUInt32LE(at)
    at += 4
    return number / 2 ** 32
  }
}

const STREAM_BYTES = 16_384
