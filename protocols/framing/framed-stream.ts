/**
 * Frames and raw bytes over one long-lived libp2p stream.
 *
 * A frame is its length as an unsigned varint (one to four bytes, the shortest form) and that many bytes, at least
 * one. Raw bytes have no length of their own: a frame before them tells it. So a payload of megabytes is copied once,
 * from the stream's chunks into its place.
 *
 * Reading is driven by the stream's events and costs one promise a read. At most one read may be pending. What
 * nobody reads lies in memory up to `READ_AHEAD_BYTES`; then the stream is paused, which closes the muxer's window.
 */
import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Clock } from './clock.ts'
import { LENGTH_BYTES_MAX, READ_AHEAD_BYTES, WRITE_PIECE_BYTES } from './constants.ts'
import { FramingError } from './errors.ts'

export class FramedStream {
  readonly stream: Stream
  readonly #clock: Clock
  readonly #chunks: Uint8Array[] = []
  #buffered = 0
  #pending: PendingRead | undefined
  #failure: FramingError | undefined
  #paused = false
  #stallMs = Number.POSITIVE_INFINITY
  #progressAt = 0
  #deadlineAt = Number.POSITIVE_INFINITY
  #unschedule: (() => void) | undefined
  #alarmAt = Number.POSITIVE_INFINITY

  constructor(stream: Stream, clock: Clock) {
    this.stream = stream
    this.#clock = clock
    stream.addEventListener('message', ({ data }) => this.#receive(data))
    stream.addEventListener('close', (event) => this.#end(event.error))
    // A frame of the muxer may carry bytes and the end at once, and the end is told first.
    const ended = () => queueMicrotask(() => this.#endIfDrained())
    stream.addEventListener('remoteCloseWrite', ended)
    stream.addEventListener('end', ended)
    ended()
  }

  /** Bytes that came and were not read: 0 between an answer and the next request, if the peer keeps to the protocol. */
  get unreadBytes(): number {
    return this.#buffered
  }

  /** Whether nothing can come any more. */
  get ended(): boolean {
    return this.#failure !== undefined
  }

  /**
   * Fails reads with `timeout` when nothing comes for `stallMs`, or by `deadlineAt` in the clock's time at the latest.
   * Holds until it is called again.
   */
  limitReads(stallMs: number, deadlineAt = Number.POSITIVE_INFINITY): void {
    this.#stallMs = stallMs
    this.#deadlineAt = deadlineAt
    if (this.#pending !== undefined) {
      this.#progressAt = this.#clock.now()
      this.#setAlarm()
    }
  }

  /** The next frame, copied out. Rejects with FramingError; after that the stream must be aborted. */
  readFrame(bytesMax: number): Promise<Uint8Array> {
    return this.#read({
      target: undefined,
      bytesMax,
      length: 0,
      lengthBytes: 0,
      filled: 0,
      onChunk: undefined,
    })
  }

  /**
   * Fills `target` with the next raw bytes and resolves with it. `onChunk` sees each part of it as soon as it is
   * there. Rejects with FramingError; after that the stream must be aborted.
   */
  readBytes(target: Uint8Array, onChunk?: (part: Uint8Array) => void): Promise<Uint8Array> {
    return this.#read({ target, bytesMax: 0, length: 0, lengthBytes: 0, filled: 0, onChunk })
  }

  /** Throws away the next `count` raw bytes as they come. Rejects with FramingError. */
  async discardBytes(count: number): Promise<void> {
    const scratch = new Uint8Array(Math.min(count, READ_AHEAD_BYTES))
    for (let left = count; left > 0; ) {
      const piece = scratch.subarray(0, Math.min(left, scratch.byteLength))
      await this.readBytes(piece)
      left -= piece.byteLength
    }
  }

  /**
   * Hands `parts`, in order, to the stream without copying them; they must not change any more. Small parts leave in
   * one piece. Waits while the stream's buffer is full, so at most one piece is queued beyond what the peer lets in.
   * Returns undefined when nothing had to wait, which is the usual case. Throws or rejects with FramingError.
   */
  write(...parts: readonly Uint8Array[]): Promise<void> | undefined {
    const pieces = cut(parts)
    for (const [index, piece] of pieces.entries()) {
      if (this.stream.writableNeedsDrain) return this.#writeSlowly(pieces.slice(index))
      this.#send(piece)
    }
    return undefined
  }

  /** Resets the stream: the peer's reads fail, and ours do. Idempotent. */
  abort(reason: Error): void {
    this.#fail(
      reason instanceof FramingError
        ? reason
        : new FramingError('hung-up', reason.message, { cause: reason }),
    )
    this.stream.abort(reason)
  }

