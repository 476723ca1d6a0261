import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { allocatePayload } from '../../models/tensor/index.ts'
import type { Signer } from '../envelope/index.ts'
import { type Clock, FramedStream, SYSTEM_CLOCK } from '../framing/index.ts'
import type { ReadJob } from '../receipt/index.ts'
import { createDisputeBudget, type DisputeLimits } from './budget.ts'
import {
  BYTES_PER_MS,
  DEMAND_BYTES_MAX,
  DEMAND_MS,
  DISPUTE_PROTOCOL,
  INBOUND_STREAMS_MAX,
  INPUTS_MS,
  INPUTS_START_MS,
  PARTING_MS,
  PLACE_RETRY_AFTER_MS,
  SESSIONS_PER_PEER_MAX,
  STALL_MS,
  TRACES_MAX,
  TRACES_PER_PEER_MAX,
} from './constants.ts'
import {
  type DemandContext,
  DemandRefused,
  readDemandedJob,
  type VerifiedDemand,
  verifyDemand,
  withInputs,
} from './demand.ts'
import { asDisputeError, DisputeError } from './errors.ts'
import { type DemandMessage, decodeDemand } from './messages.ts'
import { createPlaces } from './places.ts'
import { answerQuestions, type Committed } from './questions.ts'
import type { Refusal } from './refusal.ts'
import { attempt, isGone, type ServerSession, sendRefusal, sendReply } from './server-session.ts'

export type DisputeAnswer =
  | ({ readonly kind: 'refused' } & Refusal)
  | ({ readonly kind: 'committed' } & Committed)

export interface DisputeServerComponents {
  readonly libp2p: Pick<Libp2p, 'handle' | 'unhandle'>
  /** This node's key: it signs refusals, and receipts by it are its own. */
  readonly signer: Signer
  /**
   * Traces what a demand is about. Everything in the demand was verified, its inputs too. `signal` is aborted when the
   * requester is gone, or when its time is over; the answer is not sent then, and the place is kept until this settles.
   */
  readonly handler: (demand: VerifiedDemand, signal: AbortSignal) => Promise<DisputeAnswer>
  /** Told when a stream was reset because its peer broke the protocol, or when the handler threw. */
  readonly onError?: (remotePeer: string, error: Error) => void
  readonly clock?: Clock
  /** Wall time in milliseconds since 1970. */
  readonly wallClock?: () => number
  /** The defaults are in `constants.ts`. */
  readonly limits?: Partial<DisputeLimits> & {
    /** Traces at the same time, in all and for one peer. */
    readonly tracesMax?: number
    readonly tracesPerPeerMax?: number
  }
}

export interface DisputeServer {
  /** Takes demands from now on. */
  start(): Promise<void>
  /** Takes no more, refuses what is open, aborts what runs and resets the streams. Idempotent. */
  stop(): Promise<void>
}

export function createDisputeServer(components: DisputeServerComponents): DisputeServer {
  const { libp2p, clock = SYSTEM_CLOCK, limits = {} } = components
  const budget = createDisputeBudget(limits)
  const traces = createPlaces({
    max: limits.tracesMax ?? TRACES_MAX,
    perNameMax: limits.tracesPerPeerMax ?? TRACES_PER_PEER_MAX,
  })
  const sessions = new Map<ServerSession, Serving>()

  async function onStream(stream: Stream, connection: Connection): Promise<void> {
    const framed = new FramedStream(stream, clock)
    const session: ServerSession = {
      signer: components.signer,
      onError: components.onError,
      framed,
      clock,
      budget,
      traces,
      remotePeer: connection.remotePeer.toString(),
      wallClock: components.wallClock ?? Date.now,
      isWriting: false,
    }
    const serving: Serving = { jobCommitment: undefined }
    sessions.set(session, serving)
    stream.addEventListener('close', () => sessions.delete(session))
    try {
      await serveDispute(components, session, serving)
      serving.jobCommitment = undefined
      await stream.close({ signal: AbortSignal.timeout(STALL_MS) })
      linger(session)
    } catch (thrown) {
      tellError(session, thrown)
    }
  }

  return {
    start: () =>
      libp2p.handle(DISPUTE_PROTOCOL, onStream, {
        maxInboundStreams: INBOUND_STREAMS_MAX,
        maxOutboundStreams: SESSIONS_PER_PEER_MAX,
      }),
    async stop() {
      await libp2p.unhandle(DISPUTE_PROTOCOL)
      await Promise.all([...sessions].map(([session, serving]) => part(session, serving)))
    },
  }
}

/** What is known of a stream. */
interface Serving {
  /** From when its demand was read until it was served: what a refusal is about. */
  jobCommitment: Uint8Array | undefined
}

/** The requester may still read what it was told last; but it does not keep the stream. */
function linger({ framed, clock }: ServerSession): void {
  const reset = () => framed.abort(new DisputeError('hung-up', 'the dispute is over'))
  if (framed.stream.status === 'open') {
    framed.stream.addEventListener('close', clock.schedule(reset, STALL_MS))
  }
}

/** A provider that stops says so, where nothing else is on its way: it is not to be taken for silent. */
async function part(session: ServerSession, { jobCommitment }: Serving): Promise<void> {
  const { framed, isWriting } = session
  const reason = new DisputeError('hung-up', 'the provider stops')
  try {
    if (jobCommitment !== undefined && !isWriting) {
      await sendRefusal(session, jobCommitment, STOPPING)
      await framed.stream.close({ signal: AbortSignal.timeout(PARTING_MS) })
    }
  } catch (cause) {
    reason.cause = cause
  }
  framed.abort(reason)
}

const STOPPING: Refusal = { code: 'cannot-trace', message: 'the provider stops', retryAfterMs: 0 }

