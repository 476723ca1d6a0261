/** The framed messages of the protocol. Each has exactly one encoding; the README has them as protobuf. */
import { PAYLOAD_BYTES_MAX, SALT_BYTES } from '../../models/tensor/index.ts'
import { POSITION_BYTES_MAX } from '../../models/trace/index.ts'
import { CodecError, MessageReader, MessageWriter } from '../codec/index.ts'
import {
  RUNTIME_TEXT_BYTES_MAX,
  SEALED_COMMITMENT_BYTES_MAX,
  SEALED_JOB_BYTES_MAX,
  SEALED_RECEIPT_BYTES_MAX,
} from '../receipt/index.ts'
import { LEAVES_PAYLOAD_BYTES_MAX, SEALED_REFUSAL_BYTES_MAX, TIMEOUT_MS_MAX } from './constants.ts'

/** Goes before the raw bytes of the inputs. */
export interface DemandMessage {
  /** The sealed job. */
  readonly job: Uint8Array
  readonly salt: Uint8Array
  /** The sealed receipt of the provider that is asked. */
  readonly receipt: Uint8Array
  /** Another provider's sealed receipt for the same job, about other outputs. */
  readonly conflicting: Uint8Array
  /** How many raw bytes follow the frame. */
  readonly inputBytes: number
  /** How long the requester waits from now on, in milliseconds: free of differences between clocks. */
  readonly timeoutMs: number
  /** The lane whose traces the requester can compare. */
  readonly laneId: string
}

export function encodeDemand(message: DemandMessage): Uint8Array {
  return new MessageWriter()
    .bytes(1, message.job)
    .bytes(2, message.salt)
    .bytes(3, message.receipt)
    .bytes(4, message.conflicting)
    .uint(5, message.inputBytes)
    .uint(6, message.timeoutMs)
    .text(7, message.laneId)
    .finish()
}

/** Throws CodecError. */
export function decodeDemand(bytes: Uint8Array): DemandMessage {
  const reader = new MessageReader(bytes, 'dispute demand')
  const message = {
    job: reader.bytes(1, { min: 1, max: SEALED_JOB_BYTES_MAX }),
    salt: reader.bytes(2, { min: SALT_BYTES, max: SALT_BYTES }),
    receipt: reader.bytes(3, { min: 1, max: SEALED_RECEIPT_BYTES_MAX }),
    conflicting: reader.bytes(4, { min: 1, max: SEALED_RECEIPT_BYTES_MAX }),
    inputBytes: reader.uint(5, { min: 1, max: PAYLOAD_BYTES_MAX }),
    timeoutMs: reader.uint(6, { min: 1, max: TIMEOUT_MS_MAX }),
    laneId: reader.text(7, { min: 1, max: RUNTIME_TEXT_BYTES_MAX }),
  }
  reader.end()
  return message
}

/** What a requester asks once it has a commitment. */
export type QuestionMessage =
  | { readonly kind: 'leaves' }
  | { readonly kind: 'operands'; readonly position: string }

export function encodeQuestion(message: QuestionMessage): Uint8Array {
  const kind = new MessageWriter().uint(1, QUESTIONS.indexOf(message.kind) + 1)
  return message.kind === 'leaves' ? kind.finish() : kind.text(2, message.position).finish()
}

/** Throws CodecError. */
export function decodeQuestion(bytes: Uint8Array): QuestionMessage {
  const reader = new MessageReader(bytes, 'dispute question')
  const kind = QUESTIONS[reader.uint(1, { min: 1, max: QUESTIONS.length }) - 1]!
  const message: QuestionMessage =
    kind === 'leaves' ? { kind } : { kind, position: reader.text(2, { min: 1, max: POSITION_BYTES_MAX }) }
  reader.end()
  return message
}

export type ReplyMessage =
  /** A sealed refusal; nothing follows. */
  | { readonly kind: 'refused'; readonly refusal: Uint8Array }
  /** A sealed trace commitment; the raw bytes of the outputs follow the frame. */
  | { readonly kind: 'committed'; readonly commitment: Uint8Array; readonly bytes: number }
  /** The raw bytes of all leaves, or of the operands, follow the frame. */
  | { readonly kind: 'leaves' | 'operands'; readonly bytes: number }

export function encodeReply(message: ReplyMessage): Uint8Array {
  const writer = new MessageWriter().uint(1, REPLIES.indexOf(message.kind) + 1)
  switch (message.kind) {
    case 'refused':
      return writer.bytes(2, message.refusal).finish()
    case 'committed':
      return writer.bytes(2, message.commitment).uint(3, message.bytes).finish()
    case 'leaves':
    case 'operands':
      return writer.uint(3, message.bytes).finish()
    default:
      return message satisfies never
  }
}

/** Throws CodecError. */
export function decodeReply(bytes: Uint8Array): ReplyMessage {
  const reader = new MessageReader(bytes, 'dispute reply')
  const kind = REPLIES[reader.uint(1, { min: 1, max: REPLIES.length }) - 1]!
  const message = readReply(reader, kind)
  reader.end()
  return message
}

const QUESTIONS = ['leaves', 'operands'] as const
const REPLIES = ['refused', 'committed', 'leaves', 'operands'] as const

function readReply(reader: MessageReader, kind: (typeof REPLIES)[number]): ReplyMessage {
  switch (kind) {
    case 'refused':
      return { kind, refusal: reader.bytes(2, { min: 1, max: SEALED_REFUSAL_BYTES_MAX }) }
    case 'committed':
      return {
        kind,
        commitment: reader.bytes(2, { min: 1, max: SEALED_COMMITMENT_BYTES_MAX }),
        bytes: reader.uint(3, { min: 1, max: PAYLOAD_BYTES_MAX }),
      }
    case 'leaves':
      return { kind, bytes: reader.uint(3, { max: LEAVES_PAYLOAD_BYTES_MAX }) }
    case 'operands':
      return { kind, bytes: reader.uint(3, { min: 1, max: PAYLOAD_BYTES_MAX }) }
    default:
      throw new CodecError(`malformed dispute reply: ${kind satisfies never}`)
  }
}
