import { createPublicKey, type KeyObject } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { KEY_CACHE_MAX } from './constants.ts'
import { EnvelopeError } from './errors.ts'

/** A key as libp2p writes it: protobuf `{ Type = 1: Ed25519, Data = 2: 32 bytes }`. */
export const PUBLIC_KEY_BYTES = 36

/** What is known of one public key. */
export interface VerifyingKey {
  readonly keyObject: KeyObject
  readonly peerId: string
}

/**
 * The key of `publicKey` (libp2p's encoding), from a bounded memory of those used last.
 * Throws `unsupported-key` for anything but Ed25519.
 */
export function verifyingKey(publicKey: Uint8Array): VerifyingKey {
  const id = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString('latin1')
  const known = KEYS.get(id)
  if (known !== undefined) {
    KEYS.delete(id)
    KEYS.set(id, known)
    return known
  }
  const key = { keyObject: createKeyObject(publicKey), peerId: encodePeerId(publicKey) }
  KEYS.set(id, key)
  if (KEYS.size > KEY_CACHE_MAX) {
    const oldest = KEYS.keys().next()
    if (!oldest.done) KEYS.delete(oldest.value)
  }
  return key
}

/** The peer id (base58btc of an identity multihash) of an Ed25519 key in libp2p's encoding. Throws `unsupported-key`. */
export function peerIdOfKey(publicKey: Uint8Array): string {
  return verifyingKey(publicKey).peerId
}

/** libp2p's encoding of a raw Ed25519 public key of 32 bytes. */
export function encodePublicKey(raw: Uint8Array): Uint8Array {
  const encoded = new Uint8Array(PUBLIC_KEY_BYTES)
  encoded.set(ED25519_PREFIX)
  encoded.set(raw, ED25519_PREFIX.length)
  return encoded
}

// Kept in the order of use: the first is the one that was not used for longest.
const KEYS = new Map<string, VerifyingKey>()
/** Field 1: varint 1 (Ed25519); field 2: 32 bytes. */
const ED25519_PREFIX = [0x08, 0x01, 0x12, 0x20]

function encodePeerId(publicKey: Uint8Array): string {
  const multihash = new Uint8Array(2 + PUBLIC_KEY_BYTES)
  multihash[1] = PUBLIC_KEY_BYTES // the first byte, 0, says identity
  multihash.set(publicKey, 2)
  return base58btc.baseEncode(multihash)
}

function createKeyObject(publicKey: Uint8Array): KeyObject {
  verifyKeyShape(publicKey)
  const x = Buffer.from(publicKey.subarray(ED25519_PREFIX.length)).toString('base64url')
  try {
    return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } })
  } catch (cause) {
    throw new EnvelopeError('unsupported-key', 'the public key is not a point of Ed25519', { cause })
  }
}

function verifyKeyShape(publicKey: Uint8Array): void {
  if (
    publicKey.byteLength !== PUBLIC_KEY_BYTES ||
    ED25519_PREFIX.some((byte, index) => publicKey[index] !== byte)
  ) {
    throw new EnvelopeError('unsupported-key', 'the public key is not Ed25519 in the encoding of libp2p')
  }
}
