/**
 * Tensors as people write them: nested JSON lists. For a command line and small inputs; never on the wire.
 */
import { JSON_VALUES_MAX, PAYLOAD_BYTES_MAX, TENSOR_RANK_MAX } from './constants.ts'
import { TensorError } from './errors.ts'
import { halfBits, halfValue } from './half.ts'
import { type DType, ELEMENT_BYTES, elementCount, type Tensor, verifyTensorSize } from './tensor.ts'

/** 64-bit integers beyond 2^53 and non-finite floats are strings, since JSON numbers cannot hold them. */
export type JsonElement = number | boolean | string
export type NestedArray = JsonElement | readonly NestedArray[]

/**
 * Makes a tensor from nested lists, whose shape must be `dims` where given: a number is fixed, a string is any number from 1 up.
 * Integers must be in range; booleans are true, false, 1 or 0; 64-bit integers may be decimal strings; floats may be
 * "NaN", "Infinity" or "-Infinity". Throws `malformed-json`, `size-mismatch` or `payload-too-large`.
 */
export function tensorFromJson(
  name: string,
  value: unknown,
  dtype: DType,
  dims?: readonly (number | string)[],
): Tensor {
  const shape = shapeOf(name, value)
  const fits =
    dims === undefined ||
    (shape.length === dims.length &&
      dims.every((dim, axis) => (typeof dim === 'number' ? shape[axis] === dim : (shape[axis] ?? 0) >= 1)))
  if (!fits) {
    throw new TensorError(
      'size-mismatch',
      `tensor "${name}": expected ${dtype}[${dims?.join(', ')}], the lists have the shape [${shape.join(', ')}]`,
    )
  }
  const bytes = elementCount(shape) * ELEMENT_BYTES[dtype]
  if (bytes > PAYLOAD_BYTES_MAX) {
    throw new TensorError('payload-too-large', `tensor "${name}" would have ${bytes} bytes`)
  }
  const data = new Uint8Array(bytes)
  const view = new DataView(data.buffer)
  const write = WRITERS[dtype]
  let at = 0
  const fill = (element: unknown, axis: number): void => {
    if (axis === shape.length) {
      if (!write(view, at, element)) {
        malformed(
          name,
          `${JSON.stringify(element)?.slice(0, 40)} is no ${dtype} (element ${at / ELEMENT_BYTES[dtype]})`,
        )
      }
      at += ELEMENT_BYTES[dtype]
      return
    }
    if (!Array.isArray(element) || element.length !== shape[axis])
      malformed(name, 'its lists differ in length')
    for (const inner of element) fill(inner, axis + 1)
  }
  fill(value, 0)
  return { name, dtype, dims: shape, data }
}

/** The tensor as nested lists that `tensorFromJson` reads back to the same bytes (but for a NaN's payload, and the sign of a
 * zero once it went through JSON text). Throws `payload-too-large` above JSON_VALUES_MAX. */
export function tensorToJson(tensor: Tensor): NestedArray {
  verifyTensorSize(tensor)
  verifyValueCount(tensor)
  const { dims, dtype, data } = tensor
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const read = READERS[dtype]
  let at = 0
  const nest = (axis: number): NestedArray => {
    const length = dims[axis]
    if (length === undefined) {
      const element = read(view, at)
      at += ELEMENT_BYTES[dtype]
      return element
    }
    return Array.from({ length }, () => nest(axis + 1))
  }
  return nest(0)
}

/** A tensor without elements can still have billions of lists: [4294967295, 0]. */
function verifyValueCount({ name, dims }: Tensor): void {
  let lists = 1
  let values = 1
  for (const dim of dims) {
    lists *= dim
    values += lists
  }
  if (values > JSON_VALUES_MAX) {
    throw new TensorError(
      'payload-too-large',
      `tensor "${name}" of the shape [${dims.join(', ')}] is too large for JSON: write it to a .npy file`,
    )
  }
}

