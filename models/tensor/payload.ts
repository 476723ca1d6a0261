/**
 * The canonical bytes of a list of tensors: what travels, what is digested and what a bundle keeps.
 *
 *     payload := "VMT1" count:u32 headerBytes:u32 reserved:u32=0
 *                { nameBytes:u16 dtype:u8 rank:u8 { dim:u32 }* name:utf8 }*  padding
 *                { data padding }*
 *
 * Integers are little-endian; names are in strictly ascending byte order; padding is zero bytes up to the next
 * multiple of 8. There is exactly one payload for a set of tensors: every other sequence of bytes is refused.
 */
import {
  PAYLOAD_ALIGNMENT,
  PAYLOAD_BYTES_MAX,
  TENSOR_COUNT_MAX,
  TENSOR_NAME_BYTES_MAX,
  TENSOR_RANK_MAX,
} from './constants.ts'
import { TensorError } from './errors.ts'
import { DTYPES, ELEMENT_BYTES, elementCount, type Tensor, verifyTensorSize } from './tensor.ts'

const MAGIC = 0x31544d56 // "VMT1"
const FIXED_BYTES = 16
const DIM_MAX = 0xffff_ffff
const ZEROS = new Uint8Array(PAYLOAD_ALIGNMENT)

/** Encodes `tensors` (in any order, distinct names) into one fresh buffer. Throws TensorError. */
export function encodeTensors(tensors: readonly Tensor[]): Uint8Array {
  const pieces = encodeTensorPieces(tensors)
  let total = 0
  for (const piece of pieces) total += piece.byteLength
  // Not zeroed: the pieces fill it.
  const out = new Uint8Array(Buffer.allocUnsafeSlow(total).buffer)
  let at = 0
  for (const piece of pieces) {
    out.set(piece, at)
    at += piece.byteLength
  }
  return out
}

/**
 * The same bytes in pieces that follow one another, for who writes them somewhere anyway: the tensors' data is not
 * copied. Throws TensorError.
 */
