import { hash } from 'node:crypto'
import { setDefaultHighWaterMark } from 'node:stream'
import { fastify } from 'fastify'
import { prepareHeap } from '../../src/node/heap.ts'
import { DIGEST_HEADER, HOST, PATH, SHAPE_HEADER } from '../protocol.ts'
import { createSession, type Session } from '../session.ts'
import type { Workload } from '../workloads.ts'
import { serveParent } from './channel.ts'

export interface ServeRequest {
  readonly type: 'serve'
  readonly workload: Workload
  readonly threads: number
  /** PEM: HTTPS, and digests of both bodies. */
  readonly tls?: { readonly key: string; readonly certificate: string }
}

export interface Serving {
  readonly port: number
}

/** Longer than a whole bench, as the client's. */
const KEEP_ALIVE_MS = 3_600_000
const BODY_BYTES_MAX = 64 * 1024 * 1024
/**
 * Above any answer here. Node 24 over TLS: where an answer fills the socket's buffer and the connection's next request
 * comes before the server noticed that the answer is out (its thread was in the model), it pauses the parser and then
 * feeds it, which ends the connection with "Parse Error: Paused". A third of the requests for 1 MB answers failed.
 */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

// The same for every target, the baselines included.
prepareHeap()

let close: () => Promise<void> = async () => {}

serveParent<ServeRequest>(serve, () => close())

/** The central server that a user would otherwise run: the model in the web server's process, binary bodies. */
async function serve({ workload, threads, tls }: ServeRequest): Promise<Serving> {
  const session = await createSession(workload, threads)
  const common = { bodyLimit: BODY_BYTES_MAX, keepAliveTimeout: KEEP_ALIVE_MS }
  if (tls === undefined) {
    const app = fastify(common)
    app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    )
    app.post(PATH, async (request, reply) => {
      const answer = await run(session, request.headers[SHAPE_HEADER], request.body)
      return reply.header('content-type', 'application/octet-stream').send(answer)
    })
    return await listen(app, session)
  }
  setDefaultHighWaterMark(false, SOCKET_BUFFER_BYTES)
  const app = fastify({ ...common, https: { key: tls.key, cert: tls.certificate } })
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )
  app.post(PATH, async (request, reply) => {
    const body = request.body as Buffer
    if (hash('sha256', body, 'base64') !== request.headers[DIGEST_HEADER]) {
      return reply.code(400).send('the body does not have the digest that its header states')
    }
    const answer = await run(session, request.headers[SHAPE_HEADER], body)
    return reply
      .header('content-type', 'application/octet-stream')
      .header(DIGEST_HEADER, hash('sha256', answer, 'base64'))
      .send(answer)
  })
  return await listen(app, session)
}

async function run(session: Session, shape: string | string[] | undefined, body: unknown): Promise<Buffer> {
  const dims = String(shape).split(',').map(Number)
  const answer = await session.run(body as Buffer, dims)
  return Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength)
}

async function listen(
  app: {
    listen(options: { port: number; host: string }): Promise<string>
    close(): PromiseLike<unknown>
    server: { closeAllConnections(): void }
  },
  session: Session,
): Promise<Serving> {
  const url = await app.listen({ port: 0, host: HOST })
  close = async () => {
    app.server.closeAllConnections()
    await app.close()
    await session.close()
  }
  return { port: Number(new URL(url).port) }
}
