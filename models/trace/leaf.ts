/**
 * A leaf of a trace: one step that was executed, in digests.
 *
 *     leaf := positionBytes:u8 position:ascii operator:32
 *             operandCount:u16 operand:32* outputCount:u16 output:32*
 *
 * Integers are little-endian. An operand or output that is left out is 32 zero bytes.
 *
 * - `run`: operands and outputs as in the plan's step, by position.
 * - `decide` of an If: operand the condition; output the decision (`flagDigest`).
 * - `decide` of a Loop before iteration i: operands trip count, condition, carried values: before iteration 0 those of the
 *   step, later the trip count again and the body's outputs of the iteration before. Outputs: the decision, the iteration
 *   number and the condition (of the ranks that the body declares), the carried values: what the body is given.
 * - `end` of an If: operands and outputs are the outputs of the branch.
 * - `end` of a Loop: operands the carried values of the last `decide`, then, one scan output after the other, its element
 *   of every iteration; outputs the carried values and the scan outputs, as the step has them.
 */
import { createHash } from 'node:crypto'
import { LEAF_BYTES_MAX, POSITION_BYTES_MAX } from './constants.ts'
import { TraceError } from './errors.ts'

export interface Leaf {
  /** See `parsePosition`. */
  readonly position: string
  /** Digest of the operator: `digest` of the plan's step. */
  readonly operator: Uint8Array
  readonly operands: readonly Uint8Array[]
  readonly outputs: readonly Uint8Array[]
}

/** Stands for an operand or output that is left out. */
export const ABSENT: Uint8Array = new Uint8Array(32)

/** Throws TraceError `too-large`. */
export function encodeLeaf({ position, operator, operands, outputs }: Leaf): Uint8Array {
  const positionBytes = Buffer.from(position, 'latin1')
  const bytes = 1 + positionBytes.byteLength + 32 + 4 + 32 * (operands.length + outputs.length)
  if (bytes > LEAF_BYTES_MAX || positionBytes.byteLength > POSITION_BYTES_MAX) {
    throw new TraceError('too-large', `a leaf of ${bytes} bytes at ${position}`)
  }
  const out = Buffer.alloc(bytes)
  let at = out.writeUInt8(positionBytes.byteLength, 0)
  const put = (piece: Uint8Array): void => {
    out.set(piece, at)
    at += piece.byteLength
  }
  put(positionBytes)
  put(operator)
  for (const digests of [operands, outputs]) {
    at = out.writeUInt16LE(digests.length, at)
    for (const digest of digests) put(digest)
  }
  return new Uint8Array(out.buffer, out.byteOffset, bytes)
}

/** Strict inverse of `encodeLeaf`; the digests look into `bytes`. The position is ASCII but not parsed. Throws `malformed`. */
export function decodeLeaf(bytes: Uint8Array): Leaf {
  const size = bytes.byteLength
  if (size > LEAF_BYTES_MAX) throw new TraceError('too-large', 'a leaf is too long')
  const operatorAt = 1 + (bytes[0] ?? 0)
  const operandsAt = operatorAt + 32
  if (operandsAt > size) throw new TraceError('malformed', 'a leaf is cut short')
  const position = Buffer.from(bytes.buffer, bytes.byteOffset + 1, operatorAt - 1).toString('latin1')
  if (!PRINTABLE.test(position)) throw new TraceError('malformed', 'the position of a leaf is not ASCII')
  const operands = readDigests(bytes, operandsAt)
  const outputsAt = operandsAt + 2 + 32 * operands.length
  const outputs = readDigests(bytes, outputsAt)
  if (outputsAt + 2 + 32 * outputs.length !== size) {
    throw new TraceError('malformed', 'a leaf has bytes after its end')
  }
  return { position, operator: bytes.subarray(operatorAt, operandsAt), operands, outputs }
}

const PRINTABLE = /^[ -~]*$/

function readDigests(bytes: Uint8Array, at: number): Uint8Array[] {
  const first = at + 2
  if (first > bytes.byteLength) throw new TraceError('malformed', 'a leaf is cut short')
  const count = bytes[at]! + 256 * bytes[at + 1]!
  if (first + count * 32 > bytes.byteLength) throw new TraceError('malformed', 'a leaf is cut short')
  const digests: Uint8Array[] = []
  for (let from = first; digests.length < count; from += 32) digests.push(bytes.subarray(from, from + 32))
  return digests
}

/** The hash of an encoded leaf in the Merkle tree (RFC 6962, section 2.1). */
export function hashLeaf(encoded: Uint8Array): Uint8Array {
  return createHash('sha256').update(LEAF_PREFIX).update(encoded).digest()
}

const LEAF_PREFIX = Uint8Array.of(0)
