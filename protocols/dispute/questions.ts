/** What a provider answers after its commitment, as long as the stream is open. */
import { FramingError } from '../framing/index.ts'
import type { Share } from './budget.ts'
import {
  PLACE_RETRY_AFTER_MS,
  QUESTION_BYTES_MAX,
  QUESTIONS_MAX,
  SESSION_IDLE_MS,
  SESSION_MS,
} from './constants.ts'
import type { VerifiedDemand } from './demand.ts'
import { DisputeError } from './errors.ts'
import { decodeQuestion, type QuestionMessage } from './messages.ts'
import { encodeLeaves, positionOf } from './payloads.ts'
import type { Refusal } from './refusal.ts'
import { attempt, isGone, type ServerSession, sendRefusal, sendReply } from './server-session.ts'

/** A trace, and the provider's word for it. */
export interface Committed {
  /** The sealed trace commitment: about this job, this node's receipt, these leaves and these outputs. */
  readonly commitment: Uint8Array
  /** Canonical payload of the exact outputs. */
  readonly outputs: Uint8Array
  /** Encoded, in the order of execution. */
  readonly leaves: readonly Uint8Array[]
  /**
   * Canonical payload of what the step at `position`, which one of `leaves` has, was given: its distinct operands, each
   * named by the hex of its digest. Undefined where it cannot be had.
   */
  operandsOf(position: string, signal: AbortSignal): Promise<Uint8Array | undefined>
}

/**
 * Answers questions until the requester closes the stream. Resolves with why it ends the dispute where it does: after a
 * bounded time, since all of this lies in memory, and in words, since the requester may only have waited for others.
 */
export async function answerQuestions(
  session: ServerSession,
  demand: VerifiedDemand,
  committed: Committed,
  share: Share,
): Promise<Refusal | undefined> {
  const endsAt = session.clock.now() + SESSION_MS
  const questions = new Set<string>()
  for (;;) {
    const question = await readQuestion(session, endsAt)
    if (question === 'none') return undefined
    if (question === 'late') return EXPIRED
    verifyNew(questions, question)
    if (question.kind === 'leaves') await sendLeaves(session, committed.leaves)
    else {
      const refusal = await sendOperands(session, demand, committed, { position: question.position, share })
      if (refusal !== undefined) await sendRefusal(session, demand.job.commitment, refusal)
    }
  }
}

const EXPIRED: Refusal = {
  code: 'busy',
  message: 'the dispute was open for too long: demand the trace again',
  retryAfterMs: PLACE_RETRY_AFTER_MS,
}

/** What was asked for once is not asked for again: it would only cost. */
function verifyNew(questions: Set<string>, question: QuestionMessage): void {
  const key = question.kind === 'leaves' ? '' : question.position
  if (questions.has(key)) throw new DisputeError('malformed', 'the same was asked for twice')
  if (questions.size === QUESTIONS_MAX)
    throw new DisputeError('malformed', `more than ${QUESTIONS_MAX} questions`)
  questions.add(key)
}

async function sendLeaves(session: ServerSession, leaves: readonly Uint8Array[]): Promise<void> {
  const raw = encodeLeaves(leaves)
  const bytes = raw.reduce((sum, { byteLength }) => sum + byteLength, 0)
  await sendReply(session, { kind: 'leaves', bytes }, raw)
}

/** `none` when the requester wants nothing more. */
async function readQuestion(
  { framed }: ServerSession,
  endsAt: number,
): Promise<QuestionMessage | 'none' | 'late'> {
  framed.limitReads(SESSION_IDLE_MS, endsAt)
  try {
    return decodeQuestion(await framed.readFrame(QUESTION_BYTES_MAX))
  } catch (error) {
    if (!(error instanceof FramingError)) throw error
    // Whether it hangs up politely or not: it has what it wanted.
    if (error.code === 'hung-up') return 'none'
    if (error.code === 'timeout') return 'late'
    throw error
  }
}

/** Runs the model once more, so it waits for a place, those who are in line first; or tells why it does not. */
async function sendOperands(
  session: ServerSession,
  { timeoutMs }: VerifiedDemand,
  { leaves, operandsOf }: Committed,
  { position, share }: { readonly position: string; readonly share: Share },
): Promise<Refusal | undefined> {
  const { clock, traces, remotePeer, onError } = session
  const cannotTrace = {
    code: 'cannot-trace',
    message: `the operands of ${position} cannot be had`,
    retryAfterMs: 0,
  } as const
  if (!leaves.some((leaf) => positionOf(leaf) === position)) {
    return { code: 'invalid-demand', message: `the trace has no position ${position}`, retryAfterMs: 0 }
  }
  let payload: Uint8Array | 'late' | undefined
  try {
    const { outcome } = attempt(session, { fromMs: clock.now(), timeoutMs }, async (signal) => {
      const leavePlace = await traces.take(remotePeer, signal)
      try {
        return await operandsOf(position, signal)
      } finally {
        leavePlace()
      }
    })
    payload = await outcome
  } catch (thrown) {
    if (isGone(thrown)) throw thrown
    onError?.(remotePeer, thrown instanceof Error ? thrown : new Error(String(thrown)))
    return cannotTrace
  }
  if (payload === undefined) return cannotTrace
  if (payload === 'late') {
    return { code: 'busy', message: 'there was no time for the operands', retryAfterMs: PLACE_RETRY_AFTER_MS }
  }
  const noRoom = share.hold(payload.byteLength)
  if (noRoom !== undefined) return noRoom
  try {
    await sendReply(session, { kind: 'operands', bytes: payload.byteLength }, [payload])
    return undefined
  } finally {
    share.drop(payload.byteLength)
  }
}
