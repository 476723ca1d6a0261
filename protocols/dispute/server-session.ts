import type { Signer } from '../envelope/index.ts'
import { type Clock, encodeFrame, type FramedStream } from '../framing/index.ts'
import type { DisputeBudget } from './budget.ts'
import { ANSWER_MS } from './constants.ts'
import { DisputeError } from './errors.ts'
import { encodeReply, type ReplyMessage } from './messages.ts'
import type { Places } from './places.ts'
import { type Refusal, sealRefusal } from './refusal.ts'

/** What one stream is served with. */
export interface ServerSession {
  readonly signer: Signer
  readonly onError: ((remotePeer: string, error: Error) => void) | undefined
  readonly framed: FramedStream
  readonly clock: Clock
  readonly budget: DisputeBudget
  readonly traces: Places
  readonly remotePeer: string
  readonly wallClock: () => number
}

/** Sends a reply and what follows it. A requester that does not take it is cut off. */
export async function sendReply(
  { framed, clock }: ServerSession,
  message: ReplyMessage,
  raw: readonly Uint8Array[] = [],
): Promise<void> {
  const writing = framed.write(encodeFrame(encodeReply(message)), ...raw)
  if (writing === undefined) return
  const unschedule = clock.schedule(
    () => framed.abort(new DisputeError('silent', `an answer was not taken in ${ANSWER_MS} ms`)),
    ANSWER_MS,
  )
  try {
    await writing
  } finally {
    unschedule()
  }
}

/** Sends a signed refusal about a job. */
export function sendRefusal(
  session: ServerSession,
  jobCommitment: Uint8Array,
  refusal: Refusal,
): Promise<void> {
  const { signer, wallClock } = session
  const sealed = sealRefusal(signer, { ...refusal, jobCommitment, refusedAtMs: wallClock() })
  return sendReply(session, { kind: 'refused', refusal: sealed })
}
