import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type DType, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import {
  compareTensors,
  compareTensorsGradually,
  createComparison,
  VerificationError,
} from '../../src/verification/index.ts'

const TAU = 5e-5

function tensor(elements: readonly number[], changes: Partial<Tensor> = {}): Tensor {
  const data = new Uint8Array(Float32Array.from(elements).buffer)
  return { name: 'y', dtype: 'float32', dims: [elements.length], data, ...changes }
}

function payload(elements: readonly number[], changes?: Partial<Tensor>): Uint8Array {
  return encodeTensors([tensor(elements, changes)])
}

function typed(dtype: DType, view: ArrayBufferView<ArrayBuffer>, length: number): Uint8Array {
  const data = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  return encodeTensors([{ name: 'y', dtype, dims: [length], data }])
}

function agrees(left: Uint8Array, right: Uint8Array, tau = TAU): boolean {
  const verdict = compareTensors(left, right, tau)
  assert.is(compareTensors(right, left, tau), verdict, 'a comparison is symmetric')
  return verdict
}

test('agrees up to the tolerance of the largest element, and not beyond it', () => {
  assert.ok(agrees(payload([100, 0]), payload([100, 0.004])))
  assert.not(agrees(payload([100, 0]), payload([100, 0.006])))
})

test('takes the largest magnitude of both sides: neither is the reference', () => {
  assert.ok(agrees(payload([1, 0]), payload([1 + 4e-5, 0])))
  assert.ok(agrees(payload([-100, 0]), payload([-100, 0.004])))
})

test('one outlandish element excuses neither itself nor the rest', () => {
  assert.not(agrees(payload([1, 2]), payload([1e30, 2])))
  assert.not(agrees(payload([1, 2]), payload([Number.POSITIVE_INFINITY, 2])))
})

test('around zero only the absolute part counts', () => {
  assert.ok(agrees(payload([0]), payload([9e-7])))
  assert.not(agrees(payload([0]), payload([1.2e-6])))
})

test('the tolerance is of each tensor by itself', () => {
  const big = tensor([1000], { name: 'a' })
  assert.not(agrees(encodeTensors([big, tensor([0])]), encodeTensors([big, tensor([0.01])])))
})

test('NaN agrees with NaN in the same place only, an infinity with the same one only', () => {
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number
  assert.ok(agrees(payload([nan, 1, inf, -inf]), payload([nan, 1, inf, -inf])))
  assert.not(agrees(payload([nan, 1]), payload([1, nan])))
  assert.not(agrees(payload([nan, 1]), payload([1, 1])))
  assert.not(agrees(payload([inf, 1]), payload([-inf, 1])))
  assert.not(agrees(payload([inf, 1]), payload([nan, 1])))
  assert.not(agrees(payload([inf, 1]), payload([3e38, 1])))
})

test('names, element types, dimensions and their number must be equal', () => {
  const y = payload([1, 2])
  assert.not(agrees(y, payload([1, 2], { name: 'z' })))
  assert.not(agrees(y, payload([1, 2], { dims: [1, 2] })))
  assert.not(agrees(y, payload([1, 2], { dims: [2, 1] })))
  assert.not(agrees(y, payload([1, 2], { dtype: 'int32' })))
  assert.not(agrees(y, payload([1, 2, 3])))
  assert.not(agrees(y, encodeTensors([tensor([1, 2]), tensor([1, 2], { name: 'z' })])))
  assert.not(agrees(y, encodeTensors([])))
  assert.ok(agrees(encodeTensors([]), encodeTensors([])))
  assert.ok(agrees(payload([]), payload([])))
})

test('whole numbers and booleans agree only when equal', () => {
  assert.ok(agrees(typed('int64', BigInt64Array.of(7n), 1), typed('int64', BigInt64Array.of(7n), 1), 0.5))
  assert.not(
    agrees(typed('int64', BigInt64Array.of(1000n), 1), typed('int64', BigInt64Array.of(1001n), 1), 0.5),
  )
  assert.not(agrees(typed('bool', Uint8Array.of(0), 1), typed('bool', Uint8Array.of(1), 1), 0.5))
})

test('float64 and float16 are compared as numbers', () => {
  assert.ok(agrees(typed('float64', Float64Array.of(100), 1), typed('float64', Float64Array.of(100.004), 1)))
  assert.not(agrees(typed('float64', Float64Array.of(100), 1), typed('float64', Float64Array.of(100.006), 1)))
  assert.not(
    agrees(
      typed('float64', Float64Array.of(1.7e308), 1),
      typed('float64', Float64Array.of(-1.7e308), 1),
      0.9,
    ),
  )
  // 0x3c00 is 1, 0x3c01 the next half, 2^-10 above; 0x7c00 infinity; 0x7e00 and 0x7e01 NaN; 0x0001 is 2^-24.
  const half = (...bits: number[]) => typed('float16', Uint16Array.from(bits), bits.length)
  assert.ok(agrees(half(0x3c00, 0xbc00), half(0x3c01, 0xbc00), 1e-3))
  assert.not(agrees(half(0x3c00), half(0x3c01), 9e-4))
  assert.not(agrees(half(0x3c00), half(0xbc00), 0.9))
  assert.ok(agrees(half(0x7c00, 0x7e00), half(0x7c00, 0x7e01)))
  assert.not(agrees(half(0x7c00), half(0xfc00)))
  assert.ok(agrees(half(0x0001), half(0x0000)))
})

test('refuses a tau that would let everything agree', () => {
  for (const tau of [-1e-9, 1, Number.NaN, Number.POSITIVE_INFINITY]) {
    try {
      createComparison(payload([1]), payload([1]), tau)
      assert.unreachable(`tau ${tau}`)
    } catch (error) {
      assert.instance(error, VerificationError)
      assert.is((error as VerificationError).code, 'invalid-tolerance')
    }
  }
})

test('refuses a malformed payload', () => {
  assert.throws(() => compareTensors(payload([1]), new Uint8Array(3), TAU))
})

test('steps of any size, and bytes at any offset, give the same answer', () => {
  const elements = fc.array(
    fc.constantFrom(0, 1, -1, 1.00004, 1.0001, Number.NaN, Number.POSITIVE_INFINITY),
    {
      maxLength: 20,
    },
  )
  fc.assert(
    fc.property(
      elements,
      elements,
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 0, max: 7 }),
      (a, b, step, offset) => {
        const left = encodeTensors([tensor(a), tensor(b, { name: 'z' })])
        const right = encodeTensors([tensor(b), tensor(a, { name: 'z' })])
        const shifted = new Uint8Array(new ArrayBuffer(left.byteLength + offset), offset)
        shifted.set(left)
        const comparison = createComparison(shifted, right, TAU)
        let state = comparison.step(step)
        for (let steps = 0; state === 'more'; steps++) {
          assert.ok(steps <= 45, 'it ends')
          state = comparison.step(step)
        }
        assert.is(comparison.step(step), state, 'the answer stays')
        assert.is(state === 'agrees', compareTensors(left, right, TAU))
      },
    ),
  )
})

test('gives way between steps, and stops when aborted', async () => {
  const large = payload(new Array(200_000).fill(1))
  let pauses = 0
  const pause = async () => void pauses++
  assert.ok(await compareTensorsGradually(large, large.slice(), TAU, pause))
  assert.is(pauses, 3)
  const abort = new AbortController()
  const reason = new Error('enough')
  const stop = async () => abort.abort(reason)
  try {
    await compareTensorsGradually(large, large.slice(), TAU, stop, abort.signal)
    assert.unreachable()
  } catch (error) {
    assert.is(error, reason)
  }
})

test.run()
