/**
 * One stream for one proof: the request as a frame; then a reply as a frame, which tells the proof's length or why it
 * is not given; then the proof's bytes, raw. They are written in pieces as fast as the asker takes them, and the asker
 * digests them as they come.
 */
import { createHash } from 'node:crypto'
import type { Libp2p, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Clock, encodeFrame, FramedStream, FramingError, SYSTEM_CLOCK } from '../framing/index.ts'
import { ServingBudget } from './exchange-allowances.ts'
import {
  EXCHANGE_BYTES_PER_MS,
  EXCHANGE_MS,
  EXCHANGE_OPEN_MS,
  EXCHANGE_STALL_MS,
  EXCHANGE_STREAMS_MAX,
  PROOF_BYTES_MAX,
  PROOF_EXCHANGE_PROTOCOL,
  PROOF_REPLY_BYTES_MAX,
  PROOF_REQUEST_BYTES_MAX,
} from './exchange-constants.ts'
import { ProofExchangeError } from './exchange-errors.ts'
import {
  decodeProofReply,
  decodeProofRequest,
  encodeProofReply,
  encodeProofRequest,
  type ProofReply,
} from './exchange-messages.ts'

/** A proof that may be shown to anybody. */
export interface ServedProof {
  readonly bytes: number
  /** Exactly `bytes` bytes, or undefined when they are gone after all. */
  read(signal: AbortSignal): Promise<Uint8Array | undefined>
}

export interface ProofServerComponents {
  readonly libp2p: Pick<Libp2p, 'handle' | 'unhandle'>
  /** The proof with this id (64 hexadecimal digits); undefined when there is none that may be shown. */
  readonly proofOf: (id: string) => ServedProof | undefined
  readonly clock?: Clock
  /** Told when a request was not answered, and why. */
  readonly onError?: (remotePeer: string, error: Error) => void
}

export interface ProofServer {
  start(): Promise<void>
  stop(): Promise<void>
}

/** Gives proofs to whoever asks for them by their ids, within an allowance for each peer and one for all. */
export function createProofServer(components: ProofServerComponents): ProofServer {
  const { libp2p, clock = SYSTEM_CLOCK, onError } = components
  const answer = createAnswers(components.proofOf, clock)
  return {
    start: () =>
      libp2p.handle(
        PROOF_EXCHANGE_PROTOCOL,
        async (stream, connection) => {
          const peer = connection.remotePeer.toString()
          try {
            await exchange(stream, clock, undefined, (framed, limit) => answer(peer, framed, limit))
          } catch (error) {
            onError?.(peer, error instanceof Error ? error : new Error(String(error)))
          }
        },
        { maxInboundStreams: EXCHANGE_STREAMS_MAX, maxOutboundStreams: EXCHANGE_STREAMS_MAX },
      ),
    stop: () => libp2p.unhandle(PROOF_EXCHANGE_PROTOCOL),
  }
}

/** What to fetch, as a notice tells it. */
export interface WantedProof {
  /** 64 lowercase hexadecimal digits. */
  readonly id: string
  readonly bytes: number
}

/**
 * The proof that `wanted` names, from `peer` (a peer id). Its bytes hash to the id; nothing more is known of them.
 * Rejects with ProofExchangeError; `peerIsToBlame` tells a liar from a broken network.
 */
export async function fetchFraudProof(
  libp2p: Pick<Libp2p, 'dialProtocol'>,
  peer: string,
  wanted: WantedProof,
  signal?: AbortSignal,
  clock: Clock = SYSTEM_CLOCK,
): Promise<Uint8Array> {
  const request = encodeProofRequest(wanted.id)
  if (!(wanted.bytes >= 1 && wanted.bytes <= PROOF_BYTES_MAX))
    throw new ProofExchangeError('malformed', `no proof has ${wanted.bytes} bytes`)
  const stream = await open(libp2p, peer, clock, signal)
  return exchange(stream, clock, signal, async (framed, limit) => {
    limit(0)
    await framed.write(encodeFrame(request))
    const reply = decodeProofReply(await framed.readFrame(PROOF_REPLY_BYTES_MAX))
    verifyReply(reply, peer, wanted)
    limit(wanted.bytes)
    const hash = createHash('sha256')
    const bytes = await framed.readBytes(new Uint8Array(wanted.bytes), (part) => hash.update(part))
    if (hash.digest('hex') !== wanted.id)
      throw new ProofExchangeError('wrong-bytes', `${peer} sent something else than the proof ${wanted.id}`)
    return bytes
  })
}

function verifyReply(reply: ProofReply, peer: string, { id, bytes }: WantedProof): void {
  if (reply.type === 'proof') {
    if (reply.bytes === bytes) return
    const message = `the proof ${id} has ${bytes} bytes, and ${peer} wants to send ${reply.bytes}`
    throw new ProofExchangeError('malformed', message)
  }
  if (reply.reason === 'busy')
    throw new ProofExchangeError('busy', `${peer} gives no proofs away at the moment`)
  throw new ProofExchangeError('unknown-proof', `${peer} does not have the proof ${id}`)
}

