/** The socket between a running node and the commands. The node is made of promises; nothing here uses a network. */
import { once } from 'node:events'
import { lstat, mkdir, rename, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { join, relative } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Manifest } from '../../models/manifest/index.ts'
import { encodeTensors, float32Elements, float32Tensor } from '../../models/tensor/index.ts'
import {
  type ControlClient,
  ControlError,
  type ControlServer,
  connectControl,
  controlSocketPath,
  startControlServer,
} from '../../src/control/index.ts'
import { encodeMessage } from '../../src/control/messages.ts'
import {
  JobError,
  type JobResult,
  NodeError,
  type NodeStatus,
  type ProbeRequest,
  type SubmitRequest,
  silentLog,
  type VerimeshNode,
} from '../../src/node/index.ts'
import type { JobFailure } from '../../src/requester/index.ts'
import type { Verdict } from '../../src/verification/index.ts'
import { scratchDirectory, stopNodes } from '../fixtures/nodes.ts'
import { until } from '../fixtures/until.ts'

const STATUS = { peerId: 'me', multiaddrs: ['/ip4/127.0.0.1/tcp/1'], models: [] } as unknown as NodeStatus
const VERDICT: Verdict = { label: 'replicated', agreed: ['a', 'b'], disagreed: ['c'], asked: 3, groups: 2 }
const FAILURE: JobFailure = {
  code: 'not-enough-providers',
  message: 'one of two',
  found: 1,
  needed: 2,
  attempts: [{ provider: 'a', failure: { code: 'busy', message: 'later', retryAfterMs: 5 } }],
}
const MANIFEST: Manifest = {
  verimesh: 1,
  name: 'tiny',
  model: 'm.onnx',
  files: [{ path: 'm.onnx', bytes: 1, sha256: '0'.repeat(64) }],
  signature: {
    inputs: [{ name: 'x', dtype: 'float32', dims: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['n'] }],
  },
  lanes: ['native'],
  tolerance: { tau: 0 },
  batching: { independent: false },
}
const INPUT = float32Tensor('x', [2], new Float32Array([1, 2]))

const servers: ControlServer[] = []
test.after.each(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})
test.after(stopNodes)

async function serve(
  node: Partial<VerimeshNode>,
  dataDirectory?: string,
): Promise<{ dataDirectory: string; server: ControlServer; client: ControlClient }> {
  const directory = dataDirectory ?? (await scratchDirectory())
  const whole = { status: () => STATUS, peers: () => [], ...node } as VerimeshNode
  const server = await startControlServer(whole, { dataDirectory: directory, log: silentLog })
  servers.push(server)
  const client = await connectControl(directory)
  return { dataDirectory: directory, server, client: client! }
}

/** What `submit` of a node gives, at once. */
function answered(outputs: JobResult['outputs'], bundle?: string): JobResult {
  return {
    jobId: 'job',
    model: 'model',
    outputs,
    verdict: VERDICT,
    elapsedMs: 12,
    closed: Promise.resolve({
      verdict: { ...VERDICT, asked: 4 },
      answers: [{ provider: 'c', agreed: false, outputs }],
      disputes: [],
      bundle,
      bundleError: bundle === undefined ? new Error('no room') : undefined,
    }),
  }
}

test('the socket is for its owner alone, and gone with the node', async () => {
  const { server, dataDirectory } = await serve({})
  const found = await lstat(server.path)
  assert.ok(found.isSocket())
  assert.is(found.mode & 0o777, 0o600)
  await server.close()
  assert.is(await lstat(server.path).catch(() => 'gone'), 'gone')
  assert.is(await connectControl(dataDirectory), undefined)
})

test('answers questions about the node', async () => {
  const peer = {
    peerId: 'a',
    addresses: [],
    connected: true,
    rttMs: 1,
    models: [],
    results: 3,
    disagreed: 1,
    exposed: false,
    standing: { name: 'known' as const, saboteur: 0.1, reasons: ['agreed'] },
  }
  const { client } = await serve({ peers: () => [peer] })
  assert.equal(await client.status(), STATUS)
  assert.equal(await client.peers(), [peer])
})

test('a described model comes over with its files', async () => {
  const files = new Map([['a/words.txt', new Uint8Array([0, 255, 10])]])
  const { client } = await serve({ describe: async (cid) => ({ cid, manifest: MANIFEST, files }) })
  assert.equal(await client.describe('bafy'), { cid: 'bafy', manifest: MANIFEST, files })
})

test('a canary goes over with its terms and without inputs, and comes back as a job does', async () => {
  let asked: ProbeRequest | undefined
  const { client } = await serve({
    probe: async (canary) => {
      asked = canary
      canary.onProgress?.({ jobId: 'job', stage: 'asking', found: 2, asked: 2, answered: 0 })
      return answered([INPUT])
    },
    submit: () => Promise.reject(new Error('it is no job')),
  })
  const stages: string[] = []
  const terms = { model: 'm', lane: 'exact', replicas: 3, recomputeRate: 1, timeoutMs: 99, tau: 0 } as const
  const result = await client.probe({ ...terms, onProgress: ({ stage }) => stages.push(stage) })
  const { signal, onProgress, ...rest } = asked!
  assert.equal(rest, terms)
  assert.equal([stages, result.jobId], [['asking'], 'job'])
  assert.is((await result.closed).verdict.asked, 4)
})

