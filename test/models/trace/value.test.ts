import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DTYPES, ELEMENT_BYTES } from '../../../models/tensor/index.ts'
import {
  canonicalValue,
  digestValue,
  dtypeOf,
  FALSE_DIGEST,
  flagDigest,
  flagValue,
  iterationValue,
  TRUE_DIGEST,
  type Value,
} from '../../../models/trace/index.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const value = (dtype: Value['dtype'], dims: readonly number[], data: string): Value => ({
  dtype,
  dims,
  data: bytes(data),
})

/** The rule, word by word. */
function naiveDigest({ dtype, dims, data }: Value): string {
  const head = [
    DTYPES.indexOf(dtype) + 1,
    dims.length,
    ...dims.flatMap((dim) => [dim & 255, (dim >> 8) & 255, 0, 0, 0, 0, 0, 0]),
  ]
  return createHash('sha256')
    .update('verimesh/value/1\0')
    .update(Uint8Array.from(head))
    .update(data)
    .digest('hex')
}

test('a value of each element type has its digest', () => {
  for (const dtype of DTYPES) {
    const each: Value = {
      dtype,
      dims: [2, 1],
      data: Uint8Array.from({ length: 2 * ELEMENT_BYTES[dtype] }, (_none, at) => at),
    }
    assert.is(hex(digestValue(each)), naiveDigest(each), dtype)
    assert.is(hex(digestValue(each)), GOLDEN[dtype], dtype)
  }
})

const GOLDEN = {
  float32: '21ef411eb7c0c1135e16eaaaf7e6c6d77d7fa01560768832de0db19ef33a3228',
  uint8: 'c3bebac7b327e88ba9772f35c2c3fdd5b1cd856594f5e4ec175e49d1ea1502bd',
  int8: 'd280a6dda6706f627effc5925ef41161dcfbe401e6930aa01e894f0e005aaefc',
  uint16: 'a8d4fe1265b2dd3390be139d819158c2945f3efad5fb7e21875b25dfbfecb2cc',
  int16: '7666753e7a88a46fecb3a1e7854584355772b373a37a64f3db1d16df2e40b70c',
  int32: '4f9cd355763a91adf757e07102ff162712211fe368d0bd8930a7919bf7e29d87',
  int64: 'bd0231e224b70e39c89410b173a56b9d79cab29122be5ec52bba1ee2c2cbc479',
  bool: 'a3e370b7b23a169769c206df5a6380b8a27bc83280172a0a1c3a46d614c98e42',
  float16: '28bae51f29ddbdc9455452068d14ecc8db40a419d550bb220f39bac6e859fa24',
  float64: '5dc4ff204091c1bbeedd59592a63908ea49f7409752cb313587a53b8390cb2d4',
  uint32: 'd7f9315d8434eee69774718dbfc87582afb3f8391f7e268e05daf6f0a1748f2d',
  uint64: '2c177a44689b04f3367db33e478c206932404a84a22e558fa768a36bd7fe3dc6',
}

test('type, rank, dimensions and bytes are all in the digest', () => {
  const data = '0102 0304 0506 0708'
  const values = [
    value('uint8', [8], data),
    value('int8', [8], data),
    value('bool', [8], data),
    value('uint8', [1, 8], data),
    value('uint8', [8, 1], data),
    value('uint8', [2, 4], data),
    value('uint8', [8], '0102030405060709'),
    value('uint64', [], data),
    value('int64', [], data),
    value('float64', [], data),
    value('int64', [1], data),
    value('float32', [2], data),
    value('float16', [4], data),
  ]
  assert.is(new Set(values.map((each) => hex(digestValue(each)))).size, values.length)
})

test('empty tensors differ by type and shape', () => {
  const values = [
    value('uint8', [0], ''),
    value('float32', [0], ''),
    value('uint8', [0, 3], ''),
    value('uint8', [3, 0], ''),
    value('uint8', [0, 0], ''),
    value('uint8', [0, 4], ''),
  ]
  assert.is(new Set(values.map((each) => hex(digestValue(each)))).size, values.length)
  for (const each of values) assert.is(canonicalValue(each), each)
})

