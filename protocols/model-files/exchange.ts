/**
 * One stream for one question: the request as a length-prefixed frame, then the response as another. Not a hot path,
 * so it is piped; each side reads exactly one frame and never waits for the other to close.
 */
import type { Libp2p, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { messageStreamToDuplex } from '@libp2p/utils'
import * as lp from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import type { Uint8ArrayList } from 'uint8arraylist'
import {
  EXCHANGE_MS,
  MODEL_FILES_PROTOCOL,
  REQUEST_BYTES_MAX,
  RESPONSE_BYTES_MAX,
  STREAMS_MAX,
} from './constants.ts'
import { ModelFilesError } from './errors.ts'
import {
  decodeFilesRequest,
  decodeFilesResponse,
  encodeFilesRequest,
  encodeFilesResponse,
} from './messages.ts'

export interface ModelFilesServerComponents {
  readonly libp2p: Pick<Libp2p, 'handle' | 'unhandle'>
  /**
   * The blocks (directories, and whole files) that lead to a model's manifest and task files: 1 MiB together at most.
   * Undefined when the model is not here.
   */
  readonly blocksOf: (cid: string, signal: AbortSignal) => Promise<readonly Uint8Array[] | undefined>
  /** Told when a request was not answered, and why. */
  readonly onError?: (remotePeer: string, error: Error) => void
}

export interface ModelFilesServer {
  start(): Promise<void>
  stop(): Promise<void>
}

export function createModelFilesServer({
  libp2p,
  blocksOf,
  onError,
}: ModelFilesServerComponents): ModelFilesServer {
  return {
    start: () =>
      libp2p.handle(
        MODEL_FILES_PROTOCOL,
        async (stream, connection) => {
          try {
            await exchange(stream, AbortSignal.timeout(EXCHANGE_MS), async (signal) => {
              const duplex = messageStreamToDuplex(stream)
              const cid = decodeFilesRequest(await readFrame(duplex.source, REQUEST_BYTES_MAX))
              const response = encodeFilesResponse(await blocksOf(cid, signal))
              await pipe([response], (source) => lp.encode(source), duplex.sink)
            })
          } catch (error) {
            onError?.(
              connection.remotePeer.toString(),
              error instanceof Error ? error : new Error(String(error)),
            )
          }
        },
        { maxInboundStreams: STREAMS_MAX, maxOutboundStreams: STREAMS_MAX },
      ),
    stop: () => libp2p.unhandle(MODEL_FILES_PROTOCOL),
  }
}

/**
 * Asks `peer` (a peer id) for the blocks that lead to a model's manifest and task files. They are what the peer sent:
 * `verifyDirectoryBlocks` of `models/address` must check them against the CID. Rejects with ModelFilesError.
 */
export async function fetchModelBlocks(
  libp2p: Pick<Libp2p, 'dialProtocol'>,
  peer: string,
  cid: string,
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  const request = encodeFilesRequest(cid)
  const limit = AbortSignal.timeout(EXCHANGE_MS)
  const both = signal === undefined ? limit : AbortSignal.any([limit, signal])
  const stream = await open(libp2p, peer, both, signal)
  const response = await exchange(
    stream,
    both,
    async () => {
      const duplex = messageStreamToDuplex(stream)
      // Not awaited before the response is read: a peer that answers early is free to.
      const [, frame] = await Promise.all([
        pipe([request], (source) => lp.encode(source), duplex.sink),
        readFrame(duplex.source, RESPONSE_BYTES_MAX),
      ])
      return decodeFilesResponse(frame)
    },
    signal,
  )
  if (response === undefined)
    throw new ModelFilesError('unknown-model', `${peer} does not have the model ${cid}`)
  return [...response]
}

async function open(
  libp2p: Pick<Libp2p, 'dialProtocol'>,
  peer: string,
  both: AbortSignal,
  signal: AbortSignal | undefined,
): Promise<Stream> {
  try {
    return await libp2p.dialProtocol(peerIdFromString(peer), MODEL_FILES_PROTOCOL, {
      signal: both,
      maxOutboundStreams: STREAMS_MAX,
    })
  } catch (cause) {
    if (both.aborted) throw stopped(signal, cause)
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ModelFilesError('unreachable', `${peer} cannot be asked for model files: ${why}`, { cause })
  }
}

/** Runs `talk` and resets the stream when it fails or `limit` is over. A read that times out does not reset by itself. */
async function exchange<Value>(
  stream: Stream,
  limit: AbortSignal,
  talk: (signal: AbortSignal) => Promise<Value>,
  caller?: AbortSignal,
): Promise<Value> {
  const gone = new AbortController()
  const onClose = () => gone.abort()
  const onLimit = () => stream.abort(stopped(caller, limit.reason))
  stream.addEventListener('close', onClose)
  limit.addEventListener('abort', onLimit)
  try {
    if (limit.aborted) onLimit()
    return await talk(AbortSignal.any([limit, gone.signal]))
  } catch (cause) {
    const error = limit.aborted ? stopped(caller, cause) : asError(cause)
    stream.abort(error)
    throw error
  } finally {
    limit.removeEventListener('abort', onLimit)
    stream.removeEventListener('close', onClose)
  }
}

/** The first frame, which is all that is read: a second one is thrown away with the stream. */
async function readFrame(
  source: AsyncIterable<Uint8Array | Uint8ArrayList>,
  bytesMax: number,
): Promise<Uint8Array> {
  for await (const frame of lp.decode(source, { maxDataLength: bytesMax, maxLengthLength: 4 }))
    return frame.subarray()
  throw new ModelFilesError('hung-up', 'the peer closed the stream before it had said everything')
}

function stopped(caller: AbortSignal | undefined, cause: unknown): ModelFilesError {
  if (caller?.aborted) return new ModelFilesError('aborted', 'the request was cancelled', { cause })
  return new ModelFilesError('timeout', `not all was said within ${EXCHANGE_MS} ms`, { cause })
}

function asError(cause: unknown): ModelFilesError {
  if (cause instanceof ModelFilesError) return cause
  if (cause instanceof Error && /^Invalid(DataLength|MessageLength)/.test(cause.name)) {
    return new ModelFilesError('malformed', `a frame is malformed or too long: ${cause.message}`, { cause })
  }
  const why = cause instanceof Error ? cause.message : 'it was closed'
  return new ModelFilesError('hung-up', `the stream broke: ${why}`, { cause })
}
