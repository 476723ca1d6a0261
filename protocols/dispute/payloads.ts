/** What follows a reply as raw bytes, and whether it is what its sender's commitment says. */
import { decodeTensors, TensorError } from '../../models/tensor/index.ts'
import {
  createValueDigest,
  hashLeaf,
  LEAF_BYTES_MAX,
  LEAVES_BYTES_MAX,
  merkleRoot,
} from '../../models/trace/index.ts'
import { BRANCH_LEAVES, DIGEST_PIECE_BYTES } from './constants.ts'
import { DisputeError } from './errors.ts'

/** Each leaf behind its length as a little-endian u32; the leaves are not copied. */
export function encodeLeaves(leaves: readonly Uint8Array[]): Uint8Array[] {
  return leaves.flatMap((leaf) => {
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, leaf.byteLength, true)
    return [length, leaf]
  })
}

/** Takes leaves apart; they look into `payload`. Throws DisputeError `wrong-leaves` unless it is `count` leaves to the byte. */
export function decodeLeaves(payload: Uint8Array, count: number): Uint8Array[] {
  if (payload.byteLength > LEAVES_BYTES_MAX + 4 * count) wrongLeaves('they are too long')
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const leaves: Uint8Array[] = []
  let at = 0
  while (at < payload.byteLength) {
    if (leaves.length === count) wrongLeaves(`there are more than ${count}`)
    if (at + 4 > payload.byteLength) wrongLeaves('they end inside a length')
    const length = view.getUint32(at, true)
    at += 4
    if (length === 0 || length > LEAF_BYTES_MAX) wrongLeaves(`one has ${length} bytes`)
    if (at + length > payload.byteLength) wrongLeaves('they end inside a leaf')
    leaves.push(payload.subarray(at, at + length))
    at += length
  }
  if (leaves.length !== count) wrongLeaves(`there are ${leaves.length} of ${count}`)
  return leaves
}

/** `merkleRoot` over the hashes of `leaves`, awaiting `pause` after each whole branch of `BRANCH_LEAVES`. */
export async function rootOfLeaves(
  leaves: readonly Uint8Array[],
  pause: () => Promise<void>,
): Promise<Uint8Array> {
  const branches: Uint8Array[] = []
  for (let at = 0; at < leaves.length; at += BRANCH_LEAVES) {
    if (at > 0) await pause()
    branches.push(merkleRoot(leaves.slice(at, at + BRANCH_LEAVES).map(hashLeaf)))
  }
  // A tree splits at the largest power of two below its count: whole branches stand in it as leaves do in theirs.
  return merkleRoot(branches)
}

/**
 * Takes operands apart: each tensor is named by the lowercase hex of the digest of its value. With `allowed` (hex), none
 * other may be there. Awaits `pause` after each mebibyte. Throws DisputeError `wrong-operands`.
 */
export async function verifyOperands(
  payload: Uint8Array,
  allowed: ReadonlySet<string> | undefined,
  pause: () => Promise<void>,
): Promise<void> {
  let hashed = 0
  for (const { name, dtype, dims, data } of decodeOperands(payload)) {
    if (allowed !== undefined && !allowed.has(name))
      wrongOperands('one is not of the step that was asked for')
    const digest = createValueDigest(dtype, dims)
    for (let at = 0; at < data.byteLength; at += DIGEST_PIECE_BYTES) {
      const piece = data.subarray(at, at + DIGEST_PIECE_BYTES)
      if (hashed + piece.byteLength > DIGEST_PIECE_BYTES) {
        await pause()
        hashed = 0
      }
      digest.update(piece)
      hashed += piece.byteLength
    }
    if (digest.digest('hex') !== name) wrongOperands('one does not hash to its name')
  }
}

/** The position that an encoded leaf begins with; undefined where it does not hold one. Nothing else is looked at. */
export function positionOf(leaf: Uint8Array): string | undefined {
  const length = leaf[0]
  if (length === undefined || leaf.byteLength < 1 + length) return undefined
  return Buffer.from(leaf.subarray(1, 1 + length)).toString('latin1')
}

function decodeOperands(payload: Uint8Array): ReturnType<typeof decodeTensors> {
  try {
    return decodeTensors(payload)
  } catch (cause) {
    if (!(cause instanceof TensorError)) throw cause
    throw new DisputeError('wrong-operands', `the operands are no canonical payload: ${cause.message}`, {
      cause,
    })
  }
}

function wrongLeaves(why: string): never {
  throw new DisputeError('wrong-leaves', `the leaves are not those of the commitment: ${why}`)
}

function wrongOperands(why: string): never {
  throw new DisputeError('wrong-operands', `the operands are not those that were asked for: ${why}`)
}
