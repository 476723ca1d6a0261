import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { halfBits, halfValue } from '../../../models/tensor/half.ts'
import {
  type DType,
  PAYLOAD_BYTES_MAX,
  TensorError,
  type TensorErrorCode,
  tensorFromJson,
  tensorToJson,
} from '../../../models/tensor/index.ts'
import { anyTensor } from './arbitrary.ts'

test('reads nested lists against the expected shape', () => {
  const tensor = tensorFromJson('x', [[1, -2]], 'float32', ['rows', 2])
  assert.equal(tensor.dims, [1, 2])
  assert.is(Buffer.from(tensor.data).toString('hex'), '0000803f000000c0')
  assert.equal(tensorFromJson('x', true, 'bool', []).data, Uint8Array.of(1))
})

test('gives back what went in', () => {
  fc.assert(
    fc.property(anyTensor(), (tensor) => {
      // A list without elements cannot say how long its inner lists would be; any bool but 0 reads as true.
      const cut = tensor.dims.indexOf(0)
      fc.pre(cut === -1 || cut === tensor.dims.length - 1)
      const once = tensorFromJson('x', tensorToJson(tensor), tensor.dtype, tensor.dims)
      if (tensor.dtype !== 'bool' && !tensor.dtype.startsWith('float')) assert.equal(once.data, tensor.data)
      assert.equal(once.dims, tensor.dims)
      assert.equal(tensorFromJson('x', tensorToJson(once), tensor.dtype, tensor.dims), once)
    }),
  )
})

test('takes the shape of the lists where none is expected', () => {
  assert.equal(tensorFromJson('x', [[1], [2]], 'int8').dims, [2, 1])
  refuses(() => tensorFromJson('x', [[1], 2], 'int8'), 'malformed-json')
})

test('keeps 64-bit integers and what JSON has no number for', () => {
  const big = tensorFromJson('x', ['-9223372036854775808', 5], 'int64', [2])
  assert.equal(tensorToJson(big), ['-9223372036854775808', 5])
  const odd = tensorFromJson('x', ['NaN', 'Infinity', '-Infinity'], 'float64', [3])
  assert.equal(tensorToJson(odd), ['NaN', 'Infinity', '-Infinity'])
})

const REFUSED: readonly [string, DType, readonly (number | string)[], unknown, TensorErrorCode][] = [
  ['another shape', 'float32', [2, 2], [[1, 2]], 'size-mismatch'],
  ['another rank', 'float32', [2], 5, 'size-mismatch'],
  ['an empty symbolic dimension', 'float32', ['n'], [], 'size-mismatch'],
  ['ragged lists', 'float32', [2, 2], [[1, 2], [3]], 'malformed-json'],
  ['a list for a number', 'float32', [2], [1, [2]], 'malformed-json'],
  ['null', 'float32', [1], [null], 'malformed-json'],
  ['text for a number', 'float32', [1], ['1'], 'malformed-json'],
  ['a number that overflows float32', 'float32', [1], [1e39], 'malformed-json'],
  ['a number that overflows float16', 'float16', [1], [65520], 'malformed-json'],
  ['a fraction for an integer', 'int32', [1], [1.5], 'malformed-json'],
  ['an integer out of range', 'uint8', [1], [256], 'malformed-json'],
  ['a negative unsigned integer', 'uint64', [1], [-1], 'malformed-json'],
  ['a 64-bit integer out of range', 'int64', [1], ['9223372036854775808'], 'malformed-json'],
  ['a number beyond 2^53 that JSON rounded', 'int64', [1], [2 ** 53], 'malformed-json'],
  ['2 for a bool', 'bool', [1], [2], 'malformed-json'],
]

for (const [what, dtype, dims, value, code] of REFUSED) {
  test(`refuses ${what}`, () => refuses(() => tensorFromJson('x', value, dtype, dims), code))
}

test('refuses lists nested without end and tensors above the limit', () => {
  let nested: unknown = 1
  for (let depth = 0; depth < 10_000; depth++) nested = [nested]
  refuses(() => tensorFromJson('x', nested, 'float32', [1]), 'malformed-json')
  const row = Array(PAYLOAD_BYTES_MAX / 1024 / 8 + 1).fill(0)
  const large = Array(1024).fill(row)
  refuses(() => tensorFromJson('x', large, 'float64', [1024, row.length]), 'payload-too-large')
})

test('every binary16 survives, and halfway values round to even', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = halfValue(bits)
    if (Number.isNaN(value)) continue
    assert.is(halfBits(value), bits)
    if ((bits & 0x7fff) >= 0x7bff) continue
    const next = halfValue(bits + 1)
    assert.is(halfBits((value + next) / 2), bits % 2 === 0 ? bits : bits + 1, `${bits} and a half`)
    assert.is(halfBits(value * 0.5000001 + next * 0.4999999), bits, `just below ${bits} and a half`)
  }
  assert.is(halfBits(65519.99), 0x7bff)
  assert.is(halfBits(65520), 0x7c00)
  assert.is(halfBits(Number.NEGATIVE_INFINITY), 0xfc00)
  assert.is(halfBits(1e-300), 0)
})

function refuses(act: () => unknown, code: TensorErrorCode): void {
  assert.throws(act, (error: unknown) => error instanceof TensorError && error.code === code)
}

test('a tensor of few bytes and many lists does not become JSON', () => {
  const empty = (dims: number[]) =>
    tensorToJson({ name: 'y', dtype: 'float32', dims, data: new Uint8Array(0) })
  for (const dims of [
    [2 ** 32 - 1, 0],
    [2 ** 20, 2 ** 20, 0],
  ]) {
    assert.throws(
      () => empty(dims),
      (error: unknown) => error instanceof TensorError && error.code === 'payload-too-large',
    )
  }
  assert.equal(empty([0, 2 ** 32 - 1]), [])
  assert.equal(empty([2, 0]), [[], []])
})

test.run()
