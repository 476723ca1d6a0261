import { createHash, type Hash } from 'node:crypto'

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
