import { CodecError } from './errors.ts'
import { BYTES, FIXED64, VARINT } from './wire.ts'

export interface Bounds {
  readonly min?: number
  readonly max: number
}

/**
 * Reads one protobuf message of which exactly one encoding is allowed. Fields are asked for in ascending order;
 * whatever was not asked for (unknown, repeated, out of order) is left over and refused by `end`. A default value that
 * was written out, and a varint that is longer than it need be, are refused where they stand. So two different byte
 * sequences never decode to one message, without encoding anything again.
 *
 * Nothing is copied: `bytes` and `message` look into the input. Every method throws CodecError.
 */
export class MessageReader {
  readonly #bytes: Uint8Array
  readonly #what: string
  #at = 0

  /** `what` names the message in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  /** A whole number from 0 to 2^53 - 1; 0 when absent. */
  uint(field: number, { min = 0, max }: Bounds): number {
    let value = 0
    if (this.#take(field, VARINT)) {
      value = this.#varint()
      if (value === 0) this.#refuse(`field ${field} writes out its default`)
    }
    if (value < min || value > max) this.#refuse(`field ${field} is ${value}, not from ${min} to ${max}`)
    return value
  }

  bool(field: number): boolean {
    return this.uint(field, { max: 1 }) === 1
  }

  /** A finite number from +0 up; 0 when absent. */
  double(field: number, { min = 0, max }: Bounds): number {
    let value = 0
    if (this.#take(field, FIXED64)) {
      if (this.#at + 8 > this.#bytes.byteLength) this.#refuse('it ends inside a field')
      const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, 8)
      value = view.getFloat64(0, true)
      this.#at += 8
      if (value === 0) this.#refuse(`field ${field} writes out its default`)
    }
    if (!(value >= min && value <= max)) this.#refuse(`field ${field} is ${value}, not from ${min} to ${max}`)
    return value
  }

  /** Empty when absent, which `min` above 0 refuses. Bounds count bytes. */
  bytes(field: number, { min = 0, max }: Bounds): Uint8Array {
    const value = this.#take(field, BYTES) ? this.#delimited(field) : EMPTY
    if (value.byteLength < min || value.byteLength > max) {
      this.#refuse(`field ${field} has ${value.byteLength} bytes, not from ${min} to ${max}`)
    }
    return value
  }

  /** Valid UTF-8. Bounds count bytes. */
  text(field: number, bounds: Bounds): string {
    return this.#utf8(this.bytes(field, bounds), field)
  }

  /** Undefined when absent. The caller must end the reader that it gets. */
  message(field: number, what: string): MessageReader | undefined {
    return this.#take(field, BYTES) ? new MessageReader(this.#delimited(field), what) : undefined
  }

  /** Every element has at least one byte. `max` bounds one element, `countMax` their number. */
  repeatedBytes(field: number, { max, countMax }: { max: number; countMax: number }): Uint8Array[] {
    const values: Uint8Array[] = []
    while (this.#take(field, BYTES)) {
      if (values.length === countMax) this.#refuse(`field ${field} occurs more than ${countMax} times`)
      const value = this.#delimited(field)
      if (value.byteLength > max)
        this.#refuse(`field ${field} has ${value.byteLength} bytes, at most ${max} are allowed`)
      values.push(value)
    }
    return values
  }

  repeatedText(field: number, limits: { max: number; countMax: number }): string[] {
    return this.repeatedBytes(field, limits).map((value) => this.#utf8(value, field))
  }

  /** Refuses the message when anything is left. */
  end(): void {
    if (this.#at !== this.#bytes.byteLength) {
      this.#refuse(`byte ${this.#at} begins a field that is unknown, repeated or out of order`)
    }
  }

  #take(field: number, type: number): boolean {
    if (this.#bytes[this.#at] !== ((field << 3) | type)) return false
    this.#at++
    return true
  }

  #delimited(field: number): Uint8Array {
    const length = this.#varint()
    if (length === 0) this.#refuse(`field ${field} writes out its default`)
    const end = this.#at + length
    if (end > this.#bytes.byteLength) this.#refuse('it ends inside a field')
    const value = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return value
  }

  #varint(): number {
    let value = 0
    // Eight bytes carry 56 bits, more than any number that we write; the tenth byte of protobuf is never needed.
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) this.#refuse('it ends inside a field')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) this.#refuse('a number is longer than it need be')
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
    }
    return this.#refuse('a number is above 2^53 - 1')
  }

  #utf8(value: Uint8Array, field: number): string {
    try {
      return UTF8.decode(value)
    } catch (cause) {
      throw new CodecError(`malformed ${this.#what}: field ${field} is not valid UTF-8`, { cause })
    }
  }

  #refuse(why: string): never {
    throw new CodecError(`malformed ${this.#what}: ${why}`)
  }
}

const EMPTY = new Uint8Array(0)
// Without ignoreBOM a leading U+FEFF would vanish, and two encodings would read the same.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
