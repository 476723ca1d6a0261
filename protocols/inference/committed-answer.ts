/** The provider's side of an answer that is committed to before it is shown. */
import { randomBytes } from 'node:crypto'
import type { Clock, FramedStream } from '../framing/index.ts'
import { openReceipt } from '../receipt/index.ts'
import { createInputBudget, type InputBudget } from './budget.ts'
import { NODE_COMMITTED_BYTES_MAX, PEER_COMMITTED_BYTES_MAX, REVEAL_BYTES_MAX } from './constants.ts'
import { InferenceError } from './errors.ts'
import { decodeReveal, type Refusal, type ReplyMessage } from './messages.ts'
import { BLINDING_BYTES, commitToOutput } from './output-commitment.ts'

export interface KeptAnswer {
  readonly kind: 'result'
  readonly outputs: Uint8Array
  readonly receipt: Uint8Array
}

export type Committed = Extract<ReplyMessage, { kind: 'committed' }>

export interface Keeping {
  readonly framed: FramedStream
  readonly remotePeer: string
  /** Counts what is kept. */
  readonly committed: InputBudget
  readonly clock: Clock
  readonly answer: KeptAnswer
  readonly jobCommitment: Uint8Array
  /** This provider's own. */
  readonly peerId: string
  /** Until when the requester may ask, in the clock's time. */
  readonly untilMs: number
}

/** What is kept until it is asked for, by peer and in all. */
export function createCommittedBudget({
  peerCommittedBytesMax = PEER_COMMITTED_BYTES_MAX,
  nodeCommittedBytesMax = NODE_COMMITTED_BYTES_MAX,
}: {
  peerCommittedBytesMax?: number
  nodeCommittedBytesMax?: number
} = {}): InputBudget {
  return createInputBudget({
    peerInputBytesMax: peerCommittedBytesMax,
    nodeInputBytesMax: nodeCommittedBytesMax,
  })
}

/**
 * Sends the commitment, waits to be asked and then sends the answer with what opens the commitment. Refuses as busy where
 * there is no room to keep the answer. Rejects, so that the stream is reset, when the requester asks for another job's
 * answer, for nothing in time, or is gone.
 */
export async function commitAnswer(
  keeping: Keeping,
  send: (
    reply: KeptAnswer | Committed | ({ kind: 'refused' } & Refusal),
    blinding?: Uint8Array,
  ) => Promise<void>,
): Promise<void> {
  const { framed, remotePeer, committed, clock, answer, jobCommitment, peerId, untilMs } = keeping
  const bytes = answer.outputs.byteLength
  const kept = committed.reserve(remotePeer, bytes, clock.now(), () => {})
  if ('code' in kept) return send({ kind: 'refused', ...kept, message: NO_ROOM })
  // All of it is here: it is not slow, and gives way to nobody.
  kept.received(bytes)
  try {
    const blinding = randomBytes(BLINDING_BYTES)
    const { outputDigest } = openReceipt(answer.receipt).receipt
    const commitment = commitToOutput({ blinding, jobCommitment, outputDigest, peerId })
    await send({ kind: 'committed', jobCommitment, commitment })
    framed.limitReads(Number.POSITIVE_INFINITY, untilMs)
    const asked = decodeReveal(await framed.readFrame(REVEAL_BYTES_MAX))
    if (Buffer.compare(asked, jobCommitment) !== 0) {
      throw new InferenceError('wrong-job', 'the requester asks for the answer to another job')
    }
    await send(answer, blinding)
  } finally {
    kept.release()
  }
}

const NO_ROOM = 'no memory to keep this answer until it is asked for: others wait here already'
