import { createHash } from 'node:crypto'
import type { Lane } from '../../models/runtime/index.ts'
import { DIGEST_BYTES, PAYLOAD_BYTES_MAX } from '../../models/tensor/index.ts'
import { MessageReader, MessageWriter } from '../codec/index.ts'
import { PUBLIC_KEY_BYTES, peerIdOfKey, readEnvelope, type Signer, sealEnvelope } from '../envelope/index.ts'
import {
  CID_BYTES_MAX,
  JOB_BYTES_MAX,
  JOB_NONCE_BYTES,
  REPLICAS_MAX,
  TAU_MAX,
  TIME_MS_MAX,
} from './constants.ts'
import { asReceiptErrors, ReceiptError } from './errors.ts'
import { decodeLane, encodeLane, VERSION } from './fields.ts'

/** What a requester asks for, and on what terms. The same bytes go to every replica. */
export interface Job {
  /** The requester's peer id. What is signed is its public key, from which the id follows. */
  readonly requester: string
  /** 16 random bytes: two jobs with the same terms are two jobs. */
  readonly nonce: Uint8Array
  /** The model's address: a CIDv1 in lowercase base32. */
  readonly model: string
  readonly lane: Lane
  readonly policy: Policy
  /** The effective relative tolerance, see DESIGN section 3. */
  readonly tau: number
  /** Wall time of the requester, whole milliseconds since 1970. */
  readonly createdAtMs: number
  /** After this the requester wants no answer any more. */
  readonly deadlineAtMs: number
  /** Salted digest of the canonical input payload (`models/tensor`); the salt is never inside. */
  readonly inputDigest: Uint8Array
  /** Length of that payload. */
  readonly inputBytes: number
}

export interface Policy {
  /** How many distinct providers are asked at first. */
  readonly replicas: number
  /** How many must agree: more than half of `replicas`. */
  readonly quorum: number
  /**
   * Whether a disagreement goes to the referee: providers are then asked for their traces. Needs two replicas and a quorum
   * of two at least: of one answer there is nothing to referee.
   */
  readonly referee: boolean
  /** Whether what a dispute shows, activations of the inputs among it, may be published as a proof. */
  readonly publicDisputes: boolean
}

/** A job whose signature is known to be good. */
export interface SealedJob {
  /** What travels. */
  readonly envelope: Uint8Array
  /** What was signed. */
  readonly payload: Uint8Array
  readonly job: Job
  /** SHA-256 over the signed payload; its hex is the job's id. */
  readonly commitment: Uint8Array
}

/** Signs a job as `signer`. Throws ReceiptError `malformed` when a value is outside its limits. */
export function sealJob(signer: Signer, terms: Omit<Job, 'requester'>): SealedJob {
  return asReceiptErrors(() => {
    const payload = encodeJob(signer.publicKey, terms)
    const { job } = decodeJob(payload)
    const envelope = sealEnvelope(signer, JOB_DOMAIN, JOB_TYPE, payload)
    return { envelope, payload, job, commitment: jobCommitment(payload) }
  })
}

/**
 * Opens a sealed job: its signature is good, and by the key that the job names. Throws ReceiptError. The result looks
 * into `envelope`.
 */
export function openJob(envelope: Uint8Array): SealedJob {
  const { verifySignature, ...job } = readJob(envelope)
  verifySignature()
  return job
}

/** A job whose signature is still to be verified: until then all of it is a claim. */
export interface ReadJob extends SealedJob {
  /** Throws ReceiptError `bad-signature`. */
  verifySignature(): void
}

/** As `openJob`, but leaves it to the caller when the signature is verified. Throws ReceiptError. */
export function readJob(envelope: Uint8Array): ReadJob {
  return asReceiptErrors(() => {
    const { peerId, publicKey, payload, verifySignature } = readEnvelope(envelope, JOB_DOMAIN, JOB_TYPE)
    const { job, requesterKey } = decodeJob(payload)
    if (Buffer.compare(publicKey, requesterKey) !== 0) {
      throw new ReceiptError('wrong-key', `${peerId} signed a job that names another requester`)
    }
    return {
      envelope,
      payload,
      job,
      commitment: jobCommitment(payload),
      verifySignature: () => asReceiptErrors(verifySignature),
    }
  })
}

