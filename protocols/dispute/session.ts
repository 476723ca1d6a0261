import type { Connection } from '@libp2p/interface'
import { allocatePayload } from '../../models/tensor/index.ts'
import { decodeLeaf, LEAF_BYTES_MAX, TraceError } from '../../models/trace/index.ts'
import { type Clock, encodeFrame, type FramedStream } from '../framing/index.ts'
import type { TraceCommitment } from '../receipt/index.ts'
import { nameHangUp, withinLimits } from './call.ts'
import { LEAVES_PAYLOAD_BYTES_MAX, QUESTIONS_MAX, REPLY_BYTES_MAX } from './constants.ts'
import { DisputeError } from './errors.ts'
import { decodeReply, encodeQuestion, type QuestionMessage } from './messages.ts'
import { decodeLeaves, positionOf, rootOfLeaves, verifyOperands } from './payloads.ts'
import { verifyRefusal } from './refusal.ts'

/** What a provider committed to, everything in it verified against what was asked. */
export interface VerifiedCommitment {
  readonly commitment: TraceCommitment
  /** As it came: what a proof would hold. */
  readonly sealed: Uint8Array
  readonly provider: string
  readonly jobCommitment: Uint8Array
  /** The exact run's outputs, in memory of their own: they have the digest of the commitment, and nothing else is known. */
  readonly outputs: Uint8Array
}

/** An open dispute with one provider. Its questions are asked one after the other. */
export interface DisputeSession extends VerifiedCommitment {
  /**
   * All encoded leaves of the trace, in order: as many as committed to, and with that root. What is inside of them is the
   * referee's to judge. Asked for once; later calls give the same. Rejects with DisputeError.
   */
  leaves(signal?: AbortSignal): Promise<readonly Uint8Array[]>
  /**
   * Canonical payload of what the step at `position` was given; each tensor hashes to its name. Once the leaves are there,
   * each is one of that leaf's operands; that none is missing is not verified here. Rejects with DisputeError; throws
   * RangeError where no leaf has that position, or for more than 16 of them. Asked for once; later calls give the same.
   */
  operands(position: string, signal?: AbortSignal): Promise<Uint8Array>
  /** Bytes of frames and payloads so far, without what muxer, encryption and TCP add. */
  readonly bytes: { readonly sent: number; readonly received: number }
  /** Ends the dispute at once. Idempotent. */
  close(): void
}

export interface SessionParts extends VerifiedCommitment {
  readonly framed: FramedStream
  readonly connection: Connection
  readonly clock: Clock
  readonly pause: () => Promise<void>
  /** For each answer. */
  readonly timeoutMs: number
  readonly closing: AbortSignal
  readonly bytes: { readonly sent: number; readonly received: number }
  /** Resets the stream. Idempotent. */
  readonly end: (reason: Error) => void
}

