import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { encodePublicKey, peerIdOfKey } from './key.ts'

/** Signs as one peer. */
export interface Signer {
  /** libp2p's protobuf encoding of the Ed25519 public key, 36 bytes. */
  readonly publicKey: Uint8Array
  /** The peer id of that key, as text. */
  readonly peerId: string
  /** The Ed25519 signature of `bytes`, 64 bytes. Costs about 25 us. */
  sign(bytes: Uint8Array): Uint8Array
}

/**
 * A signer from a raw libp2p Ed25519 private key: 32 bytes of seed, then 32 bytes of public key.
 * Throws RangeError when the length is wrong or the halves do not belong together: signing with a foreign public half
 * would betray the key.
 */
export function createSigner(rawPrivateKey: Uint8Array): Signer {
  if (rawPrivateKey.byteLength !== 64) {
    throw new RangeError(`a raw Ed25519 private key has 64 bytes, not ${rawPrivateKey.byteLength}`)
  }
  const d = Buffer.from(rawPrivateKey.subarray(0, 32)).toString('base64url')
  const x = Buffer.from(rawPrivateKey.subarray(32)).toString('base64url')
  const key = createPrivateKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', d, x } })
  if (createPublicKey(key).export({ format: 'jwk' }).x !== x) {
    throw new RangeError('the two halves of the private key do not belong together')
  }
  const publicKey = encodePublicKey(rawPrivateKey.subarray(32))
  return { publicKey, peerId: peerIdOfKey(publicKey), sign: (bytes) => sign(null, bytes, key) }
}