export function encodeTensorPieces(tensors: readonly Tensor[]): Uint8Array[] {
  const entries = tensors.map((tensor) => {
    // A lone surrogate would be replaced silently, and the name that comes back would be another.
    if (!tensor.name.isWellFormed()) malformed('a name is not valid Unicode')
    return { tensor, name: Buffer.from(tensor.name, 'utf8') }
  })
  entries.sort((a, b) => Buffer.compare(a.name, b.name))
  if (entries.length > TENSOR_COUNT_MAX) malformed(`more than ${TENSOR_COUNT_MAX} tensors`)
  let headerEnd = FIXED_BYTES
  let previous: Buffer | undefined
  for (const { tensor, name } of entries) {
    verifyName(name, previous)
    previous = name
    if (tensor.dims.length > TENSOR_RANK_MAX) malformed(`rank above ${TENSOR_RANK_MAX}`)
    verifyTensorSize(tensor)
    headerEnd += 4 + tensor.dims.length * 4 + name.byteLength
  }
  const headerBytes = aligned(headerEnd)
  let total = headerBytes
  for (const { tensor } of entries) total += aligned(tensor.data.byteLength)
  if (total > PAYLOAD_BYTES_MAX) tooLarge(total)

  const header = new Uint8Array(headerBytes)
  const pieces: Uint8Array[] = [header]
  const view = new DataView(header.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint32(4, entries.length, true)
  view.setUint32(8, headerBytes, true)
  let at = FIXED_BYTES
  for (const { tensor, name } of entries) {
    view.setUint16(at, name.byteLength, true)
    view.setUint8(at + 2, DTYPES.indexOf(tensor.dtype) + 1)
    view.setUint8(at + 3, tensor.dims.length)
    at += 4
    for (const dim of tensor.dims) {
      if (dim > DIM_MAX) malformed(`dimension ${dim} does not fit 32 bits`)
      view.setUint32(at, dim, true)
      at += 4
    }
    header.set(name, at)
    at += name.byteLength
    const dataBytes = tensor.data.byteLength
    pieces.push(tensor.data)
    if (aligned(dataBytes) > dataBytes) pieces.push(ZEROS.subarray(0, aligned(dataBytes) - dataBytes))
  }
  return pieces
}

/**
 * Decodes a payload into tensors that look into `payload` (no copy), in the payload's order.
 * Refuses everything that `encodeTensors` would not have written. Throws TensorError.
 */
export function decodeTensors(payload: Uint8Array): Tensor[] {
  const headers = decodeTensorHeaders(payload)
  const last = headers.at(-1)
  const end = last === undefined ? aligned(FIXED_BYTES) : last.dataAt + aligned(last.dataBytes)
  if (end !== payload.byteLength) malformed(`${payload.byteLength} bytes where the header says ${end}`)
  return headers.map(({ name, dtype, dims, dataAt, dataBytes }) => {
    verifyZero(payload, dataAt + dataBytes, dataAt + aligned(dataBytes))
    return { name, dtype, dims, data: payload.subarray(dataAt, dataAt + dataBytes) }
  })
}

/** What the head of a payload says of one tensor, and where its bytes lie. */
export interface TensorHeader extends Omit<Tensor, 'data'> {
  readonly dataAt: number
  readonly dataBytes: number
}

/** Reads only the head of a payload, which is enough to decide whether two jobs can share a batch. Throws TensorError. */
export function decodeTensorHeaders(payload: Uint8Array): TensorHeader[] {
  if (payload.byteLength > PAYLOAD_BYTES_MAX) tooLarge(payload.byteLength)
  if (payload.byteLength < FIXED_BYTES) malformed('shorter than its fixed header')
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (view.getUint32(0, true) !== MAGIC) malformed('it does not begin with "VMT1"')
  const count = view.getUint32(4, true)
  const headerBytes = view.getUint32(8, true)
  if (count > TENSOR_COUNT_MAX) malformed(`more than ${TENSOR_COUNT_MAX} tensors`)
  if (view.getUint32(12, true) !== 0) malformed('a reserved field is not zero')
  if (headerBytes > payload.byteLength) malformed('its header is longer than the whole')

  const headers: TensorHeader[] = []
  let at = FIXED_BYTES
  let dataAt = headerBytes
  let previous: Buffer | undefined
  for (let index = 0; index < count; index++) {
    if (at + 4 > headerBytes) malformed('truncated header')
    const nameBytes = view.getUint16(at, true)
    const dtype = DTYPES[view.getUint8(at + 2) - 1]
    const rank = view.getUint8(at + 3)
    if (dtype === undefined)
      throw new TensorError('unsupported-dtype', `unknown element type number ${view.getUint8(at + 2)}`)
    if (rank > TENSOR_RANK_MAX) malformed(`rank above ${TENSOR_RANK_MAX}`)
    at += 4
    if (at + rank * 4 + nameBytes > headerBytes) malformed('truncated header')
    const dims: number[] = []
    for (let axis = 0; axis < rank; axis++, at += 4) dims.push(view.getUint32(at, true))
    const bytes = Buffer.from(payload.buffer, payload.byteOffset + at, nameBytes)
    at += nameBytes
    verifyName(bytes, previous)
    previous = bytes
    const name = bytes.toString('utf8')
    if (!Buffer.from(name, 'utf8').equals(bytes)) malformed('a name is not valid UTF-8')
    const dataBytes = elementCount(dims) * ELEMENT_BYTES[dtype]
    if (dataAt + aligned(dataBytes) > PAYLOAD_BYTES_MAX) tooLarge(dataAt + dataBytes)
    headers.push({ name, dtype, dims, dataAt, dataBytes })
    dataAt += aligned(dataBytes)
  }
  if (headerBytes !== aligned(at)) malformed('its header has the wrong length')
  verifyZero(payload, at, headerBytes)
  return headers
}

function verifyName(name: Buffer, previous: Buffer | undefined): void {
  if (name.byteLength === 0 || name.byteLength > TENSOR_NAME_BYTES_MAX) {
    malformed(`a tensor's name must have 1 to ${TENSOR_NAME_BYTES_MAX} bytes`)
  }
  if (previous !== undefined && Buffer.compare(previous, name) >= 0) {
    malformed('names are not distinct and in ascending order')
  }
}

function verifyZero(payload: Uint8Array, from: number, to: number): void {
  for (let at = from; at < Math.min(to, payload.byteLength); at++) {
    if (payload[at] !== 0) malformed('padding is not zero')
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / PAYLOAD_ALIGNMENT) * PAYLOAD_ALIGNMENT
}

function malformed(why: string): never {
  throw new TensorError('malformed-payload', `malformed tensor payload: ${why}`)
}

function tooLarge(bytes: number): never {
  throw new TensorError(
    'payload-too-large',
    `a tensor payload may have ${PAYLOAD_BYTES_MAX} bytes at most; this one has ${bytes}`,
  )
}
