/** The framed messages of the protocol. Each has exactly one encoding; the README has them as protobuf. */
import { DIGEST_BYTES, PAYLOAD_BYTES_MAX, SALT_BYTES } from '../../models/tensor/index.ts'
import { CodecError, MessageReader, MessageWriter } from '../codec/index.ts'
import { SEALED_JOB_BYTES_MAX } from '../receipt/index.ts'
import { COMMIT_MS_MAX, REFUSAL_MESSAGE_BYTES_MAX, RETRY_AFTER_MS_MAX, TIMEOUT_MS_MAX } from './constants.ts'
import { BLINDING_BYTES } from './output-commitment.ts'

/** Goes before the raw bytes of the inputs. */
export interface RequestMessage {
  /** The sealed job. */
  readonly job: Uint8Array
  readonly salt: Uint8Array
  /** How many raw bytes follow the frame. */
  readonly inputBytes: number
  /** How long the requester waits from now on, in milliseconds: free of differences between clocks. */
  readonly timeoutMs: number
  /**
   * Within what the provider must commit to its answer before it shows it, in milliseconds from now on; left out or 0, it
   * answers at once.
   */
  readonly commitMs?: number
}

export type ReplyMessage =
  | ({ readonly kind: 'refused' } & Refusal)
  /**
   * `outputBytes` raw bytes follow the frame, and then a frame that is the sealed receipt. `blinding` opens the commitment
   * where there was one, and is left out where there was none.
   */
  | {
      readonly kind: 'result'
      readonly jobCommitment: Uint8Array
      readonly outputBytes: number
      readonly blinding?: Uint8Array
    }
  /** The answer is ready; the result follows when it is asked for. */
  | { readonly kind: 'committed'; readonly jobCommitment: Uint8Array; readonly commitment: Uint8Array }

/** Why a provider does not answer a job. No evidence against it. */
export interface Refusal {
  readonly code: RefusalCode
  /** For a person: what happened, why, and what to do. At most 1 KiB of UTF-8; longer ones are cut. */
  readonly message: string
  /** When it may be worth asking again; 0 when that is not known. */
  readonly retryAfterMs: number
}

export type RefusalCode = (typeof REFUSAL_CODES)[number]

export function encodeRequest(message: RequestMessage): Uint8Array {
  return new MessageWriter()
    .bytes(1, message.job)
    .bytes(2, message.salt)
    .uint(3, message.inputBytes)
    .uint(4, message.timeoutMs)
    .uint(5, message.commitMs ?? 0)
    .finish()
}

/** Throws CodecError. */
export function decodeRequest(bytes: Uint8Array): Required<RequestMessage> {
  const reader = new MessageReader(bytes, 'inference request')
  const message = {
    job: reader.bytes(1, { min: 1, max: SEALED_JOB_BYTES_MAX }),
    salt: reader.bytes(2, { min: SALT_BYTES, max: SALT_BYTES }),
    inputBytes: reader.uint(3, { min: 1, max: PAYLOAD_BYTES_MAX }),
    timeoutMs: reader.uint(4, { min: 1, max: TIMEOUT_MS_MAX }),
    commitMs: reader.uint(5, { max: COMMIT_MS_MAX }),
  }
  reader.end()
  return message
}

/** Asks for the answer that was committed to. */
export function encodeReveal(jobCommitment: Uint8Array): Uint8Array {
  return new MessageWriter().bytes(1, jobCommitment).finish()
}

/** The commitment of the job whose answer is asked for. Throws CodecError. */
export function decodeReveal(bytes: Uint8Array): Uint8Array {
  const reader = new MessageReader(bytes, 'inference reveal')
  const jobCommitment = reader.bytes(1, DIGEST)
  reader.end()
  return jobCommitment
}

export function encodeReply(message: ReplyMessage): Uint8Array {
  if (message.kind === 'result') {
    const result = new MessageWriter()
      .bytes(1, message.jobCommitment)
      .uint(2, message.outputBytes)
      .bytes(3, message.blinding ?? NONE)
    return new MessageWriter().bytes(2, result.finish()).finish()
  }
  if (message.kind === 'committed') {
    const committed = new MessageWriter().bytes(1, message.jobCommitment).bytes(2, message.commitment)
    return new MessageWriter().bytes(3, committed.finish()).finish()
  }
  const refused = new MessageWriter()
    .uint(1, REFUSAL_CODES.indexOf(message.code) + 1)
    .text(2, cut(message.message))
    .uint(3, Math.min(RETRY_AFTER_MS_MAX, Math.max(0, Math.ceil(message.retryAfterMs))))
  return new MessageWriter().bytes(1, refused.finish()).finish()
}

/** Throws CodecError. */
export function decodeReply(bytes: Uint8Array): ReplyMessage {
  const reader = new MessageReader(bytes, 'inference reply')
  const refused = reader.message(1, 'refusal')
  if (refused !== undefined) {
    reader.end()
    return decodeRefusal(refused)
  }
  const result = reader.message(2, 'result')
  if (result !== undefined) {
    reader.end()
    return decodeResult(result)
  }
  const committed = reader.message(3, 'commitment')
  reader.end()
  if (committed === undefined) throw new CodecError('malformed inference reply: it is empty')
  const message = {
    kind: 'committed' as const,
    jobCommitment: committed.bytes(1, DIGEST),
    commitment: committed.bytes(2, DIGEST),
  }
  committed.end()
  return message
}

function decodeResult(reader: MessageReader): ReplyMessage {
  const jobCommitment = reader.bytes(1, DIGEST)
  const outputBytes = reader.uint(2, { min: 1, max: PAYLOAD_BYTES_MAX })
  const blinding = reader.bytes(3, { max: BLINDING_BYTES })
  reader.end()
  if (blinding.byteLength === 0) return { kind: 'result', jobCommitment, outputBytes }
  if (blinding.byteLength !== BLINDING_BYTES) {
    throw new CodecError(`malformed inference reply: a blinding has ${BLINDING_BYTES} bytes`)
  }
  return { kind: 'result', jobCommitment, outputBytes, blinding }
}

const DIGEST = { min: DIGEST_BYTES, max: DIGEST_BYTES }
const NONE = new Uint8Array(0)

/** In the order of their numbers on the wire, from 1. */
const REFUSAL_CODES = [
  'busy',
  'stopping',
  'unknown-model',
  /** Signature, salt, digest, input name, element type or shape are wrong. */
  'invalid-job',
  'expired',
  'failed',
] as const

function decodeRefusal(reader: MessageReader): ReplyMessage {
  const message = {
    kind: 'refused' as const,
    code: REFUSAL_CODES[reader.uint(1, { min: 1, max: REFUSAL_CODES.length }) - 1]!,
    message: reader.text(2, { max: REFUSAL_MESSAGE_BYTES_MAX }),
    retryAfterMs: reader.uint(3, { max: RETRY_AFTER_MS_MAX }),
  }
  reader.end()
  return message
}

/** The longest beginning of `text` that fits, without half a character. */
function cut(text: string): string {
  const whole = text.toWellFormed()
  const bytes = new Uint8Array(REFUSAL_MESSAGE_BYTES_MAX)
  const { read } = new TextEncoder().encodeInto(whole, bytes)
  return whole.slice(0, read)
}
