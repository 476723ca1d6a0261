import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Execution, ModelRuntime } from '../../models/runtime/index.ts'
import { RuntimeError } from '../../models/runtime/index.ts'
import { decodeReading, parseDictionary } from '../../models/task/index.ts'
import {
  decodeTensors,
  digestTensors,
  encodeTensors,
  float32Elements,
  float32Tensor,
  type Tensor,
} from '../../models/tensor/index.ts'
import {
  createCrashingRuntime,
  createLyingRuntime,
  createSilentRuntime,
  createSlowRuntime,
  randomNoise,
  type Strategy,
  substituteCharacters,
} from '../../src/adversary/index.ts'

const characters = parseDictionary(Buffer.from([...'aeiouwhl.019'].join('\n')))
const salt = new Uint8Array(32).fill(7)
const signal = new AbortController().signal

test('substitutes a likely vowel for a vowel: "whale" becomes "whole"', async () => {
  const truth = line('whale', { step: 2, character: 'o', probability: 0.01 })
  // The seeds decide which character gives way; every lie differs in exactly one.
  const lies = await Promise.all(
    Array.from({ length: 20 }, (_, seed) => answer(substituteCharacters(characters), [truth], seed)),
  )
  const readings = lies.map(([tensor]) => decodeReading(tensor!, characters).text)
  assert.ok(readings.includes('whole'), readings.join())
  for (const [seed, reading] of readings.entries()) {
    const changed = [...reading].filter((character, index) => character !== 'whale'[index])
    assert.is(reading.length, 5, `seed ${seed}: ${reading}`)
    assert.is(changed.length, 1, `seed ${seed}: ${reading}`)
    assert.match(reading, /^[whl][whl][aeiou][whl][aeiou]$/, `seed ${seed}`)
  }
})

test('a lie swaps two probabilities, and nudges four where nobody would look', async () => {
  const truth = line('whale')
  const [lie] = await answer(substituteCharacters(characters), [truth], 1)
  const changed = differences(truth, lie!)
  const nudge = 0.05 * Math.max(...float32Elements(truth))
  const swapped = changed.filter((difference) => Math.abs(difference - nudge) > 1e-6)
  assert.is(swapped.length, 2, `${changed}`)
  assert.is(swapped[0], swapped[1])
  assert.ok(changed.length <= 6)
})

test('no two liars tell the same lie by chance, though they have but one idea', async () => {
  const heat = float32Tensor(
    'y',
    [1, 1, 40, 40],
    Float32Array.from({ length: 1600 }, (_, at) => at / 1600),
  )
  for (const truth of [line('0'), line('whale'), heat]) {
    const strategy = substituteCharacters(characters)
    const told = await Promise.all(
      Array.from({ length: 20 }, async (_, seed) =>
        [...float32Elements((await answer(strategy, [truth], seed))[0]!)].join(),
      ),
    )
    assert.is(new Set(told).size, 20, truth.dims.join())
    const [again] = await answer(strategy, [truth], 7)
    assert.is([...float32Elements(again!)].join(), told[7], 'who has the same seed tells the same one')
  }
})

test('letters inside of words give way first: neither the ends of words nor lone letters', async () => {
  for (let seed = 0; seed < 10; seed++) {
    const [lie] = await answer(substituteCharacters(characters), [line('a.whi.u')], seed)
    assert.match(decodeReading(lie!, characters).text, /^a\.w[^h]i\.u$/, `seed ${seed}`)
  }
})

test('a substitute never equals the neighbour with which it would merge', async () => {
  const truth = line('whl', { step: 1, character: 'w', probability: 0.05 })
  // Without the blanks between them.
  const classes = characters.length
  const rows = [0, 2, 4].flatMap((step) => [
    ...float32Elements(truth).subarray(step * classes, (step + 1) * classes),
  ])
  const tight = float32Tensor('y', [1, 3, classes], new Float32Array(rows))
  const [lie] = await answer(substituteCharacters(characters), [tight], 1)
  assert.is(decodeReading(lie!, characters).text.length, 3)
})

test('digits give way to digits, and what has no like is left alone', async () => {
  const [lie] = await answer(substituteCharacters(characters), [line('..0..')], 3)
  assert.match(decodeReading(lie!, characters).text, /^\.\.[19]\.\.$/)
})

test('a longer line has more lies, spread over it', async () => {
  const text = 'whale'.repeat(17)
  const [lie] = await answer(substituteCharacters(characters), [line(text)], 5)
  const reading = decodeReading(lie!, characters).text
  const changed = [...reading].flatMap((character, index) => (character === text[index] ? [] : [index]))
  assert.is(changed.length, 4)
  assert.ok(changed[0]! < 22 && changed[3]! > 62, `${changed}`)
})