test('whether whoever answers an open call is asked goes over, with a job and with a description', async () => {
  const asked: (boolean | undefined)[] = []
  const { client } = await serve({
    describe: async (described, _signal, options) => {
      asked.push(options?.openCall)
      return { cid: described, manifest: MANIFEST, files: new Map() }
    },
    submit: async ({ openCall }) => {
      asked.push(openCall)
      return answered([INPUT])
    },
  })
  await client.describe('bafy', undefined, { openCall: true })
  await client.describe('bafy')
  await client.submit({ model: 'model', inputs: [INPUT], openCall: true })
  await client.submit({ model: 'model', inputs: [INPUT] })
  assert.equal(asked, [true, false, true, undefined])
})

test('a job goes over with its terms, and its progress, answer and record come back', async () => {
  let asked: SubmitRequest | undefined
  const { client } = await serve({
    submit: async (job) => {
      asked = job
      job.onProgress?.({ jobId: 'job', stage: 'asking', found: 3, asked: 3, answered: 0 })
      return answered([{ ...job.inputs[0]!, name: 'y' }], '/a/job.bundle')
    },
  })
  const stages: string[] = []
  const result = await client.submit({
    model: 'model',
    inputs: [INPUT],
    replicas: 5,
    quorum: 4,
    timeoutMs: 1234,
    tau: 1e-6,
    digestsOnly: true,
    bundleDirectory: relative(process.cwd(), '/a/place'),
    onProgress: ({ stage }) => stages.push(stage),
  })
  const { replicas, quorum, timeoutMs, tau, digestsOnly, bundleDirectory } = asked!
  assert.equal([replicas, quorum, timeoutMs, tau, digestsOnly], [5, 4, 1234, 1e-6, true])
  assert.is(bundleDirectory, '/a/place', 'not relative to where the node happens to run')
  assert.equal(stages, ['asking'])
  assert.equal([...float32Elements(result.outputs[0]!)], [1, 2])
  assert.equal([result.jobId, result.elapsedMs, result.verdict], ['job', 12, VERDICT])
  const closed = await result.closed
  assert.equal([closed.bundle, closed.verdict.asked], ['/a/job.bundle', 4])
  assert.equal(closed.answers, [{ provider: 'c', agreed: false, outputs: [] }])
})

test('progress after the answer does not hide the record', async () => {
  const { client } = await serve({
    submit: async (job) => {
      const progress = { jobId: 'job', stage: 'answered', found: 3, asked: 3, answered: 3 } as const
      const answer = answered([INPUT], '/a/job.bundle')
      const closed = Promise.resolve().then(async () => {
        for (let more = 0; more < 3; more++) {
          job.onProgress?.(progress)
          await new Promise((resolve) => setImmediate(resolve))
        }
        return answer.closed
      })
      return { ...answer, closed }
    },
  })
  const result = await client.submit({ model: 'model', inputs: [INPUT], onProgress: () => {} })
  const { bundle, bundleError } = await result.closed
  assert.equal([bundle, bundleError], ['/a/job.bundle', undefined])
})

test('a bundle that could not be written is told of', async () => {
  const { client } = await serve({ submit: async () => answered([INPUT]) })
  const { bundle, bundleError } = await (await client.submit({ model: 'model', inputs: [INPUT] })).closed
  assert.equal([bundle, bundleError?.message], [undefined, 'no room'])
})

test('failures keep their kind, their numbers and their attempts on the way', async () => {
  const { client } = await serve({
    submit: () => Promise.reject(new JobError(FAILURE)),
    describe: () => Promise.reject(new JobError(FAILURE)),
  })
  for (const asking of [client.submit({ model: 'model', inputs: [INPUT] }), client.describe('bafy')]) {
    const error = await rejection(asking)
    assert.instance(error, JobError)
    assert.equal((error as JobError).failure, FAILURE)
  }
  const other = await serve({
    submit: () => Promise.reject(new NodeError('unknown-model', 'never heard of it')),
    describe: () => Promise.reject(new NodeError('unknown-model', 'never heard of it')),
  })
  for (const asking of [other.client.submit({ model: 'm', inputs: [INPUT] }), other.client.describe('m')]) {
    const { name, code, message } = (await rejection(asking)) as NodeError
    assert.equal([name, code, message], ['NodeError', 'unknown-model', 'never heard of it'])
  }
})

test('a socket that a killed node left behind is no node, and makes way for the next', async () => {
  const dataDirectory = await scratchDirectory()
  await leaveSocket(controlSocketPath(dataDirectory))
  assert.is(await connectControl(dataDirectory), undefined)
  const { client } = await serve({}, dataDirectory)
  assert.equal(await client.status(), STATUS)
})

test('a second node on the same data directory is refused, and the first works on', async () => {
  const { dataDirectory, client } = await serve({})
  const error = await rejection(serve({}, dataDirectory))
  assert.is((error as ControlError).code, 'already-running')
  assert.match(error.message, /--data/)
  assert.equal(await client.status(), STATUS)
})

