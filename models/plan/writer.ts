/** Writes the fields of an encoded plan; whoever calls has seen to it that each value fits. */
export class PlanWriter {
  #out = Buffer.allocUnsafe(512)
  #length = 0

  u8(value: number): void {
    const at = this.#grow(1)
    this.#out.writeUInt8(value, at)
  }

  u16(value: number): void {
    const at = this.#grow(2)
    this.#out.writeUInt16LE(value, at)
  }

  u32(value: number): void {
    const at = this.#grow(4)
    this.#out.writeUInt32LE(value, at)
  }

  u64(value: number): void {
    const at = this.#grow(8)
    this.#out.writeBigUInt64LE(BigInt(value), at)
  }

  bytes(value: Uint8Array): void {
    const at = this.#grow(value.byteLength)
    this.#out.set(value, at)
  }

  text(value: string): void {
    const utf8 = Buffer.from(value, 'utf8')
    this.u16(utf8.byteLength)
    this.bytes(utf8)
  }

  /** What was written; the writer is done. */
  finish(): Uint8Array {
    return new Uint8Array(this.#out.buffer, this.#out.byteOffset, this.#length)
  }

  #grow(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#out.byteLength) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, 2 * this.#out.byteLength))
      larger.set(this.#out.subarray(0, at))
      this.#out = larger
    }
    return at
  }
}