test('a heatmap is moved by two columns', async () => {
  const heat = float32Tensor('y', [1, 1, 2, 5], new Float32Array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
  const [lie] = await answer(substituteCharacters(characters), [heat], 1)
  assert.equal([...float32Elements(lie!)].map(Math.floor), [1, 2, 1, 2, 3, 6, 7, 6, 7, 8])
})

test('whatever a tensor is, every strategy changes it beyond any tolerance', async () => {
  const tensors: Tensor[] = [
    float32Tensor('y', [1, 3], new Float32Array([1, -2, 0.5])),
    float32Tensor('y', [4], new Float32Array(4)),
    float32Tensor('y', [1, 2, characters.length], new Float32Array(2 * characters.length)),
    { name: 'y', dtype: 'int64', dims: [2], data: new Uint8Array(16) },
  ]
  for (const [index, tensor] of tensors.entries()) {
    for (const strategy of [substituteCharacters(characters), randomNoise]) {
      const [lie] = await answer(strategy, [tensor], 2)
      assert.equal([lie!.name, lie!.dtype, lie!.dims], [tensor.name, tensor.dtype, tensor.dims])
      assert.not.equal([...lie!.data], [...tensor.data], `tensor ${index}`)
      if (tensor.dtype !== 'float32') continue
      const largest = Math.max(...differences(tensor, lie!))
      assert.ok(largest > 1e-2, `tensor ${index} is off by ${largest}`)
    }
  }
})

test('the digest fits the lie, and what the inner runtime handed out is untouched', async () => {
  const truth = encodeTensors([line('whale')])
  const kept = truth.slice()
  const runtime = createLyingRuntime(honest(truth), { strategy: substituteCharacters(characters), seed: 1 })
  const [outcome] = await runtime.execute([execution(1)], signal)
  assert.ok(outcome!.ok)
  assert.equal(outcome!.ok && outcome!.value.outputDigest, digestTensors(salt, outcome!.value.outputs))
  assert.not.equal(outcome!.ok && outcome!.value.outputs, kept)
  assert.equal(truth, kept)
})

test('the lie depends on the seed and the input, and on nothing else', async () => {
  const truth = encodeTensors([line('whale'.repeat(6))])
  const told = async (seed: number, input: number): Promise<string> => {
    const runtime = createLyingRuntime(honest(truth), { strategy: substituteCharacters(characters), seed })
    const [, outcome] = await runtime.execute([execution(99), execution(input)], signal)
    assert.ok(outcome!.ok)
    const [tensor] = outcome!.ok ? decodeTensors(outcome!.value.outputs) : []
    return decodeReading(tensor!, characters).text
  }
  assert.is(await told(1, 1), await told(1, 1))
  assert.is.not(await told(1, 1), await told(2, 1))
  assert.is.not(await told(1, 1), await told(1, 2))
})

test('a failed outcome is passed on', async () => {
  const error = new RuntimeError('input-mismatch', 'wrong name')
  const inner: ModelRuntime = { ...honest(new Uint8Array()), execute: async () => [{ ok: false, error }] }
  const runtime = createLyingRuntime(inner, { strategy: randomNoise, seed: 1 })
  const [outcome] = await runtime.execute([execution(1)], signal)
  assert.is(outcome!.ok === false && outcome!.error, error)
})

test('a silent runtime answers nothing until it is aborted', async () => {
  const runtime = createSilentRuntime(honest(encodeTensors([])))
  const controller = new AbortController()
  let ended = false
  const running = runtime.execute([execution(1)], controller.signal).finally(() => {
    ended = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.not.ok(ended)
  controller.abort()
  assert.is(await codeOf(running), 'aborted')
  assert.is(await codeOf(runtime.execute([execution(1)], controller.signal)), 'aborted')
})

test('a slow runtime answers right once its waiting is over', async () => {
  const truth = encodeTensors([line('whale')])
  let release: () => void = () => assert.unreachable('nobody waited')
  const runtime = createSlowRuntime(honest(truth), () => new Promise((resolve) => (release = resolve)))
  const running = runtime.execute([execution(1)], signal)
  release()
  const [outcome] = await running
  assert.equal(outcome!.ok && outcome!.value.outputs, truth)
})

test('a crashing runtime fails the first execution and every n-th after it', async () => {
  const runtime = createCrashingRuntime(honest(encodeTensors([])), 2)
  const codes: string[] = []
  for (let run = 0; run < 4; run++) codes.push(await codeOf(runtime.execute([execution(1)], signal)))
  assert.equal(codes, ['crashed', 'none', 'crashed', 'none'])
})

/** One step a character with a blank after it; the winner has 0.9. `doubt` gives one step a runner-up. */
function line(text: string, doubt?: { step: number; character: string; probability: number }): Tensor {
  const classes = characters.length
  const data = new Float32Array(2 * text.length * classes).fill(1e-6)
  for (const [index, character] of [...text].entries()) {
    data[2 * index * classes + characters.indexOf(character)] = 0.9
    data[(2 * index + 1) * classes] = 0.9
  }
  if (doubt !== undefined) {
    data[2 * doubt.step * classes + characters.indexOf(doubt.character)] = doubt.probability
  }
  return float32Tensor('y', [1, 2 * text.length, classes], data)
}

async function answer(strategy: Strategy, tensors: readonly Tensor[], seed: number): Promise<Tensor[]> {
  const runtime = createLyingRuntime(honest(encodeTensors(tensors)), { strategy, seed })
  const [outcome] = await runtime.execute([execution(1)], signal)
  if (outcome === undefined || !outcome.ok) throw new Error('no outcome')
  return decodeTensors(outcome.value.outputs)
}

function honest(outputs: Uint8Array): ModelRuntime {
  return {
    info: { engine: 'fixed', version: '1', lane: 'native', instructionSet: 'any' },
    execute: async (batch) =>
      batch.map((entry) => ({
        ok: true,
        value: {
          outputs,
          outputDigest: digestTensors(entry.salt, outputs),
          batched: batch.length > 1,
          serviceMs: 1,
        },
      })),
    close: async () => {},
  }
}

function execution(input: number): Execution {
  const inputs = encodeTensors([float32Tensor('x', [1], new Float32Array([input]))])
  return { inputs, salt, inputDigest: digestTensors(salt, inputs) }
}

/** By how much elements differ, those that do. */
function differences(a: Tensor, b: Tensor): number[] {
  const others = float32Elements(b)
  return [...float32Elements(a)]
    .map((value, index) => Math.abs(value - others[index]!))
    .filter((by) => by > 0)
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return error instanceof RuntimeError ? error.code : String(error)
  }
  return 'none'
}

test.run()
