import { createTensorDigest, PAYLOAD_BYTES_MAX } from '../../models/tensor/index.ts'
import { type Clock, encodeFrame, type FramedStream, SYSTEM_CLOCK } from '../framing/index.ts'
import { COMMIT_MS_MAX, RECEIPT_FRAME_BYTES_MAX, REPLY_BYTES_MAX, TIMEOUT_MS_MAX } from './constants.ts'
import { asInferenceError, InferenceError } from './errors.ts'
import { decodeReply, encodeRequest, type Refusal, type ReplyMessage } from './messages.ts'
import { createStreamPool, type Dialler } from './pool.ts'
import { type Committing, reveal, verifyRevealed } from './reveal.ts'

export interface InferenceClient {
  /**
   * Sends a job to `peer` (a peer id) and waits for its answer. Rejects with InferenceError. Aborting `signal`
   * resets the stream, which tells the provider to stop.
   *
   * The answer's receipt is not opened: `verifyReceipt` must check it against job, peer and `outputDigest`.
   */
  request(peer: string, request: InferenceRequest, signal?: AbortSignal): Promise<InferenceReply>
  /** Fails everything that is under way with `aborted`. Idempotent. */
  close(): void
}

export interface InferenceRequest {
  /** The sealed job. */
  readonly job: Uint8Array
  /** Its commitment, 32 bytes: an answer that names another is refused before its outputs are taken. */
  readonly jobCommitment: Uint8Array
  /** The job's salt, 32 bytes. */
  readonly salt: Uint8Array
  /** Canonical payload of all inputs. Not copied: it must not change until the request has ended. */
  readonly inputs: Uint8Array
  /** How long all of it may take, waiting for a stream included. */
  readonly timeoutMs: number
  /** The most outputs that are taken. Default: the largest payload there is. */
  readonly outputBytesMax?: number
  /** Has the provider commit to its answer before it shows it. Default: it answers at once. */
  readonly commit?: Committing
}

export type InferenceReply =
  | {
      readonly kind: 'result'
      /** The sealed receipt, as it came. */
      readonly receipt: Uint8Array
      /** Canonical payload of all outputs, as it came, in memory of its own. */
      readonly outputs: Uint8Array
      /** Salted digest of `outputs`, computed here. */
      readonly outputDigest: Uint8Array
      /** Bytes of frames and payloads, without what muxer, encryption and TCP add. */
      readonly bytesSent: number
      readonly bytesReceived: number
    }
  | ({ readonly kind: 'refused' } & Refusal)

export interface InferenceClientComponents {
  readonly libp2p: Dialler
  readonly clock?: Clock
}

export function createInferenceClient({
  libp2p,
  clock = SYSTEM_CLOCK,
}: InferenceClientComponents): InferenceClient {
  const pool = createStreamPool(libp2p, clock)

  async function request(
    peer: string,
    request: InferenceRequest,
    signal?: AbortSignal,
  ): Promise<InferenceReply> {
    const call = startCall(clock, request.timeoutMs, signal)
    const { commit } = request
    let stream: FramedStream | undefined
    const patience = commit && startPatience(clock, commit.withinMs, () => call.stop(missed(commit, stream)))
    let reusable = false
    try {
      stream = pool.takeIdle(peer) ?? (await waitForStream(peer, call))
      if (call.stopped !== undefined) throw call.stopped
      call.onStop = (reason) => stream?.abort(reason)
      const reply = await converse(stream, { ...request, peer, clock, patience })
      reusable = reply.reusable
      return reply.value
    } catch (error) {
      throw call.stopped ?? asInferenceError(error)
    } finally {
      call.end()
      patience?.end()
      if (stream !== undefined) pool.giveBack(peer, stream, reusable)
    }
  }

  /** A stream that comes after the call was stopped goes back to the pool. */
  function waitForStream(peer: string, call: Call): Promise<FramedStream> {
    return new Promise((resolve, reject) => {
      if (call.stopped !== undefined) return reject(call.stopped)
      call.onStop = reject
      pool.take(peer).then((stream) => {
        if (call.stopped === undefined) resolve(stream)
        else pool.giveBack(peer, stream, true)
      }, reject)
    })
  }

  return { request, close: pool.close }
}

/** What can stop a request from outside: its time, and its caller. */
interface Call {
  stopped: InferenceError | undefined
  onStop: ((reason: InferenceError) => void) | undefined
  stop(reason: InferenceError): void
  end(): void
}