function tellError({ framed, onError, remotePeer }: ServerSession, thrown: unknown): void {
  // A stream that closes under `close` rejects with an event instead of an error.
  const error =
    thrown instanceof Event ? new DisputeError('hung-up', 'the stream was closed') : asDisputeError(thrown)
  const reason = error instanceof Error ? error : new Error(String(error))
  framed.abort(reason)
  if (!(error instanceof DisputeError && error.code === 'hung-up')) onError?.(remotePeer, reason)
}

async function serveDispute(
  components: DisputeServerComponents,
  session: ServerSession,
  serving: Serving,
): Promise<void> {
  const { framed, clock } = session
  framed.limitReads(DEMAND_MS, clock.now() + DEMAND_MS)
  const message = decodeDemand(await framed.readFrame(DEMAND_BYTES_MAX))
  const demanded: Demanded = {
    message,
    job: readDemandedJob(message),
    cameAt: clock.now(),
    unreadBytes: message.inputBytes,
  }
  serving.jobCommitment = demanded.job.commitment
  const refusal = await serveDemand(components, session, demanded)
  if (refusal === undefined) return
  await sendRefusal(session, demanded.job.commitment, refusal)
  // What is still on its way passes by for a while: a reset would take the refusal with it.
  framed.limitReads(STALL_MS, clock.now() + STALL_MS)
  await framed.discardBytes(demanded.unreadBytes)
}

interface Demanded {
  readonly message: DemandMessage
  readonly job: ReadJob
  readonly cameAt: number
  unreadBytes: number
}

/** Serves a demand to its end; or tells why it does not, and holds nothing any more. */
async function serveDemand(
  components: DisputeServerComponents,
  session: ServerSession,
  demanded: Demanded,
): Promise<Refusal | undefined> {
  const { budget, traces, remotePeer } = session
  const { message, job, cameAt } = demanded
  // Looked at before anything is counted: who is told to come again has not used up its allowance.
  if (!traces.isFree(remotePeer)) return NO_PLACE
  const share = budget.admit(remotePeer, cameAt)
  if ('code' in share) return share
  const work: Work = { leavePlace: undefined, settled: Promise.resolve() }
  try {
    const noMemory = share.hold(message.inputBytes)
    if (noMemory !== undefined) return noMemory
    const demand = await verifiedOrRefusal(() => verifyDemand(message, job, contextOf(session)))
    if ('code' in demand) return demand
    const inputs = await readInputs(session, message)
    demanded.unreadBytes = 0
    const verified = await verifiedOrRefusal(() => withInputs(demand, inputs))
    if ('code' in verified) return verified
    // Not before the inputs are there: who sends them slowly keeps nobody else from being served.
    work.leavePlace = traces.tryTake(remotePeer)
    if (work.leavePlace === undefined) return NO_PLACE
    const answer = await trace(components, session, verified, { work, cameAt })
    if (answer.kind === 'refused') return answer
    const held = answer.leaves.reduce((sum, { byteLength }) => sum + byteLength, answer.outputs.byteLength)
    const noRoom = share.hold(held)
    if (noRoom !== undefined) return noRoom
    const { commitment, outputs } = answer
    await sendReply(session, { kind: 'committed', commitment, bytes: outputs.byteLength }, [outputs])
    return await answerQuestions(session, verified, answer, share)
  } finally {
    // What was told to stop may still run, and hold what it was given.
    work.settled.then(() => {
      work.leavePlace?.()
      share.release()
    })
  }
}

/** What a handler does for a demand, and the place that it has meanwhile. */
interface Work {
  leavePlace: (() => void) | undefined
  /** Never rejects. */
  settled: Promise<void>
}

const NO_PLACE: Refusal = {
  code: 'busy',
  message: 'other disputes are being traced',
  retryAfterMs: PLACE_RETRY_AFTER_MS,
}

function contextOf({ signer, remotePeer, wallClock }: ServerSession): DemandContext {
  return { remotePeer, self: signer.peerId, wallMs: wallClock() }
}

async function readInputs(
  { framed, clock }: ServerSession,
  { inputBytes }: DemandMessage,
): Promise<Uint8Array> {
  const inputsMs = Math.min(INPUTS_MS, INPUTS_START_MS + inputBytes / BYTES_PER_MS)
  framed.limitReads(STALL_MS, clock.now() + inputsMs)
  return framed.readBytes(allocatePayload(inputBytes))
}

async function verifiedOrRefusal<Value>(verify: () => Value | Promise<Value>): Promise<Value | Refusal> {
  try {
    return await verify()
  } catch (error) {
    if (!(error instanceof DemandRefused)) throw error
    return { code: 'invalid-demand', message: error.message, retryAfterMs: 0 }
  }
}

/** Has the handler trace. What it does not manage in the requester's time is refused before that is over. */
async function trace(
  { handler }: DisputeServerComponents,
  session: ServerSession,
  demand: VerifiedDemand,
  { work, cameAt }: { work: Work; cameAt: number },
): Promise<DisputeAnswer> {
  const limits = { fromMs: cameAt, timeoutMs: demand.timeoutMs }
  const { outcome, settled } = attempt(session, limits, (signal) => handler(demand, signal))
  work.settled = settled.then(() => work.leavePlace?.())
  try {
    const answer = await outcome
    return answer === 'late'
      ? cannotTrace('the trace was not done in the time that the demand allows')
      : answer
  } catch (thrown) {
    if (isGone(thrown)) throw thrown
    session.onError?.(session.remotePeer, thrown instanceof Error ? thrown : new Error(String(thrown)))
    return cannotTrace('the provider failed to trace this job')
  }
}

function cannotTrace(message: string): DisputeAnswer {
  return { kind: 'refused', code: 'cannot-trace', message, retryAfterMs: 0 }
}
