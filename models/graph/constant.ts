/** Tensors that stand in a model's bytes, in whatever field the format allows, as values. */
import { type DType, ELEMENT_BYTES, elementCount, TENSOR_RANK_MAX, TensorError } from '../tensor/index.ts'
import type { Value } from '../trace/index.ts'
import { dtypeOfElement, elementName } from './element-type.ts'
import { GraphError } from './errors.ts'
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  type NodeProto,
  type TensorProto,
} from './generated/onnx_pb.js'

/** The files outside the `.onnx` that hold tensors, by their location as the model writes it. */
export type ExternalData = ReadonlyMap<string, Uint8Array>

/**
 * The value of a tensor, NaNs as they stand. Its bytes look into the model's or the external file's where those hold them as
 * they are. Throws `unsupported-operator` for element types that do not travel, `corrupt-model` for bytes that are too few,
 * too many or out of range.
 */
export function tensorValue(tensor: TensorProto, external: ExternalData): Value {
  const dtype = dtypeOfElement(tensor.dataType)
  if (dtype === undefined) {
    throw new GraphError(
      'unsupported-operator',
      `the constant "${tensor.name}" has elements of ${elementName(tensor.dataType)}, which the exact lane does not know`,
    )
  }
  if (tensor.segment !== undefined) corrupt(tensor, 'is a segment of another')
  const dims = tensor.dims.map(Number)
  if (dims.length > TENSOR_RANK_MAX) corrupt(tensor, `has a rank of ${dims.length}`)
  const bytes = countOf(tensor, dims) * ELEMENT_BYTES[dtype]
  const data = dataOf(tensor, dtype, bytes, external)
  if (data.byteLength !== bytes) {
    corrupt(tensor, `is ${dtype}[${dims.join(', ')}], which takes ${bytes} bytes; it has ${data.byteLength}`)
  }
  if (dtype === 'bool' && data.some((byte) => byte > 1))
    corrupt(tensor, 'is neither true nor false somewhere')
  return { dtype, dims, data }
}

/** The value of a `Constant` node that passed `verifyConstantNode`, in whichever attribute it stands. Throws as `tensorValue`. */
export function constantNodeValue(node: NodeProto, external: ExternalData): Value {
  const [attribute, ...others] = node.attribute
  if (attribute === undefined || others.length > 0) {
    throw new GraphError('corrupt-model', `the Constant "${nameOf(node)}" needs exactly one attribute`)
  }
  const states = (type: AttributeType): boolean => attribute.type === type
  switch (attribute.name) {
    case 'value':
      if (states(AttributeType.TENSOR) && attribute.t !== undefined) return tensorValue(attribute.t, external)
      break
    case 'value_float':
      if (states(AttributeType.FLOAT)) return float32s([attribute.f], [])
      break
    case 'value_floats':
      if (states(AttributeType.FLOATS)) return float32s(attribute.floats, [attribute.floats.length])
      break
    case 'value_int':
      if (states(AttributeType.INT)) return int64s([attribute.i], [])
      break
    case 'value_ints':
      if (states(AttributeType.INTS)) return int64s(attribute.ints, [attribute.ints.length])
      break
  }
  throw new GraphError(
    'corrupt-model',
    `the Constant "${nameOf(node)}" has the attribute "${attribute.name}" of type ${attribute.type}, which gives it no value`,
  )
}

function nameOf(node: NodeProto): string {
  return node.name === '' ? (node.output[0] ?? '') : node.name
}

function float32s(elements: readonly number[], dims: readonly number[]): Value {
  return { dtype: 'float32', dims, data: new Uint8Array(Float32Array.from(elements).buffer) }
}

function int64s(elements: readonly bigint[], dims: readonly number[]): Value {
  return { dtype: 'int64', dims, data: new Uint8Array(BigInt64Array.from(elements).buffer) }
}

function countOf(tensor: TensorProto, dims: readonly number[]): number {
  try {
    return elementCount(dims)
  } catch (cause) {
    if (!(cause instanceof TensorError)) throw cause
    return corrupt(tensor, `has dimensions that cannot be: ${cause.message}`)
  }
}

function dataOf(tensor: TensorProto, dtype: DType, bytes: number, external: ExternalData): Uint8Array {
  if (tensor.dataLocation === DataLocation.EXTERNAL) return externalBytes(tensor, bytes, external)
  if (tensor.rawData.byteLength > 0 || bytes === 0) return tensor.rawData
  return typedBytes(tensor, dtype)
}

function externalBytes(tensor: TensorProto, bytes: number, external: ExternalData): Uint8Array {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]))
  const file = external.get(entries.get('location') ?? '')
  if (file === undefined) return corrupt(tensor, 'lies in a file that is not at hand')
  const offset = Number(entries.get('offset') ?? 0)
  // Without a length, as many as the tensor needs.
  const length = Number(entries.get('length') ?? bytes)
  const isInside =
    Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= file.byteLength
  if (!isInside) return corrupt(tensor, `lies outside its file of ${file.byteLength} bytes`)
  return file.subarray(offset, offset + length)
}

/** From the fields of `TensorProto` that hold elements one by one; which, its comments say for each element type. */
function typedBytes(tensor: TensorProto, dtype: DType): Uint8Array {
  switch (dtype) {
    case 'float32':
      return bytesOf(Float32Array.from(tensor.floatData))
    case 'float64':
      return bytesOf(Float64Array.from(tensor.doubleData))
    case 'int64':
      return bytesOf(BigInt64Array.from(tensor.int64Data))
    case 'uint64':
      return bytesOf(BigUint64Array.from(tensor.uint64Data))
    case 'uint32':
      return bytesOf(verifyRange(tensor, tensor.uint64Data.map(Number), Uint32Array))
    case 'int32':
      return bytesOf(verifyRange(tensor, tensor.int32Data, Int32Array))
    case 'int16':
      return bytesOf(verifyRange(tensor, tensor.int32Data, Int16Array))
    case 'int8':
      return bytesOf(verifyRange(tensor, tensor.int32Data, Int8Array))
    // The bits of a half.
    case 'float16':
    case 'uint16':
      return bytesOf(verifyRange(tensor, tensor.int32Data, Uint16Array))
    case 'bool':
    case 'uint8':
      return bytesOf(verifyRange(tensor, tensor.int32Data, Uint8Array))
    default:
      return dtype satisfies never
  }
}

type IntegerArray = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array

/** An element that its type cannot hold would be cut off differently by each reader. */
function verifyRange(
  tensor: TensorProto,
  numbers: readonly number[],
  Elements: { from(numbers: readonly number[]): IntegerArray },
): IntegerArray {
  const elements = Elements.from(numbers)
  if (numbers.some((number, at) => elements[at] !== number)) corrupt(tensor, 'has elements out of range')
  return elements
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

function corrupt(tensor: TensorProto, why: string): never {
  throw new GraphError('corrupt-model', `the tensor "${tensor.name}" ${why}`)
}
