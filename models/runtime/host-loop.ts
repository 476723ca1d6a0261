/**
 * The process that holds one model. It does one thing at a time, so it waits in blocking reads: a round trip costs
 * 18 microseconds instead of 54 through the event loop (1 KB each way, Zen 4, two cores). It ends when its socket
 * does. It knows nothing of the node but the model's path and signature.
 *
 * File descriptors: 0 the parent's life line, 3 the socket with frames, 4 the slab, if the parent has one.
 */
import { flushCompileCache } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { Signature } from '../manifest/index.ts'
import { type Ask, encodeAnswer } from './exact-answers.ts'
import type {
  AnsweredHead,
  AskHead,
  ExecutedHead,
  ExecuteHead,
  HostRequestHead,
  LoadHead,
  PayloadPlace,
} from './frames.ts'
import { createHostChannel, type HostChannel } from './host-channel.ts'
import { executeBatch, type RunModel } from './host-execution.ts'
import { RuntimeError } from './runtime.ts'

/** A model as a process holds it. */
export interface HostedModel {
  readonly signature: Signature
  readonly run: RunModel
  /** Of the exact lane. Throws RuntimeError. */
  answer?(ask: Ask): HostedAnswer
  /** Whether the process should be replaced once it has answered. */
  isSpent?(): boolean
}

/** As Answer, with the payload in pieces that follow one another. */
export interface HostedAnswer {
  readonly payload: readonly Uint8Array[]
  readonly leaves: readonly Uint8Array[]
  readonly serviceMs: number
}

/** Serves requests until the parent hangs up. `load` rejects with what the person is to read. */
export async function serveHost(load: (head: LoadHead) => Promise<HostedModel>): Promise<void> {
  // Ctrl-C reaches the whole process group and a service manager signals every process of its group, but it is for the
  // parent, which may be draining, to decide when this process ends.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  watchParent()
  const channel = createHostChannel()
  let loaded: { model: HostedModel; head: LoadHead } | undefined
  for (;;) {
    const frame = channel.read()
    if (frame === undefined) process.exit(0)
    const head = frame.head as HostRequestHead
    if (head.type === 'load') {
      if (head.slab) channel.openSlab()
      try {
        loaded = { model: await load(head), head }
      } catch (error) {
        channel.write({ type: 'load-failed', message: messageOf(error) })
        continue
      }
      channel.write({ type: 'loaded' })
      // Written when a process ends by itself, which this one does not: it is killed.
      flushCompileCache()
    } else {
      if (loaded === undefined) throw new Error('a request came before a model')
      if (head.type === 'execute') await execute(channel, loaded, head, frame.tail)
      else answer(channel, loaded.model, head, frame.tail)
    }
  }
}

/**
 * Native code cannot be interrupted and keeps the main thread from noticing that the parent died. This thread ends the
 * process when standard input, on which nothing is ever written, closes. A string, since a module of its own would load
 * the whole type stripper into a second thread.
 */
function watchParent(): void {
  const source = `
    const { Socket } = require('node:net')
    const end = () => process.kill(process.pid, 'SIGKILL')
    new Socket({ fd: 0, readable: true, writable: false }).on('close', end).on('error', end).resume()
  `
  new Worker(source, { eval: true }).unref()
}

async function execute(
  channel: HostChannel,
  { model, head }: { model: HostedModel; head: LoadHead },
  request: ExecuteHead,
  tail: Uint8Array,
): Promise<void> {
  const { signature, run: runModel } = model
  const run = { run: runModel, signature, batching: head.batching, now: () => performance.now() }
  const { outcomes, note } = await executeBatch(run, readPayloads(channel, request.entries, tail))

  const inline: Uint8Array[] = []
  const entries = outcomes.map((outcome): ExecutedHead['entries'][number] => {
    if (!outcome.ok) return { ok: false, code: outcome.error.code, message: outcome.error.message }
    const { outputs, batched, serviceMs } = outcome
    const slabAt = channel.placeInSlab(request.id, outputs)
    if (slabAt === -1) inline.push(...outputs)
    return { ok: true, bytes: totalBytes(outputs), slabAt, batched, serviceMs }
  })
  const reply: ExecutedHead = { type: 'executed', id: request.id, entries }
  const spent = model.isSpent?.() === true ? { spent: true } : {}
  channel.write({ ...reply, ...(note === undefined ? {} : { note }), ...spent }, inline)
}

function answer(channel: HostChannel, model: HostedModel, head: AskHead, tail: Uint8Array): void {
  const { id, what, position } = head
  const reply = (result: AnsweredHead['result'], pieces: readonly Uint8Array[] = []) =>
    channel.write({ type: 'answered', id, result, spent: model.isSpent?.() === true }, pieces)
  try {
    const digestsEnd = head.digests * 32
    const digests = Array.from({ length: head.digests }, (_, at) => tail.subarray(at * 32, (at + 1) * 32))
    const [payload] = readPayloads(channel, [head.payload], tail.subarray(digestsEnd))
    const given = model.answer?.({ what, position, digests, payload: payload! })
    if (given === undefined) throw new Error('this process only executes')
    const { serviceMs } = given
    const result = { ok: true, serviceMs, payloadBytes: totalBytes(given.payload) } as const
    reply(result, encodeAnswer(given.payload, given.leaves))
  } catch (error) {
    // What nobody foresaw is the process's own fault, never that of what it was given.
    const code = error instanceof RuntimeError ? error.code : 'crashed'
    reply({ ok: false, code, message: messageOf(error) })
  }
}

function readPayloads(channel: HostChannel, places: readonly PayloadPlace[], tail: Uint8Array): Uint8Array[] {
  let at = 0
  return places.map(({ bytes, slabAt }) => {
    if (slabAt !== -1) return channel.takeFromSlab(slabAt, bytes)
    at += bytes
    return tail.subarray(at - bytes, at)
  })
}

function totalBytes(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
