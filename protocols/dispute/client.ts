import type { Connection, Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { createTensorDigest, PAYLOAD_BYTES_MAX } from '../../models/tensor/index.ts'
import { type Clock, encodeFrame, FramedStream, SYSTEM_CLOCK } from '../framing/index.ts'
import { openTraceCommitment, ReceiptError, readJob, receiptDigest } from '../receipt/index.ts'
import { nameHangUp, withinLimits } from './call.ts'
import {
  DISPUTE_PROTOCOL,
  GRACE_MS,
  OPEN_MS,
  REPLY_BYTES_MAX,
  SESSIONS_PER_PEER_MAX,
  TIMEOUT_MS_MAX,
  WAITING_MAX,
} from './constants.ts'
import { DisputeError } from './errors.ts'
import { decodeReply, encodeDemand, type ReplyMessage } from './messages.ts'
import { createPlaces } from './places.ts'
import { type SignedRefusal, verifyRefusal } from './refusal.ts'
import { createSession, type DisputeSession, type VerifiedCommitment } from './session.ts'

export interface DisputeClient {
  /**
   * Demands a trace of `peer` (a peer id) and waits for its commitment. Rejects with DisputeError, see `faultOf`.
   * Aborting `signal` resets the stream. A session that comes must be closed.
   */
  open(peer: string, demand: Demand, signal?: AbortSignal): Promise<DisputeOpening>
  /** Fails everything that is under way with `aborted`, open sessions too. Idempotent. */
  close(): void
}

export interface Demand {
  /** The sealed job, signed by this node's key. */
  readonly job: Uint8Array
  readonly salt: Uint8Array
  /** The sealed receipt of the peer that is asked. */
  readonly receipt: Uint8Array
  /** Another provider's sealed receipt for the same job, about other outputs. */
  readonly conflicting: Uint8Array
  /** Canonical payload of the job's inputs. Not copied: it must not change until the demand was answered. */
  readonly inputs: Uint8Array
  /**
   * How long the commitment may take, waiting for a stream included; and so each answer after it. The provider is told a
   * little less, so that what it says in time is in time here.
   */
  readonly timeoutMs: number
  /** What this node can compare: the `version` of its exact runtime's info, and the root of the model's plan. */
  readonly expected: { readonly laneId: string; readonly planRoot: Uint8Array }
}

export type DisputeOpening =
  | { readonly kind: 'refused'; readonly refusal: SignedRefusal }
  | { readonly kind: 'committed'; readonly session: DisputeSession }

export interface DisputeClientComponents {
  readonly libp2p: Pick<Libp2p, 'dial' | 'getConnections'>
  readonly clock?: Clock
  /** Awaited between pieces of long digests, so that others get their turn. */
  readonly pause?: () => Promise<void>
}

export function createDisputeClient({
  libp2p,
  clock = SYSTEM_CLOCK,
  pause = turn,
}: DisputeClientComponents): DisputeClient {
  // For each peer only: how many peers there are at once is for the caller to say.
  const places = createPlaces({ max: Number.POSITIVE_INFINITY, perNameMax: SESSIONS_PER_PEER_MAX })
  const waiting = new Map<string, number>()
  const closing = new AbortController()

  async function takePlace(peer: string, signal: AbortSignal): Promise<() => void> {
    const before = waiting.get(peer) ?? 0
    if (before >= WAITING_MAX) {
      throw new DisputeError('too-many-disputes', `${before} disputes wait for ${peer} already`)
    }
    waiting.set(peer, before + 1)
    try {
      return await places.take(peer, signal)
    } finally {
      const left = waiting.get(peer)! - 1
      if (left > 0) waiting.set(peer, left)
      else waiting.delete(peer)
    }
  }

  async function dial(peer: string, signal: AbortSignal): Promise<Line> {
    try {
      const peerId = peerIdFromString(peer)
      const limit = AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)])
      const known = libp2p
        .getConnections(peerId)
        .find(({ status, limits }) => status === 'open' && limits === undefined)
      const connection = known ?? (await libp2p.dial(peerId, { signal: limit }))
      const stream = await connection.newStream(DISPUTE_PROTOCOL, {
        signal: limit,
        maxOutboundStreams: SESSIONS_PER_PEER_MAX,
      })
      return { framed: new FramedStream(stream, clock), connection }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new DisputeError('unreachable', `no stream to ${peer} could be opened: ${why}`, { cause })
    }
  }

  async function open(peer: string, demand: Demand, signal?: AbortSignal): Promise<DisputeOpening> {
    const startedAt = clock.now()
    let leavePlace: (() => void) | undefined
    let line: Line | undefined
    let isKept = false
    const end = (reason: Error) => {
      line?.framed.abort(reason)
      leavePlace?.()
    }
    try {
      const limits = { clock, timeoutMs: demand.timeoutMs, signals: [signal, closing.signal] }
      const opening = await withinLimits(limits, async (within, onBytes) => {
        leavePlace = await takePlace(peer, within)
        const { framed, connection } = await dial(peer, within)
        line = { framed, connection }
        const onStop = () => framed.abort(within.reason)
        within.addEventListener('abort', onStop)
        try {
          within.throwIfAborted()
          const leftMs = demand.timeoutMs - (clock.now() - startedAt)
          return await converse(framed, { peer, demand, leftMs, onBytes })
        } catch (error) {
          throw await nameHangUp(error, connection, clock)
        } finally {
          within.removeEventListener('abort', onStop)
        }
      })
      if (opening.kind === 'refused') return opening
      isKept = true
      const session = createSession({
        ...opening,
        ...line!,
        timeoutMs: demand.timeoutMs,
        clock,
        pause,
        closing: closing.signal,
        end,
      })
      return { kind: 'committed', session }
    } finally {
      if (!isKept) end(new DisputeError('aborted', 'the dispute is over'))
    }
  }

  return {
    open,
    close: () => closing.abort(new DisputeError('aborted', 'the client was closed')),
  }
}

