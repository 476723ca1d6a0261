/** The requester's side of an answer that is committed to before it is shown. */
import { type Clock, encodeFrame, type FramedStream } from '../framing/index.ts'
import { REPLY_BYTES_MAX, REVEAL_MS } from './constants.ts'
import { InferenceError } from './errors.ts'
import { decodeReply, encodeReveal, type ReplyMessage } from './messages.ts'
import { commitToOutput } from './output-commitment.ts'

export interface Committing {
  /** How long the provider has for it, waiting for a stream included; one minute at most. */
  readonly withinMs: number
  /** Called when it has committed. Its answer is asked for when this resolves; where it rejects, the request fails so. */
  readonly barrier: () => Promise<void>
}

type Shown = Exclude<ReplyMessage, { kind: 'refused' }>

/** Waits at the barrier and asks for the answer. Rejects with InferenceError, or as the barrier does. */
export async function reveal(
  stream: FramedStream,
  { barrier }: Committing,
  { jobCommitment, clock }: { readonly jobCommitment: Uint8Array; readonly clock: Clock },
): Promise<Shown> {
  const passing = barrier()
  // Nothing may come meanwhile but the end of the stream, which must not be noticed only after the wait.
  const failed = failing(stream)
  try {
    await Promise.race([passing, failed.promise])
  } finally {
    failed.end()
  }
  if (stream.unreadBytes > 0) throw new InferenceError('malformed', 'the peer shows its answer unasked')
  const unschedule = clock.schedule(
    () =>
      stream.abort(
        new InferenceError('withheld', `an answer was committed to and not shown in ${REVEAL_MS} ms`),
      ),
    REVEAL_MS,
  )
  try {
    await stream.write(encodeFrame(encodeReveal(jobCommitment)))
    const reply = decodeReply(await stream.readFrame(REPLY_BYTES_MAX))
    // It has the answer: nothing that a refusal could be about is left.
    if (reply.kind === 'refused') {
      throw new InferenceError('withheld', `an answer was committed to and then refused: ${reply.message}`)
    }
    return reply
  } finally {
    unschedule()
  }
}

/** Throws InferenceError `broken-commitment` unless the answer is what its commitment says, by the peer that was asked. */
export function verifyRevealed(
  committed: Shown,
  shown: Shown,
  about: { readonly jobCommitment: Uint8Array; readonly outputDigest: Uint8Array; readonly peer: string },
): void {
  const blinding = shown.kind === 'result' ? shown.blinding : undefined
  if (committed.kind !== 'committed') {
    if (blinding === undefined) return
    throw new InferenceError('malformed', 'the peer opens a commitment that it has not made')
  }
  const { jobCommitment, outputDigest, peer: peerId } = about
  if (blinding !== undefined) {
    const opened = commitToOutput({ blinding, jobCommitment, outputDigest, peerId })
    if (Buffer.compare(opened, committed.commitment) === 0) return
  }
  throw new InferenceError('broken-commitment', 'the answer is not the one that the peer had committed to')
}

/** Rejects when the stream ends. */
function failing({ stream }: FramedStream): { readonly promise: Promise<never>; end(): void } {
  const { promise, reject } = Promise.withResolvers<never>()
  const onClose = () => reject(new InferenceError('hung-up', 'the peer hung up after it had committed'))
  stream.addEventListener('close', onClose)
  if (stream.status !== 'open') onClose()
  return { promise, end: () => stream.removeEventListener('close', onClose) }
}