/** The job commitment: a hash of the signed payload, and so of the requester's key and all terms. */
export function jobCommitment(payload: Uint8Array): Uint8Array {
  return createHash('sha256').update(COMMITMENT_DOMAIN).update(payload).digest()
}

/** The payload of a job's envelope. Throws CodecError for what the wire cannot hold; limits are `decodeJob`'s. */
export function encodeJob(requesterKey: Uint8Array, job: Omit<Job, 'requester'>): Uint8Array {
  return new MessageWriter()
    .uint(1, VERSION)
    .bytes(2, requesterKey)
    .bytes(3, job.nonce)
    .text(4, job.model)
    .uint(5, encodeLane(job.lane))
    .uint(6, job.policy.replicas)
    .uint(7, job.policy.quorum)
    .double(8, job.tau)
    .uint(9, job.createdAtMs)
    .uint(10, job.deadlineAtMs)
    .bytes(11, job.inputDigest)
    .uint(12, job.inputBytes)
    .bool(13, job.policy.referee)
    .bool(14, job.policy.publicDisputes)
    .finish()
}

/** Strict inverse of `encodeJob`. Throws CodecError or ReceiptError. */
export function decodeJob(payload: Uint8Array): { job: Job; requesterKey: Uint8Array } {
  if (payload.byteLength > JOB_BYTES_MAX) throw new ReceiptError('too-large', 'the job is too long')
  const reader = new MessageReader(payload, 'job')
  reader.uint(1, { min: VERSION, max: VERSION })
  const requesterKey = reader.bytes(2, { min: PUBLIC_KEY_BYTES, max: PUBLIC_KEY_BYTES })
  const { replicas, quorum, ...terms } = {
    requester: peerIdOfKey(requesterKey),
    nonce: reader.bytes(3, { min: JOB_NONCE_BYTES, max: JOB_NONCE_BYTES }),
    model: reader.text(4, { min: 1, max: CID_BYTES_MAX }),
    lane: decodeLane(reader, 5),
    replicas: reader.uint(6, { min: 1, max: REPLICAS_MAX }),
    quorum: reader.uint(7, { min: 1, max: REPLICAS_MAX }),
    tau: reader.double(8, { max: TAU_MAX }),
    createdAtMs: reader.uint(9, { max: TIME_MS_MAX }),
    deadlineAtMs: reader.uint(10, { max: TIME_MS_MAX }),
    inputDigest: reader.bytes(11, { min: DIGEST_BYTES, max: DIGEST_BYTES }),
    inputBytes: reader.uint(12, { min: 1, max: PAYLOAD_BYTES_MAX }),
  }
  const policy = { replicas, quorum, referee: reader.bool(13), publicDisputes: reader.bool(14) }
  reader.end()
  const job = { ...terms, policy }
  verifyMeaning(job)
  return { job, requesterKey }
}

const JOB_DOMAIN = 'verimesh/job/1'
const JOB_TYPE = new TextEncoder().encode('/verimesh/job/1')
/** Separates this use of SHA-256 from every other in the project. */
const COMMITMENT_DOMAIN = 'verimesh/job-commitment/1\0'
const CID_SHAPE = /^b[a-z2-7]+$/

function verifyMeaning({ model, policy, createdAtMs, deadlineAtMs }: Job): void {
  if (!CID_SHAPE.test(model)) {
    throw new ReceiptError('malformed', 'the model is not the address of one: a CIDv1 in lowercase base32')
  }
  if (policy.quorum > policy.replicas || policy.quorum * 2 <= policy.replicas) {
    throw new ReceiptError(
      'malformed',
      `a quorum must be more than half of the replicas and no more than all: ${policy.quorum} of ${policy.replicas} is not`,
    )
  }
  if (policy.referee && policy.quorum < 2) {
    throw new ReceiptError('malformed', 'a referee needs two replicas and a quorum of two at least')
  }
  if (deadlineAtMs <= createdAtMs) {
    throw new ReceiptError('malformed', 'the deadline is not after the time of creation')
  }
}
