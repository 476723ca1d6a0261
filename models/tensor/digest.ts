import { createHash, type Hash } from 'node:crypto'
import { PAYLOAD_ALIGNMENT } from './constants.ts'

/** Separates this use of SHA-256 from every other in the project. */
const DOMAIN = 'verimesh/tensors/1\0'
export const SALT_BYTES = 32
export const DIGEST_BYTES = 32

/**
 * The salted digest of a tensor payload: SHA-256("verimesh/tensors/1\0" || salt || payload).
 * The salt keeps a receipt from betraying an input of few possibilities; replicas of one job share it, so that
 * equal outputs have equal digests.
 */
export function digestTensors(salt: Uint8Array, payload: Uint8Array): Uint8Array {
  return createTensorDigest(salt).update(payload).digest()
}

/** The same digest, fed piece by piece, so that nobody has to hash megabytes in one go. */
export function createTensorDigest(salt: Uint8Array): Hash {
  if (salt.byteLength !== SALT_BYTES)
    throw new RangeError(`a salt has ${SALT_BYTES} bytes, not ${salt.byteLength}`)
  return createHash('sha256').update(DOMAIN).update(salt)
}

const PREFIX_BYTES = DOMAIN.length + SALT_BYTES
/** Room before a payload for what is hashed before it, such that the payload still lies on a multiple of its alignment. */
const HEADROOM_BYTES = Math.ceil(PREFIX_BYTES / PAYLOAD_ALIGNMENT) * PAYLOAD_ALIGNMENT
/** Buffers that have that room: no other bytes before a payload may be overwritten. */
const withHeadroom = new WeakSet<ArrayBufferLike>()

/**
 * Memory for a payload of `bytes` bytes, not zeroed, of which `digestTensorsInBackground` makes no copy of its own.
 * It begins on a multiple of 8 bytes, but not at the start of its buffer.
 */
export function allocatePayload(bytes: number): Uint8Array<ArrayBuffer> {
  const { buffer } = Buffer.allocUnsafeSlow(HEADROOM_BYTES + bytes)
  withHeadroom.add(buffer)
  return new Uint8Array(buffer, HEADROOM_BYTES, bytes)
}

/**
 * The same digest, made by another thread (libuv's pool): a megabyte takes 0.07 ms of this one, for the copy that the
 * web's API makes, instead of 0.5. Below 32 KB the way there costs as much as the digest: use `digestTensors`.
 * `payload` may change as soon as this returns.
 */
export async function digestTensorsInBackground(salt: Uint8Array, payload: Uint8Array): Promise<Uint8Array> {
  if (salt.byteLength !== SALT_BYTES)
    throw new RangeError(`a salt has ${SALT_BYTES} bytes, not ${salt.byteLength}`)
  const hasHeadroom = withHeadroom.has(payload.buffer) && payload.byteOffset === HEADROOM_BYTES
  let own = payload
  if (!hasHeadroom) {
    own = allocatePayload(payload.byteLength)
    own.set(payload)
  }
  const message = Buffer.from(own.buffer, HEADROOM_BYTES - PREFIX_BYTES, PREFIX_BYTES + own.byteLength)
  message.write(DOMAIN, 'latin1')
  message.set(salt, DOMAIN.length)
  return new Uint8Array(await crypto.subtle.digest('SHA-256', message as Uint8Array<ArrayBuffer>))
}
