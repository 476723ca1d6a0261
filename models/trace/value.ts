/** Values as a trace knows them: a tensor without its name, with one NaN, and its digest. */
import { createHash, type Hash } from 'node:crypto'
import { DTYPES, type DType, type Tensor } from '../tensor/index.ts'

export type Value = Omit<Tensor, 'name'>

/** SHA-256 over domain, element type, rank, dimensions (u64) and bytes; the value must be canonical. 32 bytes. */
export function digestValue({ dtype, dims, data }: Value): Uint8Array {
  return createValueDigest(dtype, dims).update(data).digest()
}

/** The same digest, fed with the bytes piece by piece, so that nobody has to hash megabytes in one go. */
export function createValueDigest(dtype: DType, dims: readonly number[]): Hash {
  const head = new DataView(new ArrayBuffer(2 + dims.length * 8))
  head.setUint8(0, DTYPES.indexOf(dtype) + 1)
  head.setUint8(1, dims.length)
  for (const [axis, dim] of dims.entries()) head.setBigUint64(2 + axis * 8, BigInt(dim), true)
  return createHash('sha256').update(VALUE_DOMAIN).update(new Uint8Array(head.buffer))
}

const VALUE_DOMAIN = 'verimesh/value/1\0'

/**
 * The same value with every NaN replaced by the one quiet, positive NaN without payload: the sign and payload of a NaN
 * are the only bits in which processors differ (WebAssembly Core Specification, 4.3.3). The value itself where it has
 * no other NaN, else a copy.
 */
export function canonicalValue(value: Value): Value {
  switch (value.dtype) {
    case 'float32':
      return replaceNaN(value, Uint32Array, 0x7fffffff, 0x7f800000, 0x7fc00000)
    case 'float16':
      return replaceNaN(value, Uint16Array, 0x7fff, 0x7c00, 0x7e00)
    case 'float64':
      return replaceNaN64(value)
    default:
      return value
  }
}

/** `NaN` are the elements whose bits under `mask` are above those of infinity. */
function replaceNaN(
  value: Value,
  Elements: typeof Uint32Array | typeof Uint16Array,
  mask: number,
  infinity: number,
  canonical: number,
): Value {
  const { data } = value
  const aligned = data.byteOffset % Elements.BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data)
  const bits = new Elements(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    aligned.byteLength / Elements.BYTES_PER_ELEMENT,
  )
  let at = 0
  while (at < bits.length && !((bits[at]! & mask) > infinity && bits[at] !== canonical)) at++
  if (at === bits.length) return value
  const copy = new Elements(bits)
  for (; at < copy.length; at++) if ((copy[at]! & mask) > infinity) copy[at] = canonical
  return { ...value, data: new Uint8Array(copy.buffer) }
}

function replaceNaN64(value: Value): Value {
  const { data } = value
  const aligned = data.byteOffset % 8 === 0 ? data : new Uint8Array(data)
  const elements = new Float64Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 8)
  const bits = new BigUint64Array(aligned.buffer, aligned.byteOffset, elements.length)
  let at = 0
  while (at < bits.length && !(Number.isNaN(elements[at]) && bits[at] !== NAN_64)) at++
  if (at === bits.length) return value
  const copy = new BigUint64Array(bits)
  for (; at < copy.length; at++) if (Number.isNaN(elements[at])) copy[at] = NAN_64
  return { ...value, data: new Uint8Array(copy.buffer) }
}

const NAN_64 = 0x7ff8_0000_0000_0000n

/** A boolean of one element: a scalar, or, with rank 1, a list of one. */
export function flagValue(flag: boolean, rank: 0 | 1 = 0): Value {
  return { dtype: 'bool', dims: rank === 0 ? [] : [1], data: Uint8Array.of(flag ? 1 : 0) }
}

export const TRUE_DIGEST: Uint8Array = digestValue(flagValue(true))
export const FALSE_DIGEST: Uint8Array = digestValue(flagValue(false))

/** Of a decision. */
export function flagDigest(flag: boolean): Uint8Array {
  return flag ? TRUE_DIGEST : FALSE_DIGEST
}

/** The number of an iteration, as the int64 that a loop body is given. */
export function iterationValue(iteration: number, rank: 0 | 1 = 0): Value {
  const data = new Uint8Array(8)
  new DataView(data.buffer).setBigInt64(0, BigInt(iteration), true)
  return { dtype: 'int64', dims: rank === 0 ? [] : [1], data }
}

/** For a caller that has an element type by its number on the wire. */
export function dtypeOf(number: number): DType | undefined {
  return DTYPES[number - 1]
}
