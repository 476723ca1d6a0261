import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, readSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { LOG_LINE_CHARS_MAX, LOG_LINES_PER_SECOND_MAX, SLAB_BYTES } from './constants.ts'
import {
  createFrameReader,
  type ExecutedHead,
  encodeFrame,
  type HostReplyHead,
  type LoadHead,
  type PayloadPlace,
} from './frames.ts'
import { type Execution, type ExecutionOutcome, RuntimeError } from './runtime.ts'
import { openSlab, placeInSlab } from './slab.ts'

/** A model's process as its supervisor sees it. It has one execution at a time. */
export interface HostProcess {
  readonly pid: number | undefined
  execute(id: number, batch: readonly Execution[]): void
  /** Ends it at once (SIGKILL); `onExit` follows. */
  kill(): void
}

/** Called as things happen, never from within `spawn` itself. */
export interface HostEvents {
  onLoaded(): void
  onLoadFailed(message: string): void
  onExecuted(id: number, outcomes: readonly ExecutionOutcome[], note: string | undefined): void
  /** A line that the engine printed. */
  onLine(line: string): void
  /** Last event of this process; `reason` is for people. */
  onExit(reason: string): void
}

export interface HostOptions extends Omit<LoadHead, 'type' | 'slab'> {
  readonly events: HostEvents
}

export type SpawnHost = (options: HostOptions) => HostProcess

/**
 * What a model's process gets to see of this one's environment: nothing that names a secret, a proxy or an account.
 * The library paths are there since the engine is a shared library.
 */
const ENVIRONMENT_ALLOWED = [
  'PATH',
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'TEMP',
  'SystemRoot',
]

/** Starts a model's process and has it load its model. */
export const spawnHost: SpawnHost = ({ events, ...load }) => {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const script = fileURLToPath(new URL(`./host.${extension}`, import.meta.url))
  const slab = openSlab()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script], {
    cwd: dirname(load.modelPath),
    env: allowedEnvironment(process.env),
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', slab ?? 'ignore'],
    windowsHide: true,
  })
  return connect(child, slab, { type: 'load', ...load, slab: slab !== undefined }, events)
}

function connect(
  child: ChildProcess,
  slab: number | undefined,
  load: LoadHead,
  events: HostEvents,
): HostProcess {
  const socket = child.stdio[3] as Socket
  let ended = false
  let fault: string | undefined
  let lastLine = ''
  let pending: { head: ExecutedHead; outputs: (Uint8Array | undefined)[] } | undefined

  const end = (reason: string) => {
    if (ended) return
    ended = true
    if (slab !== undefined) closeSync(slab)
    events.onExit(reason)
  }
  const breakOff = (error: Error) => {
    fault ??= error.message
    child.kill('SIGKILL')
  }
  child.once('error', (error) => {
    // It could not be started at all; there will be no exit.
    if (child.pid === undefined) end(error.message)
  })
  // After everything that it wrote was read: its last words often say why.
  child.once('close', (code, signal) => {
    const how = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`
    end(fault ?? (lastLine === '' ? how : `${how}; the last it said: ${lastLine}`))
  })
  // What matters about a broken pipe is told by the exit that comes with it.
  const ignore = () => {}
  socket.on('error', ignore)
  child.stdin?.on('error', ignore)
  captureLines(child, (line) => {
    if (line !== '') lastLine = line
    events.onLine(line)
  })

  const reader = createFrameReader((head, tail) => receive(head as HostReplyHead, tail))
  socket.on('data', (chunk: Uint8Array) => {
    if (ended) return
    try {
      reader(chunk)
    } catch (error) {
      breakOff(error as Error)
    }
  })
  write(socket, encodeFrame(load))

  function receive(head: HostReplyHead, tail: Uint8Array): void {
    switch (head.type) {
      case 'loaded':
        events.onLoaded()
        return
      case 'load-failed':
        events.onLoadFailed(head.message)
        return
      case 'executed': {
        let at = 0
        const outputs = head.entries.map((entry) => {
          if (!entry.ok) return undefined
          if (entry.slabAt !== -1) return readSlab(slab, entry)
          at += entry.bytes
          return tail.subarray(at - entry.bytes, at)
        })
        pending = { head, outputs }
        if (!head.digestsFollow) finish(tail.subarray(at))
        return
      }
      case 'digests':
        finish(tail)
        return
      default:
        throw new Error('it sent a frame of an unknown type')
    }
  }

  function finish(digests: Uint8Array): void {
    if (pending === undefined) throw new Error('it sent digests of nothing')
    const { head, outputs } = pending
    pending = undefined
    let at = 0
    const outcomes = head.entries.map((entry, index): ExecutionOutcome => {
      if (!entry.ok) return { ok: false, error: new RuntimeError(entry.code, entry.message) }
      at += 32
      const { batched, serviceMs } = entry
      const outputDigest = digests.slice(at - 32, at)
      if (outputDigest.byteLength !== 32) throw new Error('it sent too few digests')
      return { ok: true, value: { outputs: outputs[index]!, outputDigest, batched, serviceMs } }
    })
    events.onExecuted(head.id, outcomes, head.note)
  }

  return {
    pid: child.pid,
    execute(id, batch) {
      let free = 0
      const inline: Uint8Array[] = []
      const entries = batch.map(({ inputs }): PayloadPlace => {
        const slabAt = slab === undefined ? -1 : placeInSlab(slab, inputs, free, SLAB_BYTES)
        if (slabAt === -1) inline.push(inputs)
        else free = slabAt + inputs.byteLength
        return { bytes: inputs.byteLength, slabAt }
      })
      for (const { salt, inputDigest } of batch) inline.push(salt, inputDigest)
      write(socket, encodeFrame({ type: 'execute', id, entries }, inline))
    },
    kill() {
      child.kill('SIGKILL')
    },
  }
}

function write(socket: Writable, pieces: readonly Uint8Array[]): void {
  let bytes = 0
  for (const piece of pieces) bytes += piece.byteLength
  if (bytes <= 64 * 1024) {
    socket.write(Buffer.concat(pieces, bytes))
    return
  }
  socket.cork()
  for (const piece of pieces) socket.write(piece)
  socket.uncork()
}

function readSlab(slab: number | undefined, { slabAt, bytes }: PayloadPlace): Uint8Array {
  if (slab === undefined || slabAt + bytes > 2 * SLAB_BYTES) throw new Error('it points outside the slab')
  const target = Buffer.allocUnsafeSlow(bytes)
  let filled = 0
  while (filled < bytes) {
    const count = readSync(slab, target, filled, bytes - filled, slabAt + filled)
    if (count === 0) throw new Error('the slab is shorter than it says')
    filled += count
  }
  return new Uint8Array(target.buffer)
}

function captureLines(child: ChildProcess, onLine: (line: string) => void): void {
  let second = 0
  let lines = 0
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface({ input: stream as Readable }).on('line', (line) => {
      const now = Math.floor(performance.now() / 1000)
      if (now !== second) lines = 0
      second = now
      if (++lines <= LOG_LINES_PER_SECOND_MAX) onLine(line.slice(0, LOG_LINE_CHARS_MAX))
    })
  }
}

function allowedEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const allowed: NodeJS.ProcessEnv = {}
  for (const name of ENVIRONMENT_ALLOWED) {
    if (environment[name] !== undefined) allowed[name] = environment[name]
  }
  return allowed
}
