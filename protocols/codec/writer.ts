import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { CodecError } from './errors.ts'
import { BYTES, FIXED64, VARINT } from './wire.ts'

/**
 * Writes the encoding that `MessageReader` accepts: the caller writes fields in ascending order, and defaults are left
 * out. It checks only what the wire cannot hold; a module checks its own limits by decoding what it encoded.
 */
export class MessageWriter {
  #writer = new BinaryWriter()
  /** What was written before a large value, and that value itself, in order. */
  readonly #parts: Uint8Array[] = []

  uint(field: number, value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new CodecError(`field ${field} must be a whole number from 0 up, not ${value}`)
    }
    if (value === 0) return this
    this.#writer.uint32((field << 3) | VARINT)
    if (value <= 0xffff_ffff) this.#writer.uint32(value)
    else this.#writer.uint64(value)
    return this
  }

  bool(field: number, value: boolean): this {
    return this.uint(field, value ? 1 : 0)
  }

  double(field: number, value: number): this {
    if (!Number.isFinite(value) || value < 0) {
      throw new CodecError(`field ${field} must be a finite number from 0 up, not ${value}`)
    }
    if (value !== 0) this.#writer.uint32((field << 3) | FIXED64).double(value)
    return this
  }

  bytes(field: number, value: Uint8Array): this {
    if (value.byteLength === 0) return this
    this.#writer.uint32((field << 3) | BYTES)
    if (value.byteLength < APART_BYTES_MIN) {
      this.#writer.bytes(value)
      return this
    }
    this.#writer.uint32(value.byteLength)
    this.#parts.push(this.#writer.finish(), value)
    this.#writer = new BinaryWriter()
    return this
  }

  text(field: number, value: string): this {
    if (!value.isWellFormed()) throw new CodecError(`field ${field} holds half a surrogate pair`)
    if (value !== '') this.#writer.uint32((field << 3) | BYTES).string(value)
    return this
  }

  /** Each element must have at least one byte. */
  repeatedBytes(field: number, values: readonly Uint8Array[]): this {
    for (const value of values) {
      if (value.byteLength === 0) throw new CodecError(`field ${field} may not hold an empty element`)
      this.bytes(field, value)
    }
    return this
  }

  repeatedText(field: number, values: readonly string[]): this {
    for (const value of values) {
      if (value === '') throw new CodecError(`field ${field} may not hold an empty element`)
      this.text(field, value)
    }
    return this
  }

  finish(): Uint8Array {
    const last = this.#writer.finish()
    return this.#parts.length === 0 ? last : join([...this.#parts, last])
  }
}

/** The library's writer grows its buffer by copying all of it; a payload of megabytes is copied once, at the end. */
const APART_BYTES_MIN = 16_384

function join(parts: readonly Uint8Array[]): Uint8Array {
  const total = parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
  // Not zeroed: every byte is written below.
  const joined = new Uint8Array(Buffer.allocUnsafeSlow(total).buffer)
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.byteLength
  }
  return joined
}
