/**
 * What travels between the node and a model's process, over a socket that only they share:
 *
 *     frame := headBytes:u32 tailBytes:u32 head:json tail
 *
 * Integers are little-endian; spaces fill the head to a multiple of 8 bytes. `head` is a HostRequestHead or
 * HostReplyHead. The tail of an `execute` and of an `executed` frame is every payload that is not in the slab. They are
 * multiples of 8 bytes: typed arrays can look straight into the tail. The tail of an `ask` frame is its digests, 32 bytes
 * each, and its payload unless that is in the slab; of an `answered` frame what `exact-answers.ts` says. The node may send a
 * request before the one before it was answered; answers come in order. Digests of payloads do not travel: the node makes
 * them of what it sends and gets.
 */
import type { Signature } from '../manifest/index.ts'
import { allocatePayload } from '../tensor/index.ts'
import { FRAME_HEAD_BYTES_MAX, FRAME_TAIL_BYTES_MAX, SLAB_PAYLOAD_BYTES_MIN } from './constants.ts'
import type { RuntimeErrorCode } from './runtime.ts'

export type HostRequestHead = LoadHead | ExecuteHead | AskHead

export interface LoadHead {
  readonly type: 'load'
  readonly modelPath: string
  /** Without it, in the exact lane, what the model says of itself counts. */
  readonly signature?: Signature
  /** Whether entries of one execution may be run as one batch. */
  readonly batching: boolean
  readonly threads: number
  /** Whether file descriptor 4 is a slab. */
  readonly slab: boolean
}

export interface ExecuteHead {
  readonly type: 'execute'
  readonly id: number
  readonly entries: readonly PayloadPlace[]
}

/** What only the exact lane does: see ExactRuntime. */
export interface AskHead {
  readonly type: 'ask'
  readonly id: number
  readonly what: 'plan' | 'trace' | 'operands' | 'step'
  /** Of a step. */
  readonly position: string
  /** How many digests the tail begins with. */
  readonly digests: number
  readonly payload: PayloadPlace
}

/** Where a payload lies: at an offset of the slab (see `slabPlace`), or inline (`slabAt` -1) in the tail. */
export interface PayloadPlace {
  readonly bytes: number
  readonly slabAt: number
}

export type HostReplyHead =
  | { readonly type: 'loaded' }
  | { readonly type: 'load-failed'; readonly message: string }
  | ExecutedHead
  | AnsweredHead

export interface ExecutedHead {
  readonly type: 'executed'
  readonly id: number
  readonly entries: readonly (GoodEntry | BadEntry)[]
  /** Why entries that should have shared a batch were run one by one. */
  readonly note?: string
  /** Whether the process should be replaced: its engine broke, or holds more memory than it should. */
  readonly spent?: boolean
}

export interface AnsweredHead {
  readonly type: 'answered'
  readonly id: number
  readonly result: { readonly ok: true; readonly serviceMs: number; readonly payloadBytes: number } | BadEntry
  readonly spent: boolean
}

export interface GoodEntry extends PayloadPlace {
  readonly ok: true
  readonly batched: boolean
  readonly serviceMs: number
}

export interface BadEntry {
  readonly ok: false
  readonly code: RuntimeErrorCode
  readonly message: string
}

export const FRAME_PREFIX_BYTES = 8

/** The pieces of one frame, to be written in this order; only the first is a copy. */
export function encodeFrame(
  head: HostRequestHead | HostReplyHead,
  tail: readonly Uint8Array[] = [],
): Uint8Array[] {
  const json = JSON.stringify(head)
  const jsonBytes = Buffer.byteLength(json)
  const headBytes = Math.ceil(jsonBytes / 8) * 8
  const first = Buffer.allocUnsafe(FRAME_PREFIX_BYTES + headBytes)
  let tailBytes = 0
  for (const piece of tail) tailBytes += piece.byteLength
  first.writeUInt32LE(headBytes, 0)
  first.writeUInt32LE(tailBytes, 4)
  first.write(json, FRAME_PREFIX_BYTES)
  first.fill(' ', FRAME_PREFIX_BYTES + jsonBytes)
  return [first, ...tail]
}

/** Reads the lengths at the start of a frame. Throws RangeError where they exceed the limits. */
export function decodeFramePrefix(bytes: Uint8Array): { headBytes: number; tailBytes: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_PREFIX_BYTES)
  const headBytes = view.getUint32(0, true)
  const tailBytes = view.getUint32(4, true)
  if (headBytes > FRAME_HEAD_BYTES_MAX || tailBytes > FRAME_TAIL_BYTES_MAX) {
    throw new RangeError(`a frame of ${headBytes} + ${tailBytes} bytes is too long`)
  }
  return { headBytes, tailBytes }
}

/**
 * Cuts a stream of chunks into frames. Each tail is a fresh buffer that the receiver may keep. Throws where a frame is
 * too long or its head is no JSON.
 */
export function createFrameReader(
  onFrame: (head: unknown, tail: Uint8Array) => void,
): (chunk: Uint8Array) => void {
  let stage: 'prefix' | 'head' | 'tail' = 'prefix'
  let target: Uint8Array = new Uint8Array(FRAME_PREFIX_BYTES)
  let filled = 0
  let tailBytes = 0
  let head: unknown

  return (chunk) => {
    let at = 0
    for (;;) {
      const count = Math.min(target.byteLength - filled, chunk.byteLength - at)
      target.set(count === chunk.byteLength ? chunk : chunk.subarray(at, at + count), filled)
      filled += count
      at += count
      if (filled < target.byteLength) return
      advance()
      if (stage === 'prefix' && at === chunk.byteLength) return
    }
  }

  function advance(): void {
    filled = 0
    if (stage === 'prefix') {
      const lengths = decodeFramePrefix(target)
      tailBytes = lengths.tailBytes
      stage = 'head'
      target = new Uint8Array(lengths.headBytes)
    } else if (stage === 'head') {
      head = JSON.parse(Buffer.from(target.buffer, target.byteOffset, target.byteLength).toString('utf8'))
      stage = 'tail'
      target = tailBytes < SLAB_PAYLOAD_BYTES_MIN ? new Uint8Array(tailBytes) : allocatePayload(tailBytes)
    } else {
      const tail = target
      stage = 'prefix'
      target = new Uint8Array(FRAME_PREFIX_BYTES)
      onFrame(head, tail)
    }
  }
}
