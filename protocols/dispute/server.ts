import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { allocatePayload } from '../../models/tensor/index.ts'
import type { Signer } from '../envelope/index.ts'
import { type Clock, FramedStream, SYSTEM_CLOCK } from '../framing/index.ts'
import type { ReadJob } from '../receipt/index.ts'
import { createDisputeBudget, type DisputeLimits } from './budget.ts'
import {
  DEMAND_BYTES_MAX,
  DEMAND_MS,
  DISPUTE_PROTOCOL,
  INBOUND_STREAMS_MAX,
  INPUT_BYTES_PER_MS,
  INPUTS_MS,
  INPUTS_START_MS,
  NOT_DONE_MARGIN_MS,
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
import { type ServerSession, sendRefusal, sendReply } from './server-session.ts'

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
  /** Takes no more, aborts what runs and resets what is open. Idempotent. */
  stop(): Promise<void>
}

export function createDisputeServer(components: DisputeServerComponents): DisputeServer {
  const { libp2p, clock = SYSTEM_CLOCK, limits = {} } = components
  const budget = createDisputeBudget(limits)
  const traces = createPlaces({
    max: limits.tracesMax ?? TRACES_MAX,
    perNameMax: limits.tracesPerPeerMax ?? TRACES_PER_PEER_MAX,
  })
  const sessions = new Set<ServerSession>()

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
    }
    sessions.add(session)
    try {
      await serveDispute(components, session)
      await stream.close({ signal: AbortSignal.timeout(STALL_MS) })
    } catch (thrown) {
      tellError(session, thrown)
    } finally {
      sessions.delete(session)
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
      for (const { framed } of sessions) framed.abort(new DisputeError('hung-up', 'the provider stops'))
    },
  }
}

function tellError({ framed, onError, remotePeer }: ServerSession, thrown: unknown): void {
  // A stream that closes under `close` rejects with an event instead of an error.
  const error =
    thrown instanceof Event ? new DisputeError('hung-up', 'the stream was closed') : asDisputeError(thrown)
  const reason = error instanceof Error ? error : new Error(String(error))
  framed.abort(reason)
  if (!(error instanceof DisputeError && error.code === 'hung-up')) onError?.(remotePeer, reason)
}

async function serveDispute(components: DisputeServerComponents, session: ServerSession): Promise<void> {
  const { framed, clock } = session
  framed.limitReads(DEMAND_MS, clock.now() + DEMAND_MS)
  const message = decodeDemand(await framed.readFrame(DEMAND_BYTES_MAX))
  const demanded: Demanded = {
    message,
    job: readDemandedJob(message),
    cameAt: clock.now(),
    unreadBytes: message.inputBytes,
  }
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
    await answerQuestions(session, verified, answer, share)
    return undefined
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
  const inputsMs = Math.min(INPUTS_MS, INPUTS_START_MS + inputBytes / INPUT_BYTES_PER_MS)
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
  { framed, clock, onError, remotePeer }: ServerSession,
  demand: VerifiedDemand,
  { work, cameAt }: { work: Work; cameAt: number },
): Promise<DisputeAnswer> {
  const controller = new AbortController()
  const { signal } = controller
  const onClose = () => controller.abort(new DisputeError('hung-up', 'the requester is gone'))
  const spare = Math.min(NOT_DONE_MARGIN_MS, demand.timeoutMs / 4)
  const unschedule = clock.schedule(
    () => controller.abort(new DisputeError('silent', "the requester's time is over")),
    Math.max(0, cameAt + demand.timeoutMs - spare - clock.now()),
  )
  framed.stream.addEventListener('close', onClose)
  if (framed.stream.status !== 'open') onClose()
  try {
    const running = handler(demand, signal)
    const leave = () => work.leavePlace?.()
    work.settled = running.then(leave, leave)
    const answer = await Promise.race([running, whenAborted(signal)])
    return signal.aborted ? stopped(signal) : answer
  } catch (thrown) {
    if (signal.aborted) return stopped(signal)
    onError?.(remotePeer, thrown instanceof Error ? thrown : new Error(String(thrown)))
    return cannotTrace('the provider failed to trace this job')
  } finally {
    unschedule()
    framed.stream.removeEventListener('close', onClose)
  }
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

/** Throws where nobody is left to be told. */
function stopped({ reason }: AbortSignal): DisputeAnswer {
  if (reason instanceof DisputeError && reason.code === 'silent') {
    return cannotTrace('the trace was not done in the time that the demand allows')
  }
  throw reason
}

function cannotTrace(message: string): DisputeAnswer {
  return { kind: 'refused', code: 'cannot-trace', message, retryAfterMs: 0 }
}