  async #writeSlowly(pieces: readonly Uint8ArrayList[]): Promise<void> {
    for (const piece of pieces) {
      // A drained stream sends what it holds in a microtask, and may be full again after it.
      while (this.stream.writableNeedsDrain) await this.#drained()
      this.#send(piece)
    }
  }

  #send(piece: Uint8ArrayList): void {
    try {
      this.stream.send(piece)
    } catch (cause) {
      throw this.#failure ?? new FramingError('hung-up', 'the stream cannot be written to', { cause })
    }
  }

  /** Instead of `stream.onDrain()`, whose promise works once in the life of a stream (@libp2p/utils 7.4). */
  #drained(): Promise<void> {
    const { stream } = this
    if (stream.writeStatus !== 'writable') {
      return Promise.reject(this.#failure ?? new FramingError('hung-up', 'the stream cannot be written to'))
    }
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => () => {
        stream.removeEventListener('drain', onDrain)
        stream.removeEventListener('close', onClose)
        end()
      }
      const onDrain = settle(resolve)
      const onClose = settle(() =>
        reject(this.#failure ?? new FramingError('hung-up', 'the stream was closed while it was written to')),
      )
      stream.addEventListener('drain', onDrain)
      stream.addEventListener('close', onClose)
    })
  }

  #read(read: Omit<PendingRead, 'resolve' | 'reject'>): Promise<Uint8Array> {
    if (this.#pending !== undefined) throw new Error('a read is pending: frames come one after the other')
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.#pending = { ...read, resolve, reject }
    this.#progressAt = this.#clock.now()
    this.#pump()
    if (this.#pending === undefined) return promise
    if (this.#failure !== undefined) this.#fail(this.#failure)
    else {
      this.#setAlarm()
      this.#resume()
    }
    return promise
  }

  #receive(data: Uint8Array | Uint8ArrayList): void {
    if (data instanceof Uint8Array) this.#chunks.push(data)
    else this.#chunks.push(...data)
    this.#buffered += data.byteLength
    if (this.#pending !== undefined) {
      this.#progressAt = this.#clock.now()
      this.#pump()
    }
    // A pause inside the event is lost when resuming caused the event: hence the microtask.
    if (this.#buffered > READ_AHEAD_BYTES) queueMicrotask(() => this.#pauseIfFull())
  }

  #pauseIfFull(): void {
    if (this.#buffered <= READ_AHEAD_BYTES || this.#pending !== undefined || this.#paused) return
    if (this.stream.readStatus !== 'readable') return
    this.#paused = true
    this.stream.pause()
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.stream.readStatus === 'paused') this.stream.resume()
  }

  /** Feeds the pending read from what is buffered. */
  #pump(): void {
    while (this.#pending !== undefined) {
      const read = this.#pending
      if (read.target !== undefined && read.filled === read.target.byteLength) {
        this.#pending = undefined
        read.resolve(read.target)
        return
      }
      const chunk = this.#chunks[0]
      if (chunk === undefined) return
      if (read.target === undefined) this.#consume(this.#readLength(read, chunk))
      else this.#consume(fill(read, read.target, chunk))
    }
  }

  /** Takes one byte of a frame's length; the last of them makes room for the frame. Returns how many bytes it took. */
  #readLength(read: PendingRead, chunk: Uint8Array): number {
    const byte = chunk[0]!
    read.length += (byte & 0x7f) * 128 ** read.lengthBytes
    read.lengthBytes++
    if (byte >= 0x80) {
      if (read.lengthBytes === LENGTH_BYTES_MAX)
        this.#fail(new FramingError('frame-too-long', 'a frame is too long'))
      return 1
    }
    if (byte === 0) {
      this.#fail(new FramingError('malformed', 'a frame is empty, or its length is longer than it need be'))
    } else if (read.length > read.bytesMax) {
      this.#fail(
        new FramingError(
          'frame-too-long',
          `a frame has ${read.length} bytes where ${read.bytesMax} are allowed`,
        ),
      )
    } else {
      read.target = new Uint8Array(read.length)
    }
    return 1
  }

  #consume(count: number): void {
    const chunk = this.#chunks[0]!
    this.#buffered -= count
    if (count === chunk.byteLength) this.#chunks.shift()
    else this.#chunks[0] = chunk.subarray(count)
  }

  #endIfDrained(): void {
    if (this.stream.remoteWriteStatus === 'closed' && this.stream.readBufferLength === 0) this.#end(undefined)
  }

  #end(cause: Error | undefined): void {
    this.#fail(new FramingError('hung-up', 'the peer closed the stream', { cause }))
  }

  #fail(failure: FramingError): void {
    this.#failure ??= failure
    this.#unschedule?.()
    this.#unschedule = undefined
    const read = this.#pending
    this.#pending = undefined
    read?.reject(this.#failure)
  }

  /**
   * One alarm serves many reads: it is set when none is due early enough, and looks when it goes off whether
   * something came meanwhile. So a busy stream sets a timer every `stallMs`, not for every read.
   */
  #setAlarm(): void {
    const dueAt = Math.min(this.#progressAt + this.#stallMs, this.#deadlineAt)
    if (dueAt === Number.POSITIVE_INFINITY) return
    if (this.#unschedule !== undefined && this.#alarmAt <= dueAt) return
    this.#unschedule?.()
    this.#alarmAt = dueAt
    this.#unschedule = this.#clock.schedule(() => this.#onAlarm(), Math.max(0, dueAt - this.#clock.now()))
  }

  #onAlarm(): void {
    this.#unschedule = undefined
    if (this.#pending === undefined) return
    const now = this.#clock.now()
    if (now < this.#progressAt + this.#stallMs && now < this.#deadlineAt) this.#setAlarm()
    else this.#fail(new FramingError('timeout', 'nothing came for too long'))
  }
}

/** `body` behind its length. */
export function encodeFrame(body: Uint8Array): Uint8Array {
  const prefix: number[] = []
  let length = body.byteLength
  while (length > 0x7f) {
    prefix.push((length & 0x7f) | 0x80)
    length >>>= 7
  }
  prefix.push(length)
  const frame = new Uint8Array(prefix.length + body.byteLength)
  frame.set(prefix)
  frame.set(body, prefix.length)
  return frame
}

interface PendingRead {
  /** Undefined while the length of a frame is being read. */
  target: Uint8Array | undefined
  readonly bytesMax: number
  length: number
  lengthBytes: number
  filled: number
  readonly onChunk: ((part: Uint8Array) => void) | undefined
  readonly resolve: (value: Uint8Array) => void
  readonly reject: (reason: FramingError) => void
}

function fill(read: PendingRead, target: Uint8Array, chunk: Uint8Array): number {
  const count = Math.min(chunk.byteLength, target.byteLength - read.filled)
  target.set(count === chunk.byteLength ? chunk : chunk.subarray(0, count), read.filled)
  read.onChunk?.(target.subarray(read.filled, read.filled + count))
  read.filled += count
  return count
}

/** Regroups `parts` into pieces of at most `WRITE_PIECE_BYTES`, without copying. */
function cut(parts: readonly Uint8Array[]): Uint8ArrayList[] {
  let piece = new Uint8ArrayList()
  const pieces = [piece]
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; ) {
      if (piece.byteLength === WRITE_PIECE_BYTES) {
        piece = new Uint8ArrayList()
        pieces.push(piece)
      }
      const count = Math.min(part.byteLength - at, WRITE_PIECE_BYTES - piece.byteLength)
      piece.append(part.subarray(at, at + count))
      at += count
    }
  }
  return pieces
}
