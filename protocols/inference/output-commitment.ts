/**
 * The commitment to an answer that is not shown yet: it binds who answers, which job and which outputs, and betrays none
 * of them.
 *
 *     SHA-256("verimesh/output-commitment/1\0" blinding:32 jobCommitment:32 outputDigest:32 peerId)
 *
 * Everything before the peer id (as text) has a fixed length. The blinding is the provider's own and fresh for each
 * answer: the job's salt would not do, since every other provider of the job knows it and could try likely outputs.
 */
import { createHash } from 'node:crypto'
import { DIGEST_BYTES } from '../../models/tensor/index.ts'

/** Nobody guesses it, and nobody draws the same one twice. */
export const BLINDING_BYTES = 32

export interface CommittedOutput {
  /** 32 bytes, drawn by the provider for this answer. */
  readonly blinding: Uint8Array
  /** Of the job that is answered. */
  readonly jobCommitment: Uint8Array
  /** Salted digest of the outputs, as in the receipt. */
  readonly outputDigest: Uint8Array
  /** Who answers. */
  readonly peerId: string
}

/** 32 bytes. Throws RangeError when a part has another length than it must have: the parts would run together. */
export function commitToOutput({
  blinding,
  jobCommitment,
  outputDigest,
  peerId,
}: CommittedOutput): Uint8Array {
  const lengths = [blinding.byteLength, jobCommitment.byteLength, outputDigest.byteLength]
  if (lengths[0] !== BLINDING_BYTES || lengths[1] !== DIGEST_BYTES || lengths[2] !== DIGEST_BYTES) {
    throw new RangeError(`a commitment is made of 32, 32 and 32 bytes, not of ${lengths.join(', ')}`)
  }
  return createHash('sha256')
    .update(COMMITMENT_DOMAIN)
    .update(blinding)
    .update(jobCommitment)
    .update(outputDigest)
    .update(peerId)
    .digest()
}

/** Separates this use of SHA-256 from every other in the project. */
const COMMITMENT_DOMAIN = 'verimesh/output-commitment/1\0'