/** The shape that the first element of each list suggests. A list may not be empty but at the last axis. */
function shapeOf(name: string, value: unknown): number[] {
  const shape: number[] = []
  for (let inner = value; Array.isArray(inner); inner = inner[0]) {
    if (shape.length === TENSOR_RANK_MAX) malformed(name, `its lists nest deeper than ${TENSOR_RANK_MAX}`)
    shape.push(inner.length)
  }
  return shape
}

type Write = (view: DataView, at: number, element: unknown) => boolean
type Read = (view: DataView, at: number) => JsonElement

const WRITERS: Readonly<Record<DType, Write>> = {
  float32: float((view, at, value) => view.setFloat32(at, value, true), Math.fround),
  float64: float(
    (view, at, value) => view.setFloat64(at, value, true),
    (value) => value,
  ),
  float16: float(
    (view, at, value) => view.setUint16(at, halfBits(value), true),
    (value) => halfValue(halfBits(value)),
  ),
  uint8: whole(0, 0xff, (view, at, value) => view.setUint8(at, value)),
  int8: whole(-0x80, 0x7f, (view, at, value) => view.setInt8(at, value)),
  uint16: whole(0, 0xffff, (view, at, value) => view.setUint16(at, value, true)),
  int16: whole(-0x8000, 0x7fff, (view, at, value) => view.setInt16(at, value, true)),
  uint32: whole(0, 0xffff_ffff, (view, at, value) => view.setUint32(at, value, true)),
  int32: whole(-0x8000_0000, 0x7fff_ffff, (view, at, value) => view.setInt32(at, value, true)),
  uint64: big(0n, 2n ** 64n - 1n, (view, at, value) => view.setBigUint64(at, value, true)),
  int64: big(-(2n ** 63n), 2n ** 63n - 1n, (view, at, value) => view.setBigInt64(at, value, true)),
  bool(view, at, element) {
    if (element !== true && element !== false && element !== 1 && element !== 0) return false
    view.setUint8(at, element ? 1 : 0)
    return true
  },
}

const READERS: Readonly<Record<DType, Read>> = {
  float32: (view, at) => floatElement(view.getFloat32(at, true)),
  float64: (view, at) => floatElement(view.getFloat64(at, true)),
  float16: (view, at) => floatElement(halfValue(view.getUint16(at, true))),
  uint8: (view, at) => view.getUint8(at),
  int8: (view, at) => view.getInt8(at),
  uint16: (view, at) => view.getUint16(at, true),
  int16: (view, at) => view.getInt16(at, true),
  uint32: (view, at) => view.getUint32(at, true),
  int32: (view, at) => view.getInt32(at, true),
  uint64: (view, at) => bigElement(view.getBigUint64(at, true)),
  int64: (view, at) => bigElement(view.getBigInt64(at, true)),
  bool: (view, at) => view.getUint8(at) !== 0,
}

/** Refuses finite numbers that would become infinite. */
function float(
  set: (view: DataView, at: number, value: number) => void,
  round: (value: number) => number,
): Write {
  return (view, at, element) => {
    const value = typeof element === 'string' ? NON_FINITE.get(element) : element
    if (typeof value !== 'number') return false
    if (typeof element === 'number' && !Number.isFinite(round(element))) return false
    set(view, at, value)
    return true
  }
}

const NON_FINITE: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])

function whole(min: number, max: number, set: (view: DataView, at: number, value: number) => void): Write {
  return (view, at, element) => {
    if (typeof element !== 'number' || !Number.isInteger(element) || element < min || element > max)
      return false
    set(view, at, element)
    return true
  }
}

function big(min: bigint, max: bigint, set: (view: DataView, at: number, value: bigint) => void): Write {
  return (view, at, element) => {
    const readable =
      typeof element === 'string' ? /^-?\d{1,20}$/.test(element) : Number.isSafeInteger(element)
    if (!readable) return false
    const value = BigInt(element as string | number)
    if (value < min || value > max) return false
    set(view, at, value)
    return true
  }
}

function floatElement(value: number): JsonElement {
  return Number.isFinite(value) ? value : String(value)
}

function bigElement(value: bigint): JsonElement {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

function malformed(name: string, why: string): never {
  throw new TensorError('malformed-json', `tensor "${name}": ${why}`)
}
