import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { allocatePayload } from '../../models/tensor/index.ts'
import { type Clock, encodeFrame, FramedStream, FramingError, SYSTEM_CLOCK } from '../framing/index.ts'
import { type Job, ReceiptError, readJob } from '../receipt/index.ts'
import { createInputBudget, type InputBudget } from './budget.ts'
import { type Committed, commitAnswer, createCommittedBudget } from './committed-answer.ts'
import {
  ANSWER_MS,
  INBOUND_STREAMS_MAX,
  INFERENCE_PROTOCOL,
  INPUTS_MS,
  PROVIDER_IDLE_MS,
  RECEIPT_FRAME_BYTES_MAX,
  REQUEST_BYTES_MAX,
  REVEAL_WAIT_MS,
  STALL_MS,
  STREAMS_MAX,
} from './constants.ts'
import { asInferenceError, InferenceError } from './errors.ts'
import { decodeRequest, encodeReply, type Refusal, type RequestMessage } from './messages.ts'

/** What is known of a request before its inputs are taken. */
export interface InferenceHeader {
  /** Peer id of who asks: the connection proved it, and the job names it as its requester. */
  readonly remotePeer: string
  /**
   * Well formed; its signature is verified only once the handler has begun, and before anything is answered. What a
   * handler begins may thus turn out to be for nothing: its signal is aborted then.
   */
  readonly job: Job
  readonly jobCommitment: Uint8Array
  readonly inputBytes: number
  /** How long the requester waits for the answer, or for the commitment to it, from when the request came. */
  readonly timeoutMs: number
}

export interface IncomingInference extends InferenceHeader {
  readonly salt: Uint8Array
  /** Canonical payload, as it came, in memory of its own. Its digest is not verified here: the runtime does. */
  readonly inputs: Uint8Array
}

export type InferenceAnswer =
  | { readonly kind: 'result'; readonly outputs: Uint8Array; readonly receipt: Uint8Array }
  | ({ readonly kind: 'refused' } & Refusal)

export interface InferenceServerComponents {
  readonly libp2p: Pick<Libp2p, 'handle' | 'unhandle' | 'peerId'>
  /** Answers a request. `signal` is aborted when the requester cancels or is gone; the answer is not sent then. */
  readonly handler: (request: IncomingInference, signal: AbortSignal) => Promise<InferenceAnswer>
  /** Asked before the inputs are taken: a refusal here costs no memory. */
  readonly admit?: (header: InferenceHeader) => Refusal | undefined
  /** Told when a stream was reset because its peer broke the protocol, or when the handler threw. */
  readonly onError?: (remotePeer: string, error: Error) => void
  readonly clock?: Clock
  /** Of the inputs held in memory; the defaults are in `constants.ts`. */
  readonly limits?: {
    readonly peerInputBytesMax?: number
    readonly nodeInputBytesMax?: number
    /** Of the outputs that are committed to and not asked for yet. */
    readonly peerCommittedBytesMax?: number
    readonly nodeCommittedBytesMax?: number
  }
}

export interface InferenceServer {
  /** Takes requests from now on. */
  start(): Promise<void>
  /**
   * Takes no more. Answers that are there, or come within `flushMs` (default 0), are sent; then the signals of what
   * still runs are aborted and its streams reset. Idempotent.
   */
  stop(flushMs?: number): Promise<void>
}

export function createInferenceServer(components: InferenceServerComponents): InferenceServer {
  const { libp2p, clock = SYSTEM_CLOCK, onError } = components
  const budget = createInputBudget(components.limits)
  const committed = createCommittedBudget(components.limits)
  const sessions = new Set<Session>()

  async function onStream(stream: Stream, connection: Connection): Promise<void> {
    const framed = new FramedStream(stream, clock)
    const remotePeer = connection.remotePeer.toString()
    const session: Session = { framed, remotePeer, budget, committed, clock, served: undefined }
    sessions.add(session)
    try {
      while (await serveRequest(components, session));
      await stream.close({ signal: AbortSignal.timeout(STALL_MS) })
    } catch (thrown) {
      // A stream that closes under `close` rejects with an event instead of an error.
      const error = asInferenceError(thrown instanceof Event ? closedByPeer(thrown) : thrown)
      const reason = error instanceof Error ? error : new Error(String(error))
      framed.abort(reason)
      if (!(error instanceof InferenceError && error.code === 'hung-up')) onError?.(remotePeer, reason)
    } finally {
      sessions.delete(session)
    }
  }

  return {
    start: () =>
      libp2p.handle(INFERENCE_PROTOCOL, onStream, {
        maxInboundStreams: INBOUND_STREAMS_MAX,
        maxOutboundStreams: STREAMS_MAX,
      }),
    async stop(flushMs = 0) {
      await libp2p.unhandle(INFERENCE_PROTOCOL)
      const signal = flushMs > 0 ? AbortSignal.timeout(flushMs) : AbortSignal.abort()
      await Promise.all([...sessions].map((session) => flush(session, signal)))
    },
  }
}