/** A turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

type Conversation =
  | { readonly kind: 'refused'; readonly refusal: SignedRefusal }
  | ({
      readonly kind: 'committed'
      readonly bytes: { readonly sent: number; readonly received: number }
    } & VerifiedCommitment)

interface Line {
  readonly framed: FramedStream
  readonly connection: Connection
}

interface Asked {
  readonly peer: string
  readonly demand: Demand
  readonly leftMs: number
  readonly onBytes: () => void
}

async function converse(framed: FramedStream, asked: Asked): Promise<Conversation> {
  const { demand, peer, leftMs, onBytes } = asked
  const { inputs, salt } = demand
  const { commitment: jobCommitment } = readJob(demand.job)
  const header = encodeFrame(
    encodeDemand({
      job: demand.job,
      salt,
      receipt: demand.receipt,
      conflicting: demand.conflicting,
      inputBytes: inputs.byteLength,
      timeoutMs: Math.min(TIMEOUT_MS_MAX, Math.max(1, Math.ceil(leftMs - Math.min(GRACE_MS, leftMs / 4)))),
      laneId: demand.expected.laneId,
    }),
  )
  // A provider may refuse while the inputs are still on their way.
  const writing = framed.write(header, inputs)
  let isSent = writing === undefined
  const reading = framed.readFrame(REPLY_BYTES_MAX)
  const waitForBoth = () => {
    isSent = true
    return reading
  }
  const frame = await (writing === undefined ? reading : Promise.race([reading, writing.then(waitForBoth)]))
  const reply = decodeReply(frame)
  if (reply.kind === 'refused') {
    return { kind: 'refused', refusal: verifyRefusal(reply.refusal, peer, jobCommitment) }
  }
  if (reply.kind !== 'committed') throw new DisputeError('malformed', `${reply.kind} that nobody asked for`)
  if (!isSent) throw new DisputeError('malformed', 'the peer answered before it had the inputs')
  const commitment = verifyCommitment(reply, asked, jobCommitment)
  const digest = createTensorDigest(salt)
  // Not zeroed: every byte is written below, or the outputs are never seen.
  const outputs = new Uint8Array(Buffer.allocUnsafeSlow(reply.bytes).buffer)
  await framed.readBytes(outputs, (part) => {
    digest.update(part)
    onBytes()
  })
  if (Buffer.compare(digest.digest(), commitment.outputDigest) !== 0) {
    throw new DisputeError('wrong-outputs', `the outputs of ${peer} are not those of its commitment`)
  }
  const bytes = {
    sent: header.byteLength + inputs.byteLength,
    received: frame.byteLength + outputs.byteLength,
  }
  return {
    kind: 'committed',
    commitment,
    sealed: reply.commitment,
    provider: peer,
    jobCommitment,
    outputs,
    bytes,
  }
}

/** Opens a commitment and checks that it is the peer's, about this receipt and job, and can be compared. */
function verifyCommitment(
  reply: Extract<ReplyMessage, { kind: 'committed' }>,
  { peer, demand }: Asked,
  jobCommitment: Uint8Array,
): VerifiedCommitment['commitment'] {
  const { commitment, provider } = openStatement(reply.commitment)
  if (provider !== peer) wrongStatement(`the trace commitment is signed by ${provider}, not by ${peer}`)
  if (!equals(commitment.jobCommitment, jobCommitment)) {
    wrongStatement(`the trace commitment of ${peer} is about another job`)
  }
  if (!equals(commitment.receiptDigest, receiptDigest(demand.receipt))) {
    wrongStatement(`the trace commitment of ${peer} is about another receipt`)
  }
  const { laneId, planRoot } = demand.expected
  if (commitment.laneId !== laneId) {
    throw new DisputeError('not-comparable', `${peer} ran the lane ${commitment.laneId}, not ${laneId}`)
  }
  if (!equals(commitment.planRoot, planRoot)) {
    throw new DisputeError('not-comparable', `${peer} ran another plan of the model`)
  }
  if (commitment.outputBytes !== reply.bytes || reply.bytes > PAYLOAD_BYTES_MAX) {
    throw new DisputeError('wrong-outputs', `${peer} sends other outputs than it committed to`)
  }
  return commitment
}

function openStatement(sealed: Uint8Array): ReturnType<typeof openTraceCommitment> {
  try {
    return openTraceCommitment(sealed)
  } catch (cause) {
    if (!(cause instanceof ReceiptError)) throw cause
    throw new DisputeError('wrong-statement', `no trace commitment: ${cause.message}`, { cause })
  }
}

function wrongStatement(why: string): never {
  throw new DisputeError('wrong-statement', why)
}

function equals(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
