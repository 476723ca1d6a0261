/**
 * NumPy's `.npy` files, format versions 1.0 and 2.0, little-endian and in C order, which is how a tensor's bytes lie
 * anyway. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { PAYLOAD_BYTES_MAX, TENSOR_RANK_MAX } from './constants.ts'
import { TensorError } from './errors.ts'
import { type DType, ELEMENT_BYTES, elementCount, type Tensor, verifyTensorSize } from './tensor.ts'

const MAGIC = Buffer.from('\x93NUMPY', 'latin1')
/** NumPy pads its header so that the data starts on a multiple of this. */
const ALIGNMENT = 64
/** A header of three short entries has about a hundred bytes; rank 16 at most 300. */
const HEADER_BYTES_MAX = 4096

const DESCRIPTORS: Readonly<Record<DType, string>> = {
  float32: '<f4',
  uint8: '|u1',
  int8: '|i1',
  uint16: '<u2',
  int16: '<i2',
  int32: '<i4',
  int64: '<i8',
  bool: '|b1',
  float16: '<f2',
  float64: '<f8',
  uint32: '<u4',
  uint64: '<u8',
}

/** Encodes a tensor (but for its name, which `.npy` cannot hold) as version 1.0. Throws TensorError. */
export function encodeNpy(tensor: Tensor): Uint8Array {
  verifyTensorSize(tensor)
  if (tensor.dims.length > TENSOR_RANK_MAX) malformed(`rank above ${TENSOR_RANK_MAX}`)
  const shape = tensor.dims.length === 1 ? `(${tensor.dims[0]},)` : `(${tensor.dims.join(', ')})`
  const text = `{'descr': '${DESCRIPTORS[tensor.dtype]}', 'fortran_order': False, 'shape': ${shape}, }`
  const prefixBytes = MAGIC.byteLength + 4
  const dataAt = Math.ceil((prefixBytes + text.length + 1) / ALIGNMENT) * ALIGNMENT
  const headerBytes = dataAt - prefixBytes
  const out = new Uint8Array(dataAt + tensor.data.byteLength)
  out.set(MAGIC)
  out.set([1, 0, headerBytes & 0xff, headerBytes >> 8], MAGIC.byteLength)
  out.set(Buffer.from(`${text.padEnd(headerBytes - 1)}\n`, 'latin1'), prefixBytes)
  out.set(tensor.data, dataAt)
  return out
}

/**
 * Decodes a `.npy` file into a tensor named `name` that looks into `bytes` (no copy). Refuses Fortran order, big-endian
 * and element types that do not travel, and files shorter or longer than their header says. Throws TensorError.
 */
export function decodeNpy(name: string, bytes: Uint8Array): Tensor {
  if (bytes.byteLength > PAYLOAD_BYTES_MAX) {
    throw new TensorError('payload-too-large', `a .npy file may have ${PAYLOAD_BYTES_MAX} bytes at most`)
  }
  const { text, dataAt } = readHeader(bytes)
  const header = parseHeader(text)
  const dtype = dtypeOf(header.descriptor)
  if (header.fortranOrder && header.dims.length > 1) {
    malformed('it is in Fortran order; save numpy.ascontiguousarray(array) instead')
  }
  const data = bytes.subarray(dataAt)
  const expected = elementCount(header.dims) * ELEMENT_BYTES[dtype]
  if (data.byteLength !== expected) {
    malformed(
      `${dtype}[${header.dims.join(', ')}] needs ${expected} bytes of data, the file has ${data.byteLength}`,
    )
  }
  return { name, dtype, dims: header.dims, data }
}

function readHeader(bytes: Uint8Array): { text: string; dataAt: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.byteLength < 12 || MAGIC.compare(bytes, 0, MAGIC.byteLength) !== 0) {
    malformed('it does not begin as one')
  }
  const major = view.getUint8(6)
  if ((major !== 1 && major !== 2) || view.getUint8(7) !== 0) {
    malformed(`its format version is ${major}.${view.getUint8(7)}; 1.0 and 2.0 are read`)
  }
  const headerAt = major === 1 ? 10 : 12
  const headerBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (headerBytes > HEADER_BYTES_MAX) malformed(`its header has ${headerBytes} bytes`)
  const dataAt = headerAt + headerBytes
  if (dataAt > bytes.byteLength) malformed('it ends within its header')
  return { text: Buffer.from(bytes.subarray(headerAt, dataAt)).toString('latin1'), dataAt }
}

/** Reads the header, a Python dictionary of exactly three entries in any order. */
function parseHeader(text: string): { descriptor: string; fortranOrder: boolean; dims: number[] } {
  const dictionary = /^\{(.*)\} *\n$/s.exec(text)?.[1]
  if (dictionary === undefined) malformed('its header is no dictionary')
  const entries = new Map<string, string>()
  let rest = dictionary
  while (rest.trim() !== '') {
    const entry = /^\s*'([a-z_]+)':\s*('[^']*'|True|False|\([0-9, ]*\)|\[[^\]]*\])\s*(?:,|$)/.exec(rest)
    if (entry === null) malformed('its header cannot be read')
    const [whole, key = '', value = ''] = entry
    if (entries.has(key)) malformed(`its header holds ${key} twice`)
    entries.set(key, value)
    rest = rest.slice(whole.length)
  }
  const descriptor = entries.get('descr')
  const order = entries.get('fortran_order')
  const shape = entries.get('shape')
  if (entries.size !== 3 || descriptor === undefined || shape === undefined)
    malformed('its header lacks an entry')
  if (order !== 'True' && order !== 'False') malformed('fortran_order is neither True nor False')
  return { descriptor, fortranOrder: order === 'True', dims: parseShape(shape) }
}

function parseShape(shape: string): number[] {
  if (!/^\((?:|\d+,|\d+(?:, ?\d+)+,?)\)$/.test(shape)) malformed(`its shape cannot be read: ${shape}`)
  const dims = shape
    .slice(1, -1)
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number)
  if (dims.length > TENSOR_RANK_MAX) malformed(`rank above ${TENSOR_RANK_MAX}`)
  return dims
}

function dtypeOf(descriptor: string): DType {
  for (const [dtype, own] of Object.entries(DESCRIPTORS) as [DType, string][]) {
    if (descriptor === `'${own}'`) return dtype
    // One byte has no order, so both marks mean the same.
    if (own.startsWith('|') && descriptor === `'<${own.slice(1)}'`) return dtype
  }
  const hint = descriptor.startsWith("'>") ? ' (big-endian; convert it to little-endian)' : ''
  throw new TensorError('unsupported-dtype', `.npy element type ${descriptor} does not travel${hint}`)
}

function malformed(why: string): never {
  throw new TensorError('malformed-npy', `not a usable .npy file: ${why}`)
}
