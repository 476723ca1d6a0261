import { once } from 'node:events'
import { chmod, lstat, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { decodeTensors, encodeTensors } from '../../models/tensor/index.ts'
import { JobError, type Log, type ProbeRequest, type VerimeshNode } from '../node/index.ts'
import { CONTROL_CONNECTIONS_MAX } from './constants.ts'
import { ControlError } from './errors.ts'
import {
  type DescriptionJson,
  decodeMessages,
  type ErrorJson,
  encodeMessage,
  type JobMessage,
  readJson,
  type SubmitMessage,
} from './messages.ts'
import { controlSocketPath } from './socket-path.ts'

export interface ControlServer {
  readonly path: string
  close(): Promise<void>
}

/**
 * Lets the commands of this machine's user ask a running node: a unix socket that only its owner can open.
 * Throws ControlError `already-running` where another node answers on the same data directory.
 */
export async function startControlServer(
  node: VerimeshNode,
  options: { dataDirectory: string; log: Log },
): Promise<ControlServer> {
  const path = controlSocketPath(options.dataDirectory)
  await clearStale(path, options.dataDirectory)
  const server = createServer((request, response) => {
    answer(node, request, response).catch((error: unknown) => {
      options.log.warn('a question on the control socket failed', { url: request.url, error })
      if (response.headersSent) response.destroy()
      else sendJson(response, 500, errorJson(error))
    })
  })
  server.maxConnections = CONTROL_CONNECTIONS_MAX
  // A job may be quiet for as long as its deadline allows; the job's own timer ends it.
  server.requestTimeout = 0
  server.listen(path)
  await once(server, 'listening')
  await chmod(path, 0o600)
  return {
    path,
    async close() {
      server.close()
      server.closeAllConnections()
      await rm(path, { force: true })
    },
  }
}

async function answer(node: VerimeshNode, request: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /status':
      return sendJson(response, 200, node.status())
    case 'GET /peers':
      return sendJson(response, 200, node.peers())
    case 'POST /standing': {
      const { peerId } = (await readJson(request)) as { peerId?: unknown }
      if (typeof peerId !== 'string') throw new ControlError('malformed', 'a standing is that of a "peerId"')
      return sendJson(response, 200, node.standing(peerId) ?? null)
    }
    case 'POST /describe': {
      const { cid, openCall } = (await readJson(request)) as { cid?: unknown; openCall?: unknown }
      if (typeof cid !== 'string') throw new ControlError('malformed', 'a description needs a "cid"')
      const { manifest, files } = await node.describe(cid, hangUpSignal(response), {
        openCall: openCall === true,
      })
      const body: DescriptionJson = {
        cid,
        manifest,
        files: [...files].map(([file, bytes]) => ({
          path: file,
          base64: Buffer.from(bytes).toString('base64'),
        })),
      }
      return sendJson(response, 200, body)
    }
    case 'POST /jobs':
      return runJob(node, request, response)
    default:
      return sendJson(response, 404, { name: 'ControlError', code: 'malformed', message: 'no such question' })
  }
}

async function runJob(node: VerimeshNode, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const first = await decodeMessages<SubmitMessage>(request).next()
  if (first.done) throw new ControlError('malformed', 'a job needs a message')
  const { json, binary } = first.value
  if ((json?.type !== 'submit' && json?.type !== 'probe') || typeof json.model !== 'string')
    throw new ControlError('malformed', 'a job needs a "model"')
  const send = (message: JobMessage, payload?: Uint8Array): void => {
    for (const part of encodeMessage(message, payload)) response.write(part)
  }
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  try {
    const terms: ProbeRequest = {
      model: json.model,
      ...optional('lane', json.lane),
      ...optional('recomputeRate', json.recomputeRate),
      ...optional('openCall', json.openCall),
      ...optional('replicas', json.replicas),
      ...optional('timeoutMs', json.timeoutMs),
      ...optional('tau', json.tau),
      signal: hangUpSignal(response),
      onProgress: (progress) => send({ type: 'progress', progress }),
    }
    const result =
      json.type === 'probe'
        ? await node.probe(terms)
        : await node.submit({
            ...terms,
            inputs: decodeTensors(binary),
            ...optional('policy', json.policy),
            ...optional('risk', json.risk),
            ...optional('value', json.value),
            ...optional('floorRate', json.floorRate),
            ...optional('instructionSet', json.instructionSet),
            ...optional('publicDisputes', json.publicDisputes),
            ...optional('canaryRate', json.canaryRate),
            ...optional('quorum', json.quorum),
            ...optional('bundleDirectory', json.bundleDirectory),
            ...optional('digestsOnly', json.digestsOnly),
          })
    const { jobId, model, verdict, wrong, elapsedMs } = result
    send(
      { type: 'settled', jobId, model, verdict, ...optional('wrong', wrong), elapsedMs },
      encodeTensors(result.outputs),
    )
    const closed = await result.closed
    send({
      type: 'closed',
      verdict: closed.verdict,
      answers: closed.answers.map(({ provider, agreed }) => ({ provider, agreed })),
      disputes: closed.disputes,
      bundle: closed.bundle,
      bundleError: closed.bundleError?.message,
    })
  } catch (error) {
    send(
      error instanceof JobError
        ? { type: 'failed', failure: error.failure }
        : { type: 'error', ...errorJson(error) },
    )
  }
  response.end()
}

/** Fires when the asker goes away before its answer is complete. */
function hangUpSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  const closed = (): void => {
    if (!response.writableFinished)
      controller.abort(new ControlError('failed', 'the command that asked went away'))
  }
  // It may have gone while its question was read.
  if (response.destroyed) closed()
  else response.once('close', closed)
  return controller.signal
}

/** A socket file outlives a node that was killed: remove it, unless somebody answers there. */
async function clearStale(path: string, dataDirectory: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (found.uid !== process.getuid?.())
    throw new ControlError('foreign-socket', `${path} belongs to another user`)
  const socket = connect(path)
  const answers = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false)
  socket.destroy()
  if (answers) {
    throw new ControlError(
      'already-running',
      `a node already runs on ${dataDirectory}: stop it, or give this one its own directory with --data`,
    )
  }
  await rm(path, { force: true })
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function errorJson(error: unknown): ErrorJson {
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  if (error instanceof JobError) return { name, code: error.failure.code, message, failure: error.failure }
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed'
  return { name, code, message }
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V })
}
