import { PlanError } from './errors.ts'

/** Reads the fields of an encoded plan. Throws PlanError `malformed` where they are cut short or have no meaning. */
export class PlanReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(): number {
    return this.#view.getUint8(this.#skip(1))
  }

  flag(): 0 | 1 {
    const value = this.u8()
    if (value !== 0 && value !== 1) malformed('a flag is neither 0 nor 1')
    return value
  }

  u16(): number {
    return this.#view.getUint16(this.#skip(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#skip(4), true)
  }

  u64(): number {
    const value = Number(this.#view.getBigUint64(this.#skip(8), true))
    if (!Number.isSafeInteger(value)) malformed('a number is too large')
    return value
  }

  /** A view. */
  bytes(count: number): Uint8Array {
    const at = this.#skip(count)
    return this.#bytes.subarray(at, at + count)
  }

  text(): string {
    try {
      return UTF8.decode(this.bytes(this.u16()))
    } catch (cause) {
      if (cause instanceof PlanError) throw cause
      throw new PlanError('malformed', 'a text is not UTF-8', { cause })
    }
  }

  /** The bytes, which every element has one of at least, bound the count. */
  list<T>(count: number, read: () => T): T[] {
    if (count > this.#bytes.byteLength - this.#at) malformed('it is cut short')
    const elements: T[] = []
    for (let index = 0; index < count; index++) elements.push(read())
    return elements
  }

  isAtEnd(): boolean {
    return this.#at === this.#bytes.byteLength
  }

  end(): void {
    if (!this.isAtEnd()) malformed('a record has bytes after its end')
  }

  #skip(count: number): number {
    const at = this.#at
    if (count > this.#bytes.byteLength - at) malformed('it is cut short')
    this.#at += count
    return at
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function malformed(why: string): never {
  throw new PlanError('malformed', `these bytes are no plan: ${why}`)
}