function startCall(clock: Clock, timeoutMs: number, signal: AbortSignal | undefined): Call {
  const stop = (reason: InferenceError) => {
    call.stopped ??= reason
    call.onStop?.(call.stopped)
  }
  const onAbort = () =>
    stop(new InferenceError('aborted', 'the request was cancelled', { cause: signal?.reason }))
  const unschedule = clock.schedule(
    () => stop(new InferenceError('timeout', `no answer within ${Math.round(timeoutMs)} ms`)),
    timeoutMs,
  )
  const call: Call = {
    stopped: undefined,
    onStop: undefined,
    stop,
    end() {
      unschedule()
      signal?.removeEventListener('abort', onAbort)
      call.onStop = undefined
    },
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted) onAbort()
  return call
}

/** How long the provider is waited for until it has committed. */
interface Patience {
  leftMs(): number
  end(): void
}

function startPatience(clock: Clock, withinMs: number, onEnd: () => void): Patience {
  const untilMs = clock.now() + withinMs
  const unschedule = clock.schedule(onEnd, withinMs)
  return { leftMs: () => untilMs - clock.now(), end: unschedule }
}

/** A provider that was not even asked yet, because all streams to it are in use, is not to blame. */
function missed({ withinMs }: Committing, stream: FramedStream | undefined): InferenceError {
  const within = `within ${Math.round(withinMs)} ms`
  return stream === undefined
    ? new InferenceError('too-many-requests', `no stream to the peer came free ${within}`)
    : new InferenceError('timeout', `the peer did not commit to an answer ${within}`)
}

interface Conversation extends InferenceRequest {
  readonly peer: string
  readonly clock: Clock
  readonly patience: Patience | undefined
}

async function converse(
  stream: FramedStream,
  request: Conversation,
): Promise<{ value: InferenceReply; reusable: boolean }> {
  const header = encodeFrame(
    encodeRequest({
      job: request.job,
      salt: request.salt,
      inputBytes: request.inputs.byteLength,
      timeoutMs: Math.min(TIMEOUT_MS_MAX, Math.max(1, Math.ceil(request.timeoutMs))),
      commitMs:
        request.patience === undefined
          ? 0
          : Math.min(COMMIT_MS_MAX, Math.max(1, Math.ceil(request.patience.leftMs()))),
    }),
  )
  // A provider may refuse while the inputs are still on their way.
  const writing = stream.write(header, request.inputs)
  let sent = writing === undefined
  const reading = stream.readFrame(REPLY_BYTES_MAX)
  const waitForBoth = () => {
    sent = true
    return reading
  }
  const frame = await (writing === undefined ? reading : Promise.race([reading, writing.then(waitForBoth)]))
  const first = decodeReply(frame)
  // The provider throws away what it has not read; on a stream that is still being written to, that is for a reset.
  if (first.kind === 'refused') return { value: first, reusable: sent }
  verifyJob(first, request)
  if (!sent) throw new InferenceError('malformed', 'the peer answered before it had the inputs')
  if ((first.kind === 'committed') !== (request.commit !== undefined)) {
    throw new InferenceError('malformed', 'the peer answers at once where it must commit, or commits unasked')
  }
  let reply = first
  if (first.kind === 'committed') {
    request.patience?.end()
    reply = await reveal(stream, request.commit!, request)
    verifyJob(reply, request)
  }
  if (reply.kind !== 'result') throw new InferenceError('malformed', 'the peer commits twice')
  const outputBytesMax = request.outputBytesMax ?? PAYLOAD_BYTES_MAX
  if (reply.outputBytes > outputBytesMax) {
    throw new InferenceError(
      'frame-too-long',
      `the peer answers with ${reply.outputBytes} bytes where ${outputBytesMax} are allowed`,
    )
  }
  const digest = createTensorDigest(request.salt)
  // Not zeroed: every byte is written below, or the outputs are never seen.
  const outputs = new Uint8Array(Buffer.allocUnsafeSlow(reply.outputBytes).buffer)
  await stream.readBytes(outputs, (part) => digest.update(part))
  const receipt = await stream.readFrame(RECEIPT_FRAME_BYTES_MAX)
  const outputDigest = digest.digest()
  verifyRevealed(first, reply, { ...request, outputDigest })
  return {
    value: {
      kind: 'result',
      receipt,
      outputs,
      outputDigest,
      bytesSent: header.byteLength + request.inputs.byteLength,
      bytesReceived: frame.byteLength + outputs.byteLength + receipt.byteLength,
    },
    reusable: true,
  }
}

function verifyJob(
  reply: Exclude<ReplyMessage, { kind: 'refused' }>,
  { jobCommitment }: InferenceRequest,
): void {
  if (Buffer.compare(reply.jobCommitment, jobCommitment) === 0) return
  throw new InferenceError('wrong-job', 'the peer answered another job')
}
