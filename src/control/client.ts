import { once } from 'node:events'
import { lstat } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { resolve } from 'node:path'
import { decodeManifest, encodeManifest, type Manifest } from '../../models/manifest/index.ts'
import { decodeTensors, encodeTensors } from '../../models/tensor/index.ts'
import type {
  ClosedJob,
  DescribedModel,
  DescribeOptions,
  ExplainedStanding,
  JobResult,
  NodeStatus,
  PeerStatus,
  ProbeRequest,
  SubmitRequest,
} from '../node/index.ts'
import { JobError } from '../node/index.ts'
import { CONTROL_OPEN_CALL_MS, CONTROL_TIMEOUT_MS } from './constants.ts'
import { ControlError } from './errors.ts'
import {
  type DescriptionJson,
  decodeMessages,
  type ErrorJson,
  encodeMessage,
  type JobMessage,
  NO_OUTPUTS,
  readJson,
} from './messages.ts'
import { controlSocketPath } from './socket-path.ts'

/** What a command can ask of a running node. */
export interface ControlClient {
  status(): Promise<NodeStatus>
  peers(): Promise<PeerStatus[]>
  /** As `VerimeshNode.standing`. */
  standing(peerId: string): Promise<ExplainedStanding | undefined>
  describe(cid: string, signal?: AbortSignal, options?: DescribeOptions): Promise<DescribedModel>
  /** As `VerimeshNode.submit`, but the outputs of those who were not accepted do not come along. */
  submit(job: SubmitRequest): Promise<JobResult>
  /** As `VerimeshNode.probe`. */
  probe(canary: ProbeRequest): Promise<JobResult>
}

/** Resolves with undefined where no node runs on that data directory. */
export async function connectControl(dataDirectory: string): Promise<ControlClient | undefined> {
  const path = controlSocketPath(dataDirectory)
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return undefined
  if (found.uid !== process.getuid?.())
    throw new ControlError('foreign-socket', `${path} belongs to another user`)
  const client: ControlClient = {
    status: async () => (await ask(path, 'GET', '/status')) as NodeStatus,
    peers: async () => (await ask(path, 'GET', '/peers')) as PeerStatus[],
    standing: async (peerId) =>
      ((await ask(path, 'POST', '/standing', { peerId })) as ExplainedStanding | null) ?? undefined,
    async describe(cid, signal, { openCall = false } = {}) {
      const body = { cid, openCall }
      const patience = openCall ? AbortSignal.timeout(CONTROL_OPEN_CALL_MS) : undefined
      const answer = await ask(path, 'POST', '/describe', body, signal ?? patience)
      const { manifest, files } = answer as DescriptionJson
      return {
        cid,
        // The same strict decoder that checked it when it came from a stranger.
        manifest: decodeManifest(encodeManifest(manifest as Manifest)),
        files: new Map(files.map((file) => [file.path, new Uint8Array(Buffer.from(file.base64, 'base64'))])),
      }
    },
    submit: ({ inputs, signal, onProgress, bundleDirectory, ...rest }) => {
      // The node has a working directory of its own.
      const place = bundleDirectory === undefined ? {} : { bundleDirectory: resolve(bundleDirectory) }
      const body = encodeMessage({ type: 'submit', ...rest, ...place }, encodeTensors(inputs))
      return run(path, body, { signal, onProgress })
    },
    probe: ({ signal, onProgress, ...rest }) =>
      run(path, encodeMessage({ type: 'probe', ...rest }), { signal, onProgress }),
  }
  try {
    await client.status()
    return client
  } catch (error) {
    // The file outlives a node that was killed.
    if (error instanceof ControlError && error.code === 'not-running') return undefined
    throw error
  }
}

async function run(
  path: string,
  body: readonly Uint8Array[],
  { signal, onProgress }: { [Key in 'signal' | 'onProgress']: SubmitRequest[Key] | undefined },
): Promise<JobResult> {
  const response = await open(path, 'POST', '/jobs', body, signal)
  if (response.statusCode !== 200) throw await failure(response)
  const messages = decodeMessages<JobMessage>(response)
  for (;;) {
    // Not `for await`: leaving it would close the messages, and more of them come after the job is settled.
    const next = await messages.next()
    if (next.done) throw new ControlError('failed', 'the node went away before the job ended: see its log')
    const { json, binary } = next.value
    switch (json.type) {
      case 'progress':
        onProgress?.(json.progress)
        break
      case 'settled': {
        const { jobId, model, verdict, wrong, elapsedMs } = json
        const closed = finish(messages, json.verdict)
        const doubt = wrong === undefined ? {} : { wrong }
        return { jobId, model, verdict, ...doubt, elapsedMs, outputs: decodeTensors(binary), closed }
      }
      case 'failed':
        throw new JobError(json.failure)
      case 'error':
        throw Object.assign(new Error(json.message), { name: json.name, code: json.code })
      case 'closed':
        throw new ControlError('malformed', 'the job closed before it was settled')
      default:
        json satisfies never
    }
  }
}

async function finish(
  messages: AsyncGenerator<{ json: JobMessage }>,
  verdict: ClosedJob['verdict'],
): Promise<ClosedJob> {
  try {
    for await (const { json } of messages) {
      if (json.type !== 'closed') continue
      return {
        verdict: json.verdict,
        answers: json.answers.map((answer) => ({ ...answer, outputs: NO_OUTPUTS })),
        disputes: json.disputes,
        bundle: json.bundle,
        bundleError: json.bundleError === undefined ? undefined : new Error(json.bundleError),
      }
    }
    throw new ControlError('failed', 'the node went away before the job was closed')
  } catch (error) {
    return {
      verdict,
      answers: [],
      disputes: [],
      bundle: undefined,
      bundleError: error instanceof Error ? error : new Error(String(error)),
    }
  }
}

async function ask(
  path: string,
  method: string,
  url: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<unknown> {
  const parts = body === undefined ? [] : [Buffer.from(JSON.stringify(body))]
  const bounded = signal ?? AbortSignal.timeout(CONTROL_TIMEOUT_MS)
  const response = await open(path, method, url, parts, bounded)
  if (response.statusCode !== 200) throw await failure(response)
  return readJson(response)
}

async function open(
  socketPath: string,
  method: string,
  path: string,
  body: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  const outgoing = request({ socketPath, method, path, ...(signal === undefined ? {} : { signal }) })
  try {
    for (const part of body) outgoing.write(part)
    outgoing.end()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    return response
  } catch (cause) {
    if (signal?.aborted && !isTimeout(signal.reason)) throw signal.reason
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ECONNREFUSED' || code === 'ENOENT') {
      throw new ControlError('not-running', 'no node runs on this data directory', { cause })
    }
    throw new ControlError('failed', 'the running node does not answer on its control socket', { cause })
  }
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}

async function failure(response: IncomingMessage): Promise<Error> {
  const { name, code, message, failure } = (await readJson(response)) as ErrorJson
  return failure === undefined ? Object.assign(new Error(message), { name, code }) : new JobError(failure)
}
