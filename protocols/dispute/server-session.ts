import type { Signer } from '../envelope/index.ts'
import { type Clock, encodeFrame, type FramedStream } from '../framing/index.ts'
import type { DisputeBudget } from './budget.ts'
import { ANSWER_MS, BYTES_PER_MS, NOT_DONE_MARGIN_MS } from './constants.ts'
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
  /** Whether an answer is on its way, so that nothing may be put behind it. */
  isWriting: boolean
}

/** Something that is done for a requester, as long as it wants it. */
export interface Attempt<Value> {
  /**
   * What came of it; `late` as soon as the time was over. Rejects as the work does, and with DisputeError `hung-up` as soon as
   * the requester is gone.
   */
  readonly outcome: Promise<Value | 'late'>
  /** When the work has ended, which may be later: it was told to stop. Never rejects. */
  readonly settled: Promise<void>
}

/** Begins `work` for a requester that waits for `timeoutMs` from `fromMs` (the clock's time) on. */
export function attempt<Value>(
  { framed, clock }: ServerSession,
  { fromMs, timeoutMs }: { readonly fromMs: number; readonly timeoutMs: number },
  work: (signal: AbortSignal) => Promise<Value>,
): Attempt<Value> {
  const controller = new AbortController()
  const { signal } = controller
  const onClose = () => controller.abort(new DisputeError('hung-up', 'the requester is gone'))
  let isLate = false
  const margin = Math.min(NOT_DONE_MARGIN_MS, timeoutMs / 4)
  const unschedule = clock.schedule(
    () => {
      isLate = !signal.aborted
      controller.abort(new DisputeError('silent', 'the time of the requester is over'))
    },
    Math.max(0, fromMs + timeoutMs - margin - clock.now()),
  )
  framed.stream.addEventListener('close', onClose)
  if (framed.stream.status !== 'open') onClose()
  const running = work(signal)
  const conclude = async (): Promise<Value | 'late'> => {
    try {
      const value = await Promise.race([running, whenAborted(signal)])
      return isLate ? 'late' : value
    } catch (error) {
      if (isLate) return 'late'
      throw signal.aborted ? signal.reason : error
    } finally {
      unschedule()
      framed.stream.removeEventListener('close', onClose)
    }
  }
  const ended = () => undefined
  return { outcome: conclude(), settled: running.then(ended, ended) }
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

/** Whether that is why nobody is left to be told. */
export function isGone(error: unknown): boolean {
  return error instanceof DisputeError && error.code === 'hung-up'
}

/** Sends a reply and what follows it. A requester that does not take it is cut off. */
export async function sendReply(
  session: ServerSession,
  message: ReplyMessage,
  raw: readonly Uint8Array[] = [],
): Promise<void> {
  const { framed, clock } = session
  const writing = framed.write(encodeFrame(encodeReply(message)), ...raw)
  if (writing === undefined) return
  const bytes = raw.reduce((sum, { byteLength }) => sum + byteLength, 0)
  const takenMs = ANSWER_MS + bytes / BYTES_PER_MS
  const unschedule = clock.schedule(
    () => framed.abort(new DisputeError('silent', `an answer was not taken in ${Math.round(takenMs)} ms`)),
    takenMs,
  )
  session.isWriting = true
  try {
    await writing
  } finally {
    session.isWriting = false
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
