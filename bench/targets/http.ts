import { hash } from 'node:crypto'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { DIGEST_HEADER, HOST, PATH, SHAPE_HEADER } from '../protocol.ts'
import type { HttpClientName, OpenTarget } from './target.ts'

/** As many as the highest concurrency: no request waits for another's connection. */
const SOCKETS_MAX = 64
/** Longer than a whole bench: connections stay warm while other targets have their turn. */
const KEEP_ALIVE_MS = 3_600_000
/** What undici sets on its own sockets. */
const SOCKET_BUFFER_BYTES = 64 * 1024

/** A fastify server over keep-alive HTTP, or HTTPS with digests. */
export const openHttp: OpenTarget<'http'> = async (spec, workload) => {
  const { certificate, port } = spec
  const clients: Record<HttpClientName, CreateClient> = {
    undici: createUndiciClient,
    node: createNodeClient,
    fetch: createFetchClient,
  }
  const client = await clients[spec.client](port, certificate)
  const shape = workload.input.dims.join(',')
  return {
    async call(payload) {
      const headers: Record<string, string> = {
        'content-type': 'application/octet-stream',
        'content-length': String(payload.byteLength),
        [SHAPE_HEADER]: shape,
      }
      if (certificate !== undefined) headers[DIGEST_HEADER] = hash('sha256', payload, 'base64')
      const response = await client.post(headers, payload)
      const body = join(response.chunks)
      if (response.status !== 200)
        throw new Error(`HTTP ${response.status}: ${body.toString('utf8', 0, 200)}`)
      if (certificate !== undefined && response.digest !== hash('sha256', body, 'base64')) {
        throw new Error('the answer does not have the digest that its header states')
      }
      return body
    },
    drain: async () => {},
    close: () => client.close(),
  }
}

interface HttpClient {
  post(headers: Record<string, string>, body: Uint8Array): Promise<HttpResponse>
  close(): Promise<void>
}

interface HttpResponse {
  readonly status: number
  readonly digest: string | undefined
  readonly chunks: readonly Buffer[]
}

type CreateClient = (port: number, certificate: string | undefined) => Promise<HttpClient>

const createNodeClient: CreateClient = async (port, certificate) => {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX, maxFreeSockets: SOCKETS_MAX })
  // The agent of `node:http` with a TLS socket is what the agent of `node:https` is, and lets the wire be counted.
  agent.createConnection = () => open(port, certificate)
  return {
    post: (headers, body) =>
      new Promise((resolve, reject) => {
        const outgoing = request(
          { agent, host: HOST, port, path: PATH, method: 'POST', headers },
          (response) => {
            const chunks: Buffer[] = []
            response.on('data', (chunk: Buffer) => chunks.push(chunk))
            response.on('end', () =>
              resolve({ status: response.statusCode ?? 0, digest: digestOf(response), chunks }),
            )
            response.on('error', reject)
          },
        )
        outgoing.on('error', reject)
        outgoing.end(body)
      }),
    close: async () => agent.destroy(),
  }
}

function digestOf(response: IncomingMessage): string | undefined {
  const value = response.headers[DIGEST_HEADER]
  return typeof value === 'string' ? value : undefined
}

/**
 * Node carries undici for `fetch` and shares its dispatcher under a symbol that undici documents. `fetch` itself costs
 * two to three times as much a request, so the baseline goes beneath it.
 */
const createUndiciClient: CreateClient = async (port, certificate) => {
  const agent = await createDispatcher(port, certificate)
  const origin = originOf(port, certificate)
  return {
    post: (headers, body) =>
      new Promise((resolve, reject) => {
        const chunks: Buffer[] = []
        let status = 0
        let digest: string | undefined
        agent.dispatch(
          { origin, path: PATH, method: 'POST', headers, body },
          {
            onRequestStart() {},
            onResponseStart(_controller, statusCode, fields) {
              status = statusCode
              digest = fields[DIGEST_HEADER]
            },
            onResponseData(_controller, chunk) {
              chunks.push(chunk)
            },
            onResponseEnd() {
              resolve({ status, digest, chunks })
            },
            onResponseError(_controller, error) {
              reject(error)
            },
          },
        )
      }),
    close: () => agent.close(),
  }
}

/** What most people write, on the same connections as the undici client. */
const createFetchClient: CreateClient = async (port, certificate) => {
  const dispatcher = await createDispatcher(port, certificate)
  const url = `${originOf(port, certificate)}${PATH}`
  return {
    async post(headers, body) {
      // Node's `fetch` takes a dispatcher of its own undici, which the declared types do not fit.
      const options: object = {
        dispatcher,
        method: 'POST',
        headers,
        body,
      }
      const response = await fetch(url, options)
      const digest = response.headers.get(DIGEST_HEADER) ?? undefined
      return { status: response.status, digest, chunks: [Buffer.from(await response.arrayBuffer())] }
    },
    close: () => dispatcher.close(),
  }
}

/** The part of undici 7's Agent that is used here. */
interface Dispatcher {
  dispatch(
    options: { origin: string; path: string; method: string; headers: object; body: Uint8Array },
    handler: {
      onRequestStart(): void
      onResponseStart(controller: unknown, status: number, headers: Record<string, string | undefined>): void
      onResponseData(controller: unknown, chunk: Buffer): void
      onResponseEnd(): void
      onResponseError(controller: unknown, error: Error): void
    },
  ): boolean
  close(): Promise<void>
}

interface DispatcherOptions {
  readonly connections: number
  readonly pipelining: number
  readonly keepAliveTimeout: number
  readonly keepAliveMaxTimeout: number
  readonly connect: (options: unknown, callback: (error: Error | null, socket?: Socket) => void) => void
}

/** Whether this Node's undici has the interface that `createUndiciClient` speaks. */
export function hasUndici(): boolean {
  return Number.parseInt(process.versions.undici ?? '0', 10) >= 7
}

async function createDispatcher(port: number, certificate: string | undefined): Promise<Dispatcher> {
  // The dispatcher exists once `fetch` has been used; a data URL needs no network.
  await fetch('data:,')
  const shared: unknown = Reflect.get(globalThis, Symbol.for('undici.globalDispatcher.1'))
  if (!hasUndici() || typeof shared !== 'object' || shared === null) {
    throw new Error('this Node has no undici 7; use --http-client node')
  }
  const Dispatcher = shared.constructor as new (options: DispatcherOptions) => Dispatcher
  return new Dispatcher({
    connections: SOCKETS_MAX,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: (_options, callback) => {
      const socket = open(port, certificate)
      socket.once(certificate === undefined ? 'connect' : 'secureConnect', () => callback(null, socket))
      socket.once('error', (error) => callback(error))
    },
  })
}

function originOf(port: number, certificate: string | undefined): string {
  return `${certificate === undefined ? 'http' : 'https'}://${HOST}:${port}`
}

function open(port: number, certificate: string | undefined): Socket {
  // Node hands the options of the stream on, which its type declarations do not say.
  const buffer: object = { highWaterMark: SOCKET_BUFFER_BYTES }
  const socket = connectTcp({ port, host: HOST, noDelay: true, ...buffer })
  return certificate === undefined ? socket : connectTls({ socket, host: HOST, ca: certificate })
}

function join(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
}