test('a directory whose path is too long for a socket works too', async () => {
  const dataDirectory = join(await scratchDirectory(), 'a-long-name-'.repeat(12))
  await mkdir(dataDirectory, { recursive: true })
  const { server, client } = await serve({}, dataDirectory)
  assert.ok(Buffer.byteLength(server.path) <= 100, server.path)
  assert.equal(await client.status(), STATUS)
  assert.is.not(controlSocketPath(`${dataDirectory}/other`), server.path)
})

test('nobody there: no client, whatever lies in the directory', async () => {
  const dataDirectory = await scratchDirectory()
  assert.is(await connectControl(dataDirectory), undefined)
  await writeFile(controlSocketPath(dataDirectory), 'a plain file')
  assert.is(await connectControl(dataDirectory), undefined)
})

test('a command that goes away cancels its job', async () => {
  const signals: AbortSignal[] = []
  const { client, server } = await serve({
    submit: ({ signal }) => {
      signals.push(signal!)
      return new Promise(() => {})
    },
  })
  const leaving = new AbortController()
  const error = rejection(client.submit({ model: 'model', inputs: [INPUT], signal: leaving.signal }))
  await until('the job runs', () => signals.length === 1)
  leaving.abort(new Error('asked to stop'))
  assert.is((await error).message, 'asked to stop')
  await until('the job is cancelled', () => signals[0]!.aborted)

  // And one that is killed, in the middle of nowhere.
  const killed = post(server.path, '/jobs', message())
  killed.on('error', () => {})
  await until('the job runs', () => signals.length === 2)
  killed.destroy()
  await until('the job is cancelled', () => signals[1]!.aborted)
})

test('a node that goes away in the middle of a job is told of as such', async () => {
  const running = Promise.withResolvers<void>()
  const { client, server } = await serve({
    submit: (job) => {
      job.onProgress?.({ jobId: 'job', stage: 'asking', found: 1, asked: 1, answered: 0 })
      running.resolve()
      return new Promise(() => {})
    },
  })
  const asking = rejection(client.submit({ model: 'model', inputs: [INPUT] }))
  await running.promise
  await server.close()
  const error = await asking
  assert.instance(error, ControlError)
  assert.is((error as ControlError).code, 'failed')
})

test('bytes that are no question are refused, and the next question is answered', async () => {
  let submitted = 0
  const { client, server } = await serve({
    submit: async () => {
      submitted++
      return answered([INPUT])
    },
  })
  const header = (json: number, binary: number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeUInt32LE(json, 0)
    bytes.writeUInt32LE(binary, 4)
    return bytes
  }
  const refused: [what: RegExp, path: string, body: Uint8Array][] = [
    [/a job needs a message/, '/jobs', Buffer.alloc(0)],
    [/in the middle of a message/, '/jobs', Buffer.alloc(5)],
    [/in the middle of a message/, '/jobs', message().subarray(0, -3)],
    [/too long/, '/jobs', header(0xffff_ffff, 0)],
    [/too long/, '/jobs', header(2, 0xffff_ffff)],
    [/not JSON/, '/jobs', Buffer.concat([header(2, 0), Buffer.from('{]')])],
    [/a job needs a ..model/, '/jobs', Buffer.concat([header(2, 0), Buffer.from('{}')])],
    [/a job needs a ..model/, '/jobs', Buffer.concat([header(4, 0), Buffer.from('null')])],
    [/"type":"error".*TensorError/, '/jobs', message(new Uint8Array(64).fill(0xff))],
    [/a description needs a ..cid/, '/describe', Buffer.from('{}')],
    [/"message"/, '/describe', Buffer.from('null')],
    [/not JSON/, '/describe', Buffer.from('bafy')],
    [/no such question/, '/shutdown', Buffer.from('{}')],
  ]
  for (const [what, path, body] of refused) {
    const text = await answerTo(server.path, path, body)
    assert.match(text, what)
  }
  // And what is not even HTTP.
  const socket = connect(server.path)
  socket.end(Buffer.from([0, 1, 2, 3, 0xff, 10, 13]))
  socket.resume()
  await once(socket, 'close')
  assert.is(submitted, 0)
  assert.equal(await client.status(), STATUS)
})

test.run()

function message(payload: Uint8Array = encodeTensors([INPUT])): Buffer {
  return Buffer.concat(encodeMessage({ type: 'submit', model: 'model' }, payload))
}

function post(socketPath: string, path: string, body: Uint8Array) {
  const outgoing = request({ socketPath, path, method: 'POST', agent: false })
  outgoing.end(body)
  return outgoing
}

async function answerTo(socketPath: string, path: string, body: Uint8Array) {
  const [response] = await once(post(socketPath, path, body), 'response')
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return text
}

/** Leaves a socket at `path` to which nobody listens, as a node does that is killed. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.live`)
  await once(server, 'listening')
  // Closing removes the name it knows.
  await rename(`${path}.live`, path)
  server.close()
  await once(server, 'close')
}

async function rejection(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error('it resolved')
    },
    (error: Error) => error,
  )
}
