import { setImmediate as turn } from 'node:timers/promises'
import { createTensorDigest } from '../../models/tensor/index.ts'
import { DIGEST_SLICE_BYTES } from './constants.ts'

/** The salted digest of a payload, cut into slices between which the event loop gets its turn. */
export async function digestSliced(salt: Uint8Array, payload: Uint8Array): Promise<Uint8Array> {
  const digest = createTensorDigest(salt)
  for (let at = 0; at < payload.byteLength; at += DIGEST_SLICE_BYTES) {
    if (at > 0) await turn()
    digest.update(payload.subarray(at, at + DIGEST_SLICE_BYTES))
  }
  return digest.digest()
}
