/** What a provider answers after its commitment, as long as the stream is open. */
import { FramingError } from '../framing/index.ts'
import type { Share } from './budget.ts'
import { ASK_BYTES_MAX, QUESTIONS_MAX, SESSION_IDLE_MS, SESSION_MS } from './constants.ts'
import type { VerifiedDemand } from './demand.ts'
import { DisputeError } from './errors.ts'
import { decodeQuestion, type QuestionMessage } from './messages.ts'
import { encodeLeaves, positionOf } from './payloads.ts'
import type { Refusal } from './refusal.ts'
import { type ServerSession, sendRefusal, sendReply } from './server-session.ts'

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

/** Answers questions until the requester closes the stream, for a bounded time. */
export async function answerQuestions(
  session: ServerSession,
  demand: VerifiedDemand,
  committed: Committed,
  share: Share,
): Promise<void> {
  const { framed, clock } = session
  const unschedule = clock.schedule(
    () => framed.abort(new DisputeError('silent', `a dispute may be open for ${SESSION_MS} ms`)),
    SESSION_MS,
  )
  try {
    const questions = new Set<string>()
    for (;;) {
      const question = await readQuestion(session)
      if (question === undefined) return
      verifyNew(questions, question)
      if (question.kind === 'leaves') await sendLeaves(session, committed.leaves)
      else {
        const refusal = await sendOperands(session, committed, question.position, share)
        if (refusal !== undefined) await sendRefusal(session, demand.job.commitment, refusal)
      }
    }
  } finally {
    unschedule()
  }
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

/** Undefined when the requester wants nothing more. */
async function readQuestion({ framed }: ServerSession): Promise<QuestionMessage | undefined> {
  framed.limitReads(SESSION_IDLE_MS)
  try {
    return decodeQuestion(await framed.readFrame(ASK_BYTES_MAX))
  } catch (error) {
    const isCutHere = error instanceof Error && error.cause instanceof DisputeError
    // Whether it hangs up politely or not: it has what it wanted.
    if (error instanceof FramingError && error.code === 'hung-up' && !isCutHere) return undefined
    throw error
  }
}

/** Runs the model once more, so it waits for a place as a demand would; or tells why it does not. */
async function sendOperands(
  session: ServerSession,
  { leaves, operandsOf }: Committed,
  position: string,
  share: Share,
): Promise<Refusal | undefined> {
  const { framed, traces, remotePeer, onError } = session
  if (!leaves.some((leaf) => positionOf(leaf) === position)) {
    return { code: 'invalid-demand', message: `the trace has no position ${position}`, retryAfterMs: 0 }
  }
  const controller = new AbortController()
  const onClose = () => controller.abort(new DisputeError('hung-up', 'the requester is gone'))
  framed.stream.addEventListener('close', onClose)
  if (framed.stream.status !== 'open') onClose()
  let payload: Uint8Array | undefined
  try {
    const leavePlace = await traces.take(remotePeer, controller.signal)
    try {
      payload = await operandsOf(position, controller.signal)
    } finally {
      leavePlace()
    }
  } catch (thrown) {
    controller.signal.throwIfAborted()
    onError?.(remotePeer, thrown instanceof Error ? thrown : new Error(String(thrown)))
  } finally {
    framed.stream.removeEventListener('close', onClose)
  }
  controller.signal.throwIfAborted()
  if (payload === undefined) {
    return { code: 'cannot-trace', message: `the operands of ${position} cannot be had`, retryAfterMs: 0 }
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
