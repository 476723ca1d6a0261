import { readSync, writeSync } from 'node:fs'
import { LARGE_BYTES_KEPT, SLAB_BYTES } from './constants.ts'
import { decodeFramePrefix, encodeFrame, FRAME_PREFIX_BYTES, type HostReplyHead } from './frames.ts'
import { placeInSlab, slabPlace } from './slab.ts'

const SOCKET = 3
const SLAB = 4
/** One read of a small request takes prefix, head and tail together. */
const READ_BYTES = 64 * 1024

/** The model process's end of the socket and slab. Everything here blocks. */
export interface HostChannel {
  /** The next frame, or undefined when the parent hung up. What it holds is valid until the next call. */
  read(): { readonly head: unknown; readonly tail: Uint8Array } | undefined
  write(head: HostReplyHead, tail?: readonly Uint8Array[]): void
  openSlab(): void
  /** Where in the slab's place for this execution's outputs a payload now lies, or -1 when it must go inline. */
  placeInSlab(id: number, pieces: readonly Uint8Array[]): number
  takeFromSlab(at: number, bytes: number): Uint8Array
}

export function createHostChannel(): HostChannel {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  let from = 0
  let until = 0
  /** For what is larger than `buffer`, used again: filling a fresh one costs more than all else that is done with it. */
  let large = Buffer.alloc(0)
  let slabUsed = 0
  let slabTarget: Buffer | undefined
  let slabFilled = 0

  /** `bytes` bytes that look into `buffer` where they fit, else into another. Undefined at the end. */
  function take(bytes: number): Buffer | undefined {
    if (bytes <= READ_BYTES) {
      if (from + bytes > READ_BYTES) {
        buffer.copyWithin(0, from, until)
        until -= from
        from = 0
      }
      while (until - from < bytes) {
        const count = readSome(buffer, until)
        if (count === 0) return undefined
        until += count
      }
      from += bytes
      return buffer.subarray(from - bytes, from)
    }
    const target = largeBuffer(bytes)
    let filled = buffer.copy(target, 0, from, until)
    from = until = 0
    while (filled < bytes) {
      const count = readSome(target, filled)
      if (count === 0) return undefined
      filled += count
    }
    return target
  }

  function largeBuffer(bytes: number): Buffer {
    if (bytes > LARGE_BYTES_KEPT) return Buffer.allocUnsafeSlow(bytes)
    if (large.byteLength < bytes) large = Buffer.allocUnsafeSlow(bytes)
    return large.subarray(0, bytes)
  }

  return {
    read() {
      // The frame before is done with: begin at the start again, so that tails stay where no later read moves them.
      if (from === until) from = until = 0
      const prefix = take(FRAME_PREFIX_BYTES)
      if (prefix === undefined) return undefined
      const { headBytes, tailBytes } = decodeFramePrefix(prefix)
      const headText = take(headBytes)?.toString('utf8')
      if (headText === undefined) return undefined
      const tail = take(tailBytes)
      if (tail === undefined) return undefined
      slabUsed = 0
      slabFilled = 0
      return { head: JSON.parse(headText), tail: plain(tail) }
    },
    write(head, tail = []) {
      const pieces = encodeFrame(head, tail)
      let bytes = 0
      for (const piece of pieces) bytes += piece.byteLength
      if (bytes <= READ_BYTES) writeAll(Buffer.concat(pieces, bytes))
      else for (const piece of pieces) writeAll(piece)
    },
    openSlab() {
      slabTarget = Buffer.allocUnsafeSlow(SLAB_BYTES)
    },
    placeInSlab(id, pieces) {
      if (slabTarget === undefined) return -1
      const { outputsAt } = slabPlace(id)
      const at = placeInSlab(SLAB, pieces, outputsAt + slabUsed, outputsAt + SLAB_BYTES)
      if (at !== -1) for (const piece of pieces) slabUsed += piece.byteLength
      return at
    },
    takeFromSlab(at, bytes) {
      if (slabTarget === undefined) throw new Error('there is no slab')
      const target = slabTarget.subarray(slabFilled, slabFilled + bytes)
      slabFilled += bytes
      let filled = 0
      while (filled < bytes) {
        const count = readSync(SLAB, target, filled, bytes - filled, at + filled)
        if (count === 0) throw new Error('the slab is shorter than the request says')
        filled += count
      }
      return plain(target)
    },
  }
}

/** The same bytes without Buffer's own idea of `slice`. */
function plain(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function readSome(target: Buffer, at: number): number {
  for (;;) {
    try {
      return readSync(SOCKET, target, at, target.byteLength - at, null)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ECONNRESET' || code === 'EOF') return 0
      // Only where a platform hands over a non-blocking socket.
      if (code === 'EAGAIN') Atomics.wait(PAUSE, 0, 0, 1)
      else if (code !== 'EINTR') throw error
    }
  }
}

function writeAll(bytes: Uint8Array): void {
  let at = 0
  while (at < bytes.byteLength) {
    try {
      at += writeSync(SOCKET, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE' || code === 'ECONNRESET') process.exit(0)
      if (code === 'EAGAIN') Atomics.wait(PAUSE, 0, 0, 1)
      else if (code !== 'EINTR') throw error
    }
  }
}

const PAUSE = new Int32Array(new SharedArrayBuffer(4))