test('every NaN becomes the one NaN, and nothing else changes', () => {
  const cases: [Value['dtype'], string, string][] = [
    // Quiet and signalling, of both signs, with and without payload; infinities, zeros and the largest number.
    ['float32', '0000c07f 0000c0ff 0100807f 010080ff ffffff7f ffffffff', '0000c07f'.repeat(6)],
    ['float16', '007e 00fe 017c 01fc ff7f ffff', '007e'.repeat(6)],
    [
      'float64',
      '000000000000f87f 000000000000f8ff 010000000000f07f 010000000000f0ff ffffffffffffff7f ffffffffffffffff',
      '000000000000f87f'.repeat(6),
    ],
  ]
  const others: [Value['dtype'], string][] = [
    ['float32', '0000807f 000080ff 00000000 00000080 ffff7f7f 01000000 0000803f'],
    ['float16', '007c 00fc 0000 0080 ff7b 0100 003c'],
    [
      'float64',
      '000000000000f07f 000000000000f0ff 0000000000000000 0000000000000080 ffffffffffffef7f 0100000000000000',
    ],
  ]
  for (const [dtype, given, wanted] of cases) {
    const data = bytes(given)
    const before = hex(data)
    const made = canonicalValue({ dtype, dims: [6], data })
    assert.is(hex(made.data), wanted, dtype)
    assert.equal([made.dtype, made.dims], [dtype, [6]])
    assert.is(hex(data), before, 'what was given stays as it is')
    assert.is(canonicalValue(made), made, 'once is enough')
  }
  for (const [dtype, given] of others) {
    const each = { dtype, dims: [bytes(given).length / ELEMENT_BYTES[dtype]], data: bytes(given) }
    assert.is(canonicalValue(each), each, dtype)
    const mixed = bytes(given + cases.find(([type]) => type === dtype)![1].replaceAll(' ', ''))
    const made = canonicalValue({ dtype, dims: [mixed.length / ELEMENT_BYTES[dtype]], data: mixed })
    assert.is(hex(made.data).slice(0, bytes(given).length * 2), hex(bytes(given)), dtype)
  }
  for (const dtype of ['int32', 'uint32', 'int64', 'uint8', 'bool'] as const) {
    const each: Value = { dtype, dims: [8 / ELEMENT_BYTES[dtype]], data: new Uint8Array(8).fill(255) }
    assert.is(canonicalValue(each), each, dtype)
  }
})

test('a NaN is found wherever the bytes lie', () => {
  for (const dtype of ['float16', 'float32', 'float64'] as const) {
    const size = ELEMENT_BYTES[dtype]
    const nan = new Uint8Array(size).fill(255)
    for (let offset = 0; offset < 8; offset++) {
      const buffer = new Uint8Array(offset + 3 * size + 5).fill(1)
      const data = buffer.subarray(offset, offset + 3 * size)
      data.set(nan, 2 * size)
      const made = canonicalValue({ dtype, dims: [3], data })
      assert.is(made.data.byteLength, 3 * size)
      assert.is(hex(made.data.subarray(0, 2 * size)), '01'.repeat(2 * size))
      assert.is.not(hex(made.data.subarray(2 * size)), hex(nan), `${dtype} at ${offset}`)
    }
  }
})

test('two float values that differ in more than their NaNs keep their difference', () => {
  fc.assert(
    fc.property(
      fc.array(fc.float(), { maxLength: 20 }),
      fc.array(fc.float(), { maxLength: 20 }),
      (left, right) => {
        const of = (numbers: number[]): Value => ({
          dtype: 'float32',
          dims: [numbers.length],
          data: new Uint8Array(Float32Array.from(numbers).buffer),
        })
        const isSame = left.length === right.length && left.every((each, at) => Object.is(each, right[at]))
        const digests = [of(left), of(right)].map((each) => hex(digestValue(canonicalValue(each))))
        assert.is(digests[0] === digests[1], isSame)
      },
    ),
  )
})

test('flags and numbers of iterations are scalars, or lists of one', () => {
  assert.equal(flagValue(true), value('bool', [], '01'))
  assert.equal(flagValue(false, 1), value('bool', [1], '00'))
  assert.equal(iterationValue(258), value('int64', [], '0201000000000000'))
  assert.equal(iterationValue(0, 1), value('int64', [1], '0000000000000000'))
  assert.is(hex(TRUE_DIGEST), hex(digestValue(flagValue(true))))
  assert.is(hex(FALSE_DIGEST), hex(digestValue(flagValue(false))))
  assert.is(flagDigest(true), TRUE_DIGEST)
  assert.is(flagDigest(false), FALSE_DIGEST)
})

test('an element type is found by its number, and by no other', () => {
  assert.equal(
    DTYPES.map((_dtype, at) => dtypeOf(at + 1)),
    [...DTYPES],
  )
  for (const number of [0, -1, 13, 1.5]) assert.is(dtypeOf(number), undefined)
})

test.run()
