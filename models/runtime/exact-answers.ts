/**
 * The answers of the exact lane's process, as the tail of a frame:
 *
 *     answer := payload { bytes:u32 leaf }*
 *
 * The payload is the outputs of a trace, the operands or the output digests of a step, or an encoded plan; only a trace has
 * leaves.
 */
import { LEAF_BYTES_MAX, LEAVES_BYTES_MAX, LEAVES_MAX } from '../trace/index.ts'

export interface Ask {
  readonly what: 'plan' | 'trace' | 'operands' | 'step'
  /** Of a step; otherwise ''. */
  readonly position: string
  /** Of the operands of a step. */
  readonly digests: readonly Uint8Array[]
  /** Inputs of a run, or operands of a step. */
  readonly payload: Uint8Array
}

export interface Answer {
  readonly payload: Uint8Array
  readonly leaves: readonly Uint8Array[]
  /** Time of the run or step itself, in milliseconds. */
  readonly serviceMs: number
}

/** In pieces that follow one another. */
export function encodeAnswer(
  payload: readonly Uint8Array[],
  leaves: readonly Uint8Array[],
): readonly Uint8Array[] {
  if (leaves.length === 0) return payload
  // One piece of all leaves: they are small and many.
  const bytes = leaves.reduce((sum, leaf) => sum + 4 + leaf.byteLength, 0)
  const packed = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const leaf of leaves) {
    at = packed.writeUInt32LE(leaf.byteLength, at)
    packed.set(leaf, at)
    at += leaf.byteLength
  }
  return [...payload, packed]
}

/** Payload and leaves look into `tail`. Throws where it is no such answer. */
export function decodeAnswer(tail: Uint8Array, payloadBytes: number): Omit<Answer, 'serviceMs'> {
  if (payloadBytes > tail.byteLength || tail.byteLength - payloadBytes > LEAVES_BYTES_MAX + 4 * LEAVES_MAX) {
    throw new Error('it sent more or less than it says')
  }
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  const leaves: Uint8Array[] = []
  for (let at = payloadBytes; at < tail.byteLength; ) {
    const bytes = at + 4 <= tail.byteLength ? view.getUint32(at, true) : LEAF_BYTES_MAX + 1
    at += 4
    if (bytes > LEAF_BYTES_MAX || at + bytes > tail.byteLength || leaves.length === LEAVES_MAX) {
      throw new Error('it sent leaves that are cut short or too many')
    }
    leaves.push(tail.subarray(at, at + bytes))
    at += bytes
  }
  return { payload: tail.subarray(0, payloadBytes), leaves }
}
