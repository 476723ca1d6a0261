/**
 * The process that holds one model. It does one thing at a time, so it waits in blocking reads: a round trip costs
 * 18 microseconds instead of 54 through the event loop (1 KB each way, Zen 4, two cores). It ends when its socket
 * does. It knows nothing of the node but the model's path and signature.
 *
 * File descriptors: 0 the parent's life line, 3 the socket with frames, 4 the slab, if the parent has one.
 */
import { Worker } from 'node:worker_threads'
import { type LoadedModel, loadModel } from './engine.ts'
import type { ExecutedHead, ExecuteHead, HostRequestHead, LoadHead } from './frames.ts'
import { createHostChannel, type HostChannel } from './host-channel.ts'
import { executeBatch } from './host-execution.ts'

// Ctrl-C reaches the whole process group and a service manager signals every process of its group, but it is for the
// parent, which may be draining, to decide when this process ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
watchParent()
await serve()

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

async function serve(): Promise<void> {
  const channel = createHostChannel()
  let loaded: { model: LoadedModel; head: LoadHead } | undefined
  for (;;) {
    const frame = channel.read()
    if (frame === undefined) process.exit(0)
    const head = frame.head as HostRequestHead
    if (head.type === 'load') {
      if (head.slab) channel.openSlab()
      try {
        loaded = { model: await loadModel(head.modelPath, head.signature, head.threads), head }
      } catch (error) {
        channel.write({
          type: 'load-failed',
          message: error instanceof Error ? error.message : String(error),
        })
        continue
      }
      channel.write({ type: 'loaded' })
    } else {
      if (loaded === undefined) throw new Error('an execution came before a model')
      await execute(channel, loaded, head, frame.tail)
    }
  }
}

async function execute(
  channel: HostChannel,
  { model, head }: { model: LoadedModel; head: LoadHead },
  request: ExecuteHead,
  tail: Uint8Array,
): Promise<void> {
  const { signature, batching } = head
  const run = { run: model.run, signature, batching, now: () => performance.now() }
  const { outcomes, note } = await executeBatch(run, readInputs(channel, request, tail))

  const inline: Uint8Array[] = []
  const entries = outcomes.map((outcome): ExecutedHead['entries'][number] => {
    if (!outcome.ok) return { ok: false, code: outcome.error.code, message: outcome.error.message }
    const { outputs, batched, serviceMs } = outcome
    const slabAt = channel.placeInSlab(request.id, outputs)
    if (slabAt === -1) inline.push(...outputs)
    const bytes = outputs.reduce((sum, piece) => sum + piece.byteLength, 0)
    return { ok: true, bytes, slabAt, batched, serviceMs }
  })
  const reply: ExecutedHead = { type: 'executed', id: request.id, entries }
  channel.write(note === undefined ? reply : { ...reply, note }, inline)
}

function readInputs(channel: HostChannel, request: ExecuteHead, tail: Uint8Array): Uint8Array[] {
  let at = 0
  return request.entries.map(({ bytes, slabAt }) => {
    if (slabAt !== -1) return channel.takeFromSlab(slabAt, bytes)
    at += bytes
    return tail.subarray(at - bytes, at)
  })
}
