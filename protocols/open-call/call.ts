import { createHash } from 'node:crypto'
import type { Lane } from '../../models/runtime/index.ts'
import { CodecError, MessageReader, MessageWriter } from '../codec/index.ts'
import { CID_BYTES_MAX, REPLICAS_MAX } from '../receipt/index.ts'
import { CALL_BYTES_MAX, CALL_NONCE_BYTES, WINDOW_MS_MAX, WINDOW_MS_MIN } from './constants.ts'
import { OpenCallError } from './errors.ts'

/**
 * What somebody who knows no provider says to everybody: which model is wanted, and on what terms. Its author is whoever
 * signed the gossip message. Nothing in it follows from the input of a job, not even its size.
 */
export interface OpenCall {
  /** 16 random bytes. */
  readonly nonce: Uint8Array
  /** CID of the model. */
  readonly model: string
  /** Undefined: any, or it is not decided yet. */
  readonly lane: Lane | undefined
  /** How many are to run a job; 0 when that is not decided yet. */
  readonly replicas: number
  /** Whether a disagreement goes to the referee: providers are then asked for their traces. */
  readonly referee: boolean
  /** Whether what a dispute shows may be published. */
  readonly publicDisputes: boolean
  /** How long a job may take, in milliseconds; 0 when that is not decided yet. */
  readonly timeoutMs: number
  /** Wall time of the author, whole milliseconds since 1970. */
  readonly issuedAtMs: number
  /** How long offers are taken, from when the call was heard. */
  readonly windowMs: number
}

/** Throws OpenCallError when a value is outside its limits. */
export function encodeOpenCall(call: OpenCall): Uint8Array {
  return asOpenCallErrors(() => {
    const bytes = new MessageWriter()
      .uint(1, VERSION)
      .bytes(2, call.nonce)
      .text(3, call.model)
      .uint(4, call.lane === undefined ? 0 : LANES.indexOf(call.lane) + 1)
      .uint(5, call.replicas)
      .bool(6, call.referee)
      .bool(7, call.publicDisputes)
      .uint(8, call.timeoutMs)
      .uint(9, call.issuedAtMs)
      .uint(10, call.windowMs)
      .finish()
    decodeOpenCall(bytes)
    return bytes
  })
}

/** Throws OpenCallError unless `bytes` are the one encoding of a call within its limits. */
export function decodeOpenCall(bytes: Uint8Array): OpenCall {
  if (bytes.byteLength > CALL_BYTES_MAX) {
    throw new OpenCallError('too-large', `a call may have ${CALL_BYTES_MAX} bytes at most`)
  }
  return asOpenCallErrors(() => {
    const reader = new MessageReader(bytes, 'open call')
    reader.uint(1, { min: VERSION, max: VERSION })
    const call = {
      nonce: reader.bytes(2, { min: CALL_NONCE_BYTES, max: CALL_NONCE_BYTES }),
      model: reader.text(3, { min: 1, max: CID_BYTES_MAX }),
      lane: LANES[reader.uint(4, { max: LANES.length }) - 1],
      replicas: reader.uint(5, { max: REPLICAS_MAX }),
      referee: reader.bool(6),
      publicDisputes: reader.bool(7),
      timeoutMs: reader.uint(8, { max: TIMEOUT_MS_MAX }),
      issuedAtMs: reader.uint(9, { max: Number.MAX_SAFE_INTEGER }),
      windowMs: reader.uint(10, { min: WINDOW_MS_MIN, max: WINDOW_MS_MAX }),
    }
    reader.end()
    if (!CID_SHAPE.test(call.model))
      throw new CodecError('malformed open call: the model is no address of one')
    return call
  })
}

/**
 * The id of a call: 64 hexadecimal digits of SHA-256("verimesh/open-call/1\0" author "\0" call), the author as the text
 * of its peer id. Somebody else's words are another call, and an offer for it is no offer for this one.
 */
export function openCallId(author: string, call: Uint8Array): string {
  return createHash('sha256').update(ID_DOMAIN).update(author).update('\0').update(call).digest('hex')
}

/** Tells what the codec and the envelope refuse in this module's words. */
export function asOpenCallErrors<Value>(act: () => Value): Value {
  try {
    return act()
  } catch (cause) {
    if (!(cause instanceof CodecError)) throw cause
    throw new OpenCallError('malformed', cause.message, { cause })
  }
}

const VERSION = 1
/** From 1 on the wire; 0 is any. */
const LANES: readonly Lane[] = ['native', 'exact']
/** One hour, as long as a provider may be asked to work on one job. */
const TIMEOUT_MS_MAX = 60 * 60 * 1000
/** As in a job: a CIDv1 in lowercase base32. */
const CID_SHAPE = /^b[a-z2-7]+$/
/** Separates this use of SHA-256 from every other in the project. */
const ID_DOMAIN = 'verimesh/open-call/1\0'
