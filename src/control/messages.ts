/**
 * What travels over the control socket: HTTP/1.1 on a unix socket. Questions and their answers are JSON; a job and
 * what becomes of it are a sequence of messages, each a JSON part and a binary part:
 *
 *     message := jsonBytes:u32le binaryBytes:u32le json binary
 */
import type { Lane } from '../../models/runtime/index.ts'
import type { Tensor } from '../../models/tensor/index.ts'
import type { DisputeReport, JobProgress, PolicyName } from '../node/index.ts'
import type { JobFailure } from '../requester/index.ts'
import type { Verdict } from '../verification/index.ts'
import { CONTROL_BINARY_BYTES_MAX, CONTROL_JSON_BYTES_MAX } from './constants.ts'
import { ControlError } from './errors.ts'

/** Opens a job; the binary part is the payload of its inputs. Of a `probe` it is empty: the node draws them. */
export interface SubmitMessage {
  readonly type: 'submit' | 'probe'
  readonly model: string
  readonly policy?: PolicyName
  readonly risk?: number
  readonly value?: number
  readonly floorRate?: number
  readonly instructionSet?: string
  readonly lane?: Lane
  readonly recomputeRate?: number
  readonly publicDisputes?: boolean
  readonly canaryRate?: number
  readonly openCall?: boolean
  readonly replicas?: number
  readonly quorum?: number
  readonly timeoutMs?: number
  readonly tau?: number
  readonly bundleDirectory?: string
  readonly digestsOnly?: boolean
}

export type JobMessage =
  | { readonly type: 'progress'; readonly progress: JobProgress }
  /** The binary part is the payload of the accepted outputs. */
  | {
      readonly type: 'settled'
      readonly jobId: string
      readonly model: string
      readonly verdict: Verdict
      readonly wrong?: number
      readonly elapsedMs: number
    }
  | {
      readonly type: 'closed'
      readonly verdict: Verdict
      readonly answers: readonly { readonly provider: string; readonly agreed: boolean }[]
      readonly disputes: readonly DisputeReport[]
      readonly bundle: string | undefined
      readonly bundleError: string | undefined
    }
  | { readonly type: 'failed'; readonly failure: JobFailure }
  | { readonly type: 'error'; readonly name: string; readonly code: string; readonly message: string }

export interface Message<T> {
  readonly json: T
  readonly binary: Uint8Array
}

const NOTHING = new Uint8Array(0)
const HEADER_BYTES = 8

/** The parts of one message, to be written one after the other. */
export function encodeMessage(json: SubmitMessage | JobMessage, binary: Uint8Array = NOTHING): Uint8Array[] {
  const text = Buffer.from(JSON.stringify(json), 'utf8')
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(text.byteLength, 0)
  header.writeUInt32LE(binary.byteLength, 4)
  return [header, text, binary]
}

/** Reads messages from a stream of bytes until it ends. Throws ControlError `malformed` on a bad or cut one. */
export async function* decodeMessages<T>(source: AsyncIterable<Uint8Array>): AsyncGenerator<Message<T>> {
  let chunks: Uint8Array[] = []
  let held = 0
  let needed = HEADER_BYTES
  let parts: { json: number; binary: number } | undefined
  for await (const chunk of source) {
    chunks.push(chunk)
    held += chunk.byteLength
    while (held >= needed) {
      const all =
        chunks.length === 1
          ? Buffer.from(chunks[0]!.buffer, chunks[0]!.byteOffset, held)
          : Buffer.concat(chunks)
      if (parts === undefined) {
        parts = { json: all.readUInt32LE(0), binary: all.readUInt32LE(4) }
        if (parts.json > CONTROL_JSON_BYTES_MAX || parts.binary > CONTROL_BINARY_BYTES_MAX) {
          throw new ControlError('malformed', 'a message on the control socket is too long')
        }
        needed = HEADER_BYTES + parts.json + parts.binary
        chunks = [all]
        continue
      }
      const binaryAt = HEADER_BYTES + parts.json
      yield {
        json: parse(all.subarray(HEADER_BYTES, binaryAt)) as T,
        // A copy: payload decoding wants its own alignment, and the rest of the buffer must not be kept alive.
        binary: Uint8Array.prototype.slice.call(all, binaryAt, needed),
      }
      chunks = [all.subarray(needed)]
      held -= needed
      needed = HEADER_BYTES
      parts = undefined
    }
  }
  if (held > 0) throw new ControlError('malformed', 'the control socket closed in the middle of a message')
}

/** Reads a JSON body of bounded length. */
export async function readJson(source: AsyncIterable<Uint8Array>): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let held = 0
  for await (const chunk of source) {
    held += chunk.byteLength
    if (held > CONTROL_JSON_BYTES_MAX)
      throw new ControlError('malformed', 'a body on the control socket is too long')
    chunks.push(chunk)
  }
  return parse(Buffer.concat(chunks))
}

/** An error as JSON, whatever was asked. */
export interface ErrorJson {
  readonly name: string
  readonly code: string
  readonly message: string
  /** Of a JobError. */
  readonly failure?: JobFailure
}

/** A described model as JSON: its files in base64. */
export interface DescriptionJson {
  readonly cid: string
  readonly manifest: unknown
  readonly files: readonly { readonly path: string; readonly base64: string }[]
}

/** Nothing of other providers' outputs goes over the socket: only what they said. */
export const NO_OUTPUTS: readonly Tensor[] = []

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw new ControlError('malformed', 'a message on the control socket is not JSON', { cause })
  }
}