interface Session {
  readonly framed: FramedStream
  readonly remotePeer: string
  readonly budget: InputBudget
  readonly committed: InputBudget
  readonly clock: Clock
  /** Settles when the request under way was answered; undefined between two. */
  served: PromiseWithResolvers<void> | undefined
}

/** Lets a stream go with all that was written to it. One that is not done when `signal` fires is reset. */
async function flush({ framed, served }: Session, signal: AbortSignal): Promise<void> {
  try {
    if (served !== undefined) await untilEither(served.promise, signal)
    signal.throwIfAborted()
    // No reset follows: it would throw away what the requester has not read yet.
    await framed.stream.close({ signal })
  } catch (cause) {
    framed.abort(new InferenceError('hung-up', 'the provider stops', { cause }))
  }
}

function untilEither(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = () => {
      signal.removeEventListener('abort', end)
      resolve()
    }
    signal.addEventListener('abort', end)
    promise.then(end, end)
  })
}

/** Serves one request; false when the requester wants nothing more of this stream. */
async function serveRequest(components: InferenceServerComponents, session: Session): Promise<boolean> {
  const message = await readRequest(session.framed)
  if (message === undefined) return false
  session.served = Promise.withResolvers()
  try {
    await serveMessage(components, session, message)
    return true
  } finally {
    session.served.resolve()
    session.served = undefined
  }
}

async function serveMessage(
  components: InferenceServerComponents,
  session: Session,
  message: Required<RequestMessage>,
): Promise<void> {
  const { framed, remotePeer, budget, clock } = session
  const opened = openHeader(message, remotePeer)
  const giveWay = () =>
    framed.abort(new InferenceError('timeout', 'the inputs came too slowly while memory was full'))
  const reserved =
    'code' in opened
      ? opened
      : (components.admit?.(opened) ?? budget.reserve(remotePeer, message.inputBytes, clock.now(), giveWay))
  framed.limitReads(STALL_MS, clock.now() + INPUTS_MS)
  if ('code' in reserved) {
    await send(session, { kind: 'refused', ...reserved })
    await framed.discardBytes(message.inputBytes)
    return
  }
  const { verifySignature, ...header } = opened as ReadHeader
  const askedAtMs = clock.now()
  let answer: InferenceAnswer | undefined
  try {
    // Not zeroed: every byte is written before anyone sees it.
    const inputs = allocatePayload(message.inputBytes)
    await framed.readBytes(inputs, (part) => reserved.received(part.byteLength))
    const request = { ...header, salt: message.salt, inputs }
    answer = await handle(components, session, request, verifySignature)
    if (answer === undefined) throw new InferenceError('hung-up', 'the requester is gone')
    if (answer.kind === 'refused' || message.commitMs === 0) {
      await send(session, answer, header.jobCommitment)
      return
    }
  } finally {
    reserved.release()
  }
  const { jobCommitment } = header
  const untilMs = askedAtMs + message.commitMs + REVEAL_WAIT_MS
  const peerId = components.libp2p.peerId.toString()
  await commitAnswer({ ...session, answer, jobCommitment, peerId, untilMs }, (reply, blinding) =>
    send(session, reply, jobCommitment, blinding),
  )
}

async function readRequest(framed: FramedStream): Promise<Required<RequestMessage> | undefined> {
  framed.limitReads(PROVIDER_IDLE_MS)
  let frame: Uint8Array
  try {
    frame = await framed.readFrame(REQUEST_BYTES_MAX)
  } catch (error) {
    if (error instanceof FramingError && (error.code === 'hung-up' || error.code === 'timeout'))
      return undefined
    throw error
  }
  return decodeRequest(frame)
}

