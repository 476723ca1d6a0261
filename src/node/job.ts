import { randomBytes } from 'node:crypto'
import type { Lane } from '../../models/runtime/index.ts'
import { SALT_BYTES } from '../../models/tensor/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import { JOB_NONCE_BYTES, type Policy, sealJob } from '../../protocols/receipt/index.ts'

/** A job ready to be sent. */
export interface SignedJob {
  /** Hex of the commitment. */
  readonly id: string
  readonly commitment: Uint8Array
  /** The sealed job, signed by the requester. */
  readonly envelope: Uint8Array
  readonly salt: Uint8Array
  /** Canonical payload of the inputs. */
  readonly inputs: Uint8Array
  /** Digest of them under the salt. */
  readonly inputDigest: Uint8Array
  readonly lane: Lane
  readonly tau: number
}

export interface JobTerms {
  readonly signer: Signer
  readonly model: string
  readonly lane: Lane
  readonly policy: Policy
  readonly inputs: Uint8Array
  readonly tau: number
  readonly createdAtMs: number
  readonly deadlineAtMs: number
  readonly digest: (salt: Uint8Array, payload: Uint8Array) => Promise<Uint8Array>
}

/** Draws nonce and salt, digests the inputs and signs. */
export async function newJob(terms: JobTerms): Promise<SignedJob> {
  const { signer, inputs, lane, tau } = terms
  const drawn = randomBytes(SALT_BYTES + JOB_NONCE_BYTES)
  const salt = drawn.subarray(0, SALT_BYTES)
  const inputDigest = await terms.digest(salt, inputs)
  const { envelope, commitment } = sealJob(signer, {
    nonce: drawn.subarray(SALT_BYTES),
    model: terms.model,
    lane,
    policy: terms.policy,
    tau,
    createdAtMs: terms.createdAtMs,
    deadlineAtMs: terms.deadlineAtMs,
    inputDigest,
    inputBytes: inputs.byteLength,
  })
  const id = Buffer.from(commitment).toString('hex')
  return { id, commitment, envelope, salt, inputs, inputDigest, lane, tau }
}
