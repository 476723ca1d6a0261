import { TensorError } from './errors.ts'

/** Element types of ONNX tensors that travel. Strings do not: they have no canonical little-endian bytes. */
export type DType = keyof typeof ELEMENT_BYTES

/**
 * A named tensor as raw bytes: elements in row-major order, each little-endian.
 * `data.byteLength` is the product of `dims` times the element's size.
 */
export interface Tensor {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: Uint8Array
}

/** Size of one element in bytes, in the order that gives each type its number on the wire (from 1). */
export const ELEMENT_BYTES = {
  float32: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  float64: 8,
  uint32: 4,
  uint64: 8,
} as const

/** Every element type; its index plus one is its number on the wire. */
export const DTYPES = Object.keys(ELEMENT_BYTES) as readonly DType[]

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(ELEMENT_BYTES, value)
}

/**
 * Number of elements that `dims` describe; an empty list is a scalar, one element.
 * Throws `size-mismatch` where a dimension is no whole number from 0 up, or the product is not exact.
 */
export function elementCount(dims: readonly number[]): number {
  let count = 1
  for (const dim of dims) {
    if (!Number.isSafeInteger(dim) || dim < 0) {
      throw new TensorError('size-mismatch', `a dimension must be a whole number from 0 up; got ${dim}`)
    }
    count *= dim
  }
  if (!Number.isSafeInteger(count)) {
    throw new TensorError('size-mismatch', `the dimensions [${dims.join(', ')}] describe too many elements`)
  }
  return count
}

/** Throws `size-mismatch` unless the bytes of `tensor` are as many as its type and dimensions say. */
export function verifyTensorSize(tensor: Tensor): void {
  const expected = elementCount(tensor.dims) * ELEMENT_BYTES[tensor.dtype]
  if (tensor.data.byteLength !== expected) {
    throw new TensorError(
      'size-mismatch',
      `tensor "${tensor.name}": ${tensor.dtype}[${tensor.dims.join(', ')}] needs ${expected} bytes, got ${tensor.data.byteLength}`,
    )
  }
}

/**
 * The elements of a float32 tensor. Looks into the tensor's own bytes where they are aligned, else copies.
 * Assumes a little-endian machine, as onnxruntime does.
 */
export function float32Elements(tensor: Tensor): Float32Array {
  if (tensor.dtype !== 'float32') {
    throw new TensorError('unsupported-dtype', `tensor "${tensor.name}" is ${tensor.dtype}, expected float32`)
  }
  const { data } = tensor
  if (data.byteOffset % 4 === 0) return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4)
  // Not `data.slice()`: on a Node Buffer that is a view, and its `buffer` the whole shared pool.
  return new Float32Array(new Uint8Array(data).buffer)
}

/** A float32 tensor over `elements`, which it shares. */
export function float32Tensor(name: string, dims: readonly number[], elements: Float32Array): Tensor {
  const data = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength)
  const tensor: Tensor = { name, dtype: 'float32', dims, data }
  verifyTensorSize(tensor)
  return tensor
}