interface ReadHeader extends InferenceHeader {
  verifySignature(): void
}

function openHeader(message: Required<RequestMessage>, remotePeer: string): ReadHeader | Refusal {
  const invalid = (why: string): Refusal => ({ code: 'invalid-job', message: why, retryAfterMs: 0 })
  try {
    const { job, commitment, verifySignature } = readJob(message.job)
    if (job.requester !== remotePeer)
      return invalid(`the job names ${job.requester} as its requester, but ${remotePeer} asks`)
    if (job.inputBytes !== message.inputBytes) {
      return invalid(`the job states ${job.inputBytes} bytes of inputs, the request ${message.inputBytes}`)
    }
    const { inputBytes } = message
    // What is not committed to in time is of no use to anybody.
    const timeoutMs = message.commitMs > 0 ? Math.min(message.timeoutMs, message.commitMs) : message.timeoutMs
    return { remotePeer, job, jobCommitment: commitment, inputBytes, timeoutMs, verifySignature }
  } catch (error) {
    if (!(error instanceof ReceiptError)) throw error
    return invalid(`the job cannot be accepted: ${error.message}`)
  }
}

/** Undefined when the requester was gone before there was an answer. */
async function handle(
  { handler, onError }: InferenceServerComponents,
  { framed, remotePeer }: Session,
  request: IncomingInference,
  verifySignature: () => void,
): Promise<InferenceAnswer | undefined> {
  const controller = new AbortController()
  const onClose = () => controller.abort(new InferenceError('hung-up', 'the requester cancelled or is gone'))
  framed.stream.addEventListener('close', onClose)
  if (framed.stream.status !== 'open') onClose()
  try {
    // Verifying takes as long as a small model: it runs here while the model runs in its own process.
    const answering = handler(request, controller.signal)
    const forged = forgery(verifySignature)
    if (forged !== undefined) {
      controller.abort(forged)
      // Whatever becomes of it, nobody hears it.
      answering.catch(() => undefined)
      onError?.(remotePeer, forged)
      return { kind: 'refused', code: 'invalid-job', message: forged.message, retryAfterMs: 0 }
    }
    const answer = await answering
    return controller.signal.aborted ? undefined : answer
  } catch (thrown) {
    if (controller.signal.aborted) return undefined
    onError?.(remotePeer, thrown instanceof Error ? thrown : new Error(String(thrown)))
    return { kind: 'refused', code: 'failed', message: 'the provider failed at this job', retryAfterMs: 0 }
  } finally {
    framed.stream.removeEventListener('close', onClose)
  }
}

/** Why the job cannot be accepted; undefined when its signature is good. */
function forgery(verifySignature: () => void): ReceiptError | undefined {
  try {
    verifySignature()
    return undefined
  } catch (error) {
    if (error instanceof ReceiptError) return error
    throw error
  }
}

async function send(
  { framed, clock }: Session,
  answer: InferenceAnswer | Committed,
  jobCommitment?: Uint8Array,
  blinding?: Uint8Array,
): Promise<void> {
  const writing = framed.write(...parts(answer, jobCommitment, blinding))
  if (writing === undefined) return
  const unschedule = clock.schedule(
    () =>
      framed.abort(new InferenceError('timeout', `the requester did not take its answer in ${ANSWER_MS} ms`)),
    ANSWER_MS,
  )
  try {
    await writing
  } finally {
    unschedule()
  }
}

function parts(
  answer: InferenceAnswer | Committed,
  jobCommitment: Uint8Array | undefined,
  blinding: Uint8Array | undefined,
): Uint8Array[] {
  if (answer.kind === 'refused') return [encodeFrame(encodeReply(answer))]
  if (answer.kind === 'committed') return [encodeFrame(encodeReply(answer))]
  const { outputs, receipt } = answer
  if (jobCommitment === undefined || receipt.byteLength > RECEIPT_FRAME_BYTES_MAX) {
    throw new Error(`a receipt of ${receipt.byteLength} bytes cannot be sent`)
  }
  const result = { kind: 'result', jobCommitment, outputBytes: outputs.byteLength } as const
  const reply = encodeReply(blinding === undefined ? result : { ...result, blinding })
  return [encodeFrame(reply), outputs, encodeFrame(receipt)]
}

function closedByPeer(cause: Event): InferenceError {
  return new InferenceError('hung-up', 'the stream was closed', { cause })
}
