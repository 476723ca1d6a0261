import { digestTensors, digestTensorsInBackground } from '../../models/tensor/index.ts'
import {
  openReceipt,
  type ReadJob,
  type Receipt,
  ReceiptError,
  readJob,
  receiptDigest,
  type SealedJob,
} from '../receipt/index.ts'
import { BACKGROUND_BYTES_MIN, RECEIPT_AGE_MS_MAX } from './constants.ts'
import { DisputeError } from './errors.ts'
import type { DemandMessage } from './messages.ts'

/** A demand in which everything was verified: nothing is executed for any other. */
export interface VerifiedDemand {
  /** Peer id of who asks: the connection proved it, and the job is signed by it. */
  readonly remotePeer: string
  readonly job: SealedJob
  readonly salt: Uint8Array
  /** This node's own receipt. */
  readonly receipt: { readonly sealed: Uint8Array; readonly receipt: Receipt; readonly digest: Uint8Array }
  readonly conflicting: {
    readonly sealed: Uint8Array
    readonly receipt: Receipt
    readonly provider: string
  }
  /** Canonical payload, as it came, in memory of its own; it has the digest that the job states. */
  readonly inputs: Uint8Array
  /** The lane whose traces the requester can compare: in another there is no use in tracing. */
  readonly laneId: string
  /** How long the requester waits, from when the demand came. */
  readonly timeoutMs: number
}

/** Who is asked, by whom, and when. */
export interface DemandContext {
  readonly remotePeer: string
  /** Peer id of this node. */
  readonly self: string
  /** Wall time, milliseconds since 1970. */
  readonly wallMs: number
}

/**
 * The job of a demand, its signature unverified: what a refusal is about. Throws DisputeError `malformed` where there is none.
 */
export function readDemandedJob({ job }: DemandMessage): ReadJob {
  try {
    return readJob(job)
  } catch (cause) {
    if (!(cause instanceof ReceiptError)) throw cause
    throw new DisputeError('malformed', `the demand holds no job: ${cause.message}`, { cause })
  }
}

/** Everything but the inputs. Throws DemandRefused with a sentence for the requester. */
export function verifyDemand(
  message: DemandMessage,
  job: ReadJob,
  { remotePeer, self, wallMs }: DemandContext,
): Omit<VerifiedDemand, 'inputs'> {
  const terms = job.job
  if (terms.requester !== remotePeer) refuse(`the job is ${terms.requester}'s, but ${remotePeer} asks`)
  if (terms.inputBytes !== message.inputBytes) {
    refuse(`the job states ${terms.inputBytes} bytes of inputs, the demand ${message.inputBytes}`)
  }
  if (!terms.policy.referee) refuse('the job did not ask for a referee')
  try {
    job.verifySignature()
    const own = openReceipt(message.receipt)
    const other = openReceipt(message.conflicting)
    if (own.provider !== self) refuse(`the receipt is ${own.provider}'s, not this node's`)
    if (other.provider === self) refuse('both receipts are of this node')
    for (const { receipt, provider } of [own, other]) {
      if (!equals(receipt.jobCommitment, job.commitment))
        refuse(`the receipt of ${provider} is about another job`)
    }
    if (own.receipt.runtime.lane !== terms.lane) refuse('the receipt is of another lane than the job')
    // An exact run contradicts a native answer too: the requester's own is one, where all others say the same.
    if (other.receipt.runtime.lane !== terms.lane && other.receipt.runtime.lane !== 'exact') {
      refuse(`the receipt of ${other.provider} is of another lane than the job`)
    }
    if (equals(own.receipt.outputDigest, other.receipt.outputDigest)) refuse('the two receipts agree')
    if (terms.lane === 'exact' && own.receipt.runtime.version !== other.receipt.runtime.version) {
      refuse('the two receipts are of exact lanes that cannot be compared')
    }
    if (wallMs - own.receipt.finishedAtMs > RECEIPT_AGE_MS_MAX) refuse('the receipt is too old')
    return {
      remotePeer,
      job: { envelope: job.envelope, payload: job.payload, job: terms, commitment: job.commitment },
      salt: message.salt,
      receipt: { sealed: message.receipt, receipt: own.receipt, digest: receiptDigest(message.receipt) },
      conflicting: { sealed: message.conflicting, ...other },
      laneId: message.laneId,
      timeoutMs: message.timeoutMs,
    }
  } catch (cause) {
    if (!(cause instanceof ReceiptError)) throw cause
    throw new DemandRefused(`a signature or a statement in the demand is wrong: ${cause.message}`, { cause })
  }
}

/**
 * The demand with its inputs, which have the digest that the job states; large ones are digested by another thread. Rejects
 * with DemandRefused.
 */
export async function withInputs(
  demand: Omit<VerifiedDemand, 'inputs'>,
  inputs: Uint8Array,
): Promise<VerifiedDemand> {
  const { job, salt } = demand
  const digest =
    inputs.byteLength < BACKGROUND_BYTES_MIN
      ? digestTensors(salt, inputs)
      : await digestTensorsInBackground(salt, inputs)
  if (!equals(digest, job.job.inputDigest)) refuse('the inputs are not those of the job')
  return { ...demand, inputs }
}

/** The demand is not one that this node has to answer; the message is what the requester is told. */
export class DemandRefused extends Error {
  override readonly name = 'DemandRefused'
}

function refuse(why: string): never {
  throw new DemandRefused(why)
}

function equals(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
