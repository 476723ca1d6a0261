import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeReading, emissions, parseDictionary, TaskError } from '../../../models/task/index.ts'
import { float32Tensor, type Tensor } from '../../../models/tensor/index.ts'

/** Classes: blank, a, b, c, space. */
const characters = parseDictionary(Buffer.from('a\nb\nc\n'))

/** Probabilities of which each step is given as the winner's class, or as a list by class. */
function probabilities(...steps: (number | readonly number[])[]): Tensor {
  const rows = steps.map((step) =>
    typeof step === 'number' ? characters.map((_, index) => (index === step ? 0.9 : 0.02)) : step,
  )
  return float32Tensor('y', [1, rows.length, characters.length], new Float32Array(rows.flat()))
}

const read = (...steps: (number | readonly number[])[]): string =>
  decodeReading(probabilities(...steps), characters).text

test('repetitions merge unless a blank stands between them', () => {
  assert.is(read(1, 1, 2, 2, 2), 'ab')
  assert.is(read(1, 0, 1), 'aa')
  assert.is(read(0, 0, 3, 0), 'c')
})

test('a line of blanks is empty and has no confidence', () => {
  assert.equal(decodeReading(probabilities(0, 0, 0), characters), { text: '', confidence: 0 })
  assert.equal(decodeReading(probabilities(), characters), { text: '', confidence: 0 })
})

test('confidence is the mean probability of the characters', () => {
  const { confidence } = decodeReading(probabilities(1, [0.1, 0.1, 0.7, 0.1, 0]), characters)
  assert.ok(Math.abs(confidence - 0.8) < 1e-6, `${confidence}`)
})

test('a space that the blank beat by a hair is written, once, between characters only', () => {
  const hair = [0.6, 0, 0, 0, 0.2]
  const trace = [0.9, 0, 0, 0, 0.05]
  assert.is(read(1, hair, 2), 'a b')
  assert.is(read(1, trace, 2), 'ab')
  assert.is(read(1, hair, 4, hair, 2), 'a b')
  assert.is(read(hair, 1, 2, hair), 'ab')
})

test('values that are no numbers do not disturb the decoding', () => {
  assert.is(read([Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN], 1), 'a')
})

test('emissions are the runs of equal winners, without blanks', () => {
  const runs = emissions(new Float32Array([0, 1, 1, 0, 1, 0, 0, 1]), 4, 2)
  assert.equal(runs, [
    { best: 1, from: 0, to: 1 },
    { best: 1, from: 3, to: 4 },
  ])
})

test('refuses an output that has not one class for each character', () => {
  const wrong: Tensor[] = [
    float32Tensor('y', [1, 2, 4], new Float32Array(8)),
    float32Tensor('y', [2, 1, 5], new Float32Array(10)),
    float32Tensor('y', [2, 5], new Float32Array(10)),
    { ...probabilities(1), dtype: 'int32' },
  ]
  for (const output of wrong) {
    assert.throws(() => decodeReading(output, characters), hasCode('unexpected-output'), `${output.dims}`)
  }
})

test('a dictionary begins with the blank and ends with the space', () => {
  assert.equal(characters, ['', 'a', 'b', 'c', ' '])
  assert.equal(parseDictionary(Buffer.from('a\r\nb')), ['', 'a', 'b', ' '])
})

test('refuses a dictionary that is empty, too long or not UTF-8', () => {
  for (const bytes of [new Uint8Array(), new Uint8Array([0xff, 0xfe, 0x0a]), new Uint8Array(2 ** 20 + 1)]) {
    assert.throws(() => parseDictionary(bytes), hasCode('malformed-task-file'), `${bytes.length} bytes`)
  }
})

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof TaskError && error.code === code
}

test.run()