/** Sets by when an exchange with a payload of so many bytes must be over; its parts must not pause meanwhile. */
type Limit = (bytes: number) => void

function createAnswers(
  proofOf: ProofServerComponents['proofOf'],
  clock: Clock,
): (peer: string, framed: FramedStream, limit: Limit) => Promise<void> {
  const budget = new ServingBudget()
  const refuse = async (framed: FramedStream, reason: 'unknown' | 'busy') => {
    await framed.write(encodeFrame(encodeProofReply({ type: 'refused', reason })))
  }

  return async (peer, framed, limit) => {
    limit(0)
    const id = decodeProofRequest(await framed.readFrame(PROOF_REQUEST_BYTES_MAX))
    if (!budget.mayAsk(peer, clock.now())) return refuse(framed, 'busy')
    const proof = proofOf(id)
    if (proof === undefined) return refuse(framed, 'unknown')
    if (!budget.begin(peer, proof.bytes, clock.now())) return refuse(framed, 'busy')
    try {
      limit(proof.bytes)
      const bytes = await readFor(framed, proof)
      if (bytes === undefined) return await refuse(framed, 'unknown')
      const reply = encodeProofReply({ type: 'proof', bytes: bytes.byteLength })
      await framed.write(encodeFrame(reply), bytes)
      // Until it was taken, the proof lies in the stream's buffer and counts as being served.
      await framed.stream.close()
    } finally {
      budget.done()
    }
  }
}

/** Stops to wait for the disk when the asker is gone. */
async function readFor(framed: FramedStream, proof: ServedProof): Promise<Uint8Array | undefined> {
  const gone = new AbortController()
  const onClose = () => gone.abort()
  framed.stream.addEventListener('close', onClose)
  try {
    return await proof.read(gone.signal)
  } finally {
    framed.stream.removeEventListener('close', onClose)
  }
}

async function open(
  libp2p: Pick<Libp2p, 'dialProtocol'>,
  peer: string,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Stream> {
  const opening = new AbortController()
  const cancel = clock.schedule(() => opening.abort(), EXCHANGE_OPEN_MS)
  try {
    return await libp2p.dialProtocol(peerIdFromString(peer), PROOF_EXCHANGE_PROTOCOL, {
      signal: signal === undefined ? opening.signal : AbortSignal.any([opening.signal, signal]),
      maxOutboundStreams: EXCHANGE_STREAMS_MAX,
    })
  } catch (cause) {
    if (signal?.aborted) throw new ProofExchangeError('aborted', 'the request was cancelled', { cause })
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ProofExchangeError('unreachable', `${peer} cannot be asked for a proof: ${why}`, { cause })
  } finally {
    cancel()
  }
}

/** Runs `talk` and resets the stream when it fails, is aborted or takes longer than the limit that it sets. */
async function exchange<Value>(
  stream: Stream,
  clock: Clock,
  signal: AbortSignal | undefined,
  talk: (framed: FramedStream, limit: Limit) => Promise<Value>,
): Promise<Value> {
  const framed = new FramedStream(stream, clock)
  let timedOut = false
  let cancel = () => {}
  const limit: Limit = (bytes) => {
    const withinMs = EXCHANGE_MS + bytes / EXCHANGE_BYTES_PER_MS
    framed.limitReads(EXCHANGE_STALL_MS)
    cancel()
    // A reader that takes nothing stops a writer for ever, so it is not only reads that end.
    cancel = clock.schedule(() => {
      timedOut = true
      framed.abort(new FramingError('timeout', 'not all was said in time'))
    }, withinMs)
  }
  const onAbort = () => framed.abort(new FramingError('hung-up', 'cancelled'))
  signal?.addEventListener('abort', onAbort)
  try {
    if (signal?.aborted) onAbort()
    const value = await talk(framed, limit)
    // Nothing more is said; an end that the other side does not want to hear is its own affair.
    stream
      .close()
      .catch((error: unknown) => stream.abort(error instanceof Error ? error : new Error(String(error))))
    return value
  } catch (cause) {
    const error = asError(cause, timedOut, signal)
    framed.abort(error)
    throw error
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

function asError(cause: unknown, timedOut: boolean, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return new ProofExchangeError('aborted', 'the request was cancelled', { cause })
  if (timedOut) return new ProofExchangeError('timeout', 'not all was said in time', { cause })
  if (!(cause instanceof FramingError)) return cause instanceof Error ? cause : new Error(String(cause))
  switch (cause.code) {
    case 'malformed':
    case 'frame-too-long':
      return new ProofExchangeError('malformed', cause.message, { cause })
    case 'timeout':
    case 'hung-up':
      return new ProofExchangeError(cause.code, cause.message, { cause })
    default:
      return cause.code satisfies never
  }
}