export function createSession(parts: SessionParts): DisputeSession {
  const { framed, commitment, provider, sealed, jobCommitment, outputs, pause, closing, clock } = parts
  const bytes = { ...parts.bytes }
  let tail: Promise<unknown> = Promise.resolve()
  let leaves: Promise<readonly Uint8Array[]> | undefined
  let known: readonly Uint8Array[] | undefined
  let failure: unknown
  const operands = new Map<string, Promise<Uint8Array>>()
  const stopped = new AbortController()

  function close(): void {
    const reason = new DisputeError('aborted', 'the dispute was closed')
    stopped.abort(reason)
    closing.removeEventListener('abort', close)
    parts.end(reason)
  }
  closing.addEventListener('abort', close, { once: true })
  // So that a place is not kept for a session whose provider is gone.
  framed.stream.addEventListener('close', () =>
    parts.end(new DisputeError('hung-up', 'the stream was closed')),
  )

  /** One question at a time. After an answer that failed the stream is of no use any more. */
  function ask<Value>(
    question: QuestionMessage,
    signal: AbortSignal | undefined,
    take: (payload: Uint8Array) => Promise<Value>,
  ): Promise<Value> {
    const limits = { clock, timeoutMs: parts.timeoutMs, signals: [signal, stopped.signal] }
    const asking = tail.then(() => {
      if (failure !== undefined) throw failure
      return withinLimits(limits, async (within, onBytes) => {
        const onStop = () => framed.abort(within.reason)
        within.addEventListener('abort', onStop)
        try {
          return await take(await exchange(question, onBytes))
        } catch (error) {
          throw await nameHangUp(error, parts.connection, clock)
        } finally {
          within.removeEventListener('abort', onStop)
        }
      })
    })
    tail = asking.catch((error: unknown) => {
      if (error instanceof DisputeError && error.code === 'refused') return
      failure = error
      parts.end(new DisputeError('aborted', 'a question failed'))
    })
    return asking
  }

  async function exchange(question: QuestionMessage, onBytes: () => void): Promise<Uint8Array> {
    const asked = encodeFrame(encodeQuestion(question))
    try {
      await framed.write(asked)
      bytes.sent += asked.byteLength
    } catch (error) {
      // A provider that ends a dispute says so before: that lies here unread.
      if (framed.unreadBytes === 0) throw error
    }
    const frame = await framed.readFrame(REPLY_BYTES_MAX)
    bytes.received += frame.byteLength
    const reply = decodeReply(frame)
    if (reply.kind === 'refused') throw refused(reply.refusal, provider, jobCommitment)
    if (reply.kind !== question.kind) {
      throw new DisputeError('malformed', `${provider} answered ${question.kind} with ${reply.kind}`)
    }
    if (question.kind === 'leaves' && reply.bytes > leavesBytesMax(commitment.leafCount)) {
      throw new DisputeError('too-large', `${reply.bytes} bytes for ${commitment.leafCount} leaves`)
    }
    const payload = await framed.readBytes(allocatePayload(reply.bytes), onBytes)
    bytes.received += payload.byteLength
    return payload
  }

  async function takeLeaves(payload: Uint8Array): Promise<readonly Uint8Array[]> {
    const all = decodeLeaves(payload, commitment.leafCount)
    const root = await rootOfLeaves(all, pause)
    if (Buffer.compare(root, commitment.traceRoot) !== 0) {
      throw new DisputeError(
        'wrong-leaves',
        `the leaves of ${provider} do not have the root of its commitment`,
      )
    }
    known = all
    return all
  }

  return {
    commitment,
    sealed,
    provider,
    jobCommitment,
    outputs,
    bytes,
    leaves(signal) {
      leaves ??= ask({ kind: 'leaves' }, signal, takeLeaves)
      return leaves
    },
    operands(position, signal) {
      // A provider that is asked twice ends the dispute, and would be taken for one that hangs up.
      const before = operands.get(position)
      if (before !== undefined) return before
      if (operands.size === QUESTIONS_MAX - 1) throw new RangeError('the operands of too many steps')
      const allowed = known && operandsAt(known, position)
      const asking = ask({ kind: 'operands', position }, signal, async (payload) => {
        await verifyOperands(payload, allowed, pause)
        return payload
      })
      operands.set(position, asking)
      return asking
    },
    close,
  }
}

/** What a commitment leaves room for: ten bytes of a reply must not claim megabytes for a few leaves. */
function leavesBytesMax(leafCount: number): number {
  return Math.min(LEAVES_PAYLOAD_BYTES_MAX, leafCount * (4 + LEAF_BYTES_MAX))
}

function refused(sealed: Uint8Array, provider: string, jobCommitment: Uint8Array): DisputeError {
  const refusal = verifyRefusal(sealed, provider, jobCommitment)
  return new DisputeError('refused', `${provider} says no more: ${refusal.code}: ${refusal.message}`, {
    refusal,
  })
}

/** Hex of the operands of the leaf at `position`; undefined where that leaf cannot be read, which is for the referee. */
function operandsAt(leaves: readonly Uint8Array[], position: string): ReadonlySet<string> | undefined {
  const encoded = leaves.find((leaf) => positionOf(leaf) === position)
  if (encoded === undefined) throw new RangeError(`no leaf is at ${position}`)
  try {
    return new Set(decodeLeaf(encoded).operands.map((digest) => Buffer.from(digest).toString('hex')))
  } catch (error) {
    if (error instanceof TraceError) return undefined
    throw error
  }
}
