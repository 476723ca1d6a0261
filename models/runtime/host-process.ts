import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, readSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { allocatePayload } from '../tensor/index.ts'
import { LOG_LINE_CHARS_MAX, LOG_LINES_PER_SECOND_MAX, SLAB_BYTES } from './constants.ts'
import type { UndigestedOutcome } from './digests.ts'
import { type Answer, type Ask, decodeAnswer } from './exact-answers.ts'
import {
  type AskHead,
  createFrameReader,
  encodeFrame,
  type HostReplyHead,
  type LoadHead,
  type PayloadPlace,
} from './frames.ts'
import { type Execution, RuntimeError } from './runtime.ts'
import { openSlab, placeInSlab, slabPlace } from './slab.ts'

/** A model's process as its supervisor sees it. It does one request after the other and has two of them at most. */
export interface HostProcess {
  readonly pid: number | undefined
  execute(id: number, batch: readonly Execution[]): void
  /** Only of the exact lane's. */
  ask(id: number, ask: Ask): void
  /** Ends it at once (SIGKILL); `onExit` follows. */
  kill(): void
}

/** Called as things happen, never from within `spawn` itself. */
export interface HostEvents {
  onLoaded(): void
  onLoadFailed(message: string): void
  /** In the order in which they were handed over. What the execution had of the slab is free again. */
  onExecuted(
    id: number,
    outcomes: readonly UndigestedOutcome[],
    note: string | undefined,
    isSpent?: boolean,
  ): void
  /** As `onExecuted`, of what was asked. */
  onAnswered(id: number, answer: Answer | RuntimeError, isSpent: boolean): void
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

/** Starts a model's process on onnxruntime-node, in the model's directory, and has it load its model. */
export const spawnHost: SpawnHost = (options) =>
  load(startProcess('host', dirname(options.modelPath)), options)
/** The same on the exact lane's engine. */
export const spawnExactHost: SpawnHost = (options) => load(startProcess('exact-host'), options)

/** A process of the exact lane that starts its engine while nobody knows yet which model it will hold. */
export interface PreparedHost {
  readonly pid: number | undefined
  /** As `spawnExactHost`. The first call takes the process, if it lives; every other starts one anew. */
  readonly spawn: SpawnHost
  /** Ends the process, unless it was taken. Idempotent. */
  close(): void
}

/** Starts one: of the half second until a model can be asked, the model's own part is what remains. */
export function prepareExactHost(): PreparedHost {
  let prepared: Started | undefined = startProcess('exact-host')
  const { child, slab } = prepared
  const forget = () => {
    if (prepared === undefined) return
    prepared = undefined
    if (slab !== undefined) closeSync(slab)
  }
  // Whoever takes it listens for itself, and starts another where this one is gone.
  child.once('error', forget)
  child.once('exit', forget)
  return {
    pid: child.pid,
    spawn(options) {
      if (prepared === undefined) return spawnExactHost(options)
      const taken = prepared
      prepared = undefined
      return load(taken, options)
    },
    close() {
      if (prepared === undefined) return
      forget()
      child.kill('SIGKILL')
    },
  }
}

interface Started {
  readonly child: ChildProcess
  readonly slab: number | undefined
}

const HERE = dirname(fileURLToPath(import.meta.url))

function startProcess(name: string, cwd: string = HERE): Started {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const slab = openSlab()
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(HERE, `${name}.${extension}`)],
    {
      cwd,
      env: allowedEnvironment(process.env),
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', slab ?? 'ignore'],
      windowsHide: true,
    },
  )
  // What matters about a broken pipe is told by the exit that comes with it.
  const ignore = () => {}
  for (const stream of [child.stdin, child.stdio[3]]) stream?.on('error', ignore)
  return { child, slab }
}

function load({ child, slab }: Started, { events, ...model }: HostOptions): HostProcess {
  return connect(child, slab, { type: 'load', ...model, slab: slab !== undefined }, events)
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
        const outcomes = head.entries.map((entry): UndigestedOutcome => {
          if (!entry.ok) return { ok: false, error: new RuntimeError(entry.code, entry.message) }
          const { bytes, slabAt, batched, serviceMs } = entry
          if (slabAt === -1) at += bytes
          const outputs = slabAt === -1 ? tail.subarray(at - bytes, at) : readSlab(slab, entry)
          if (outputs.byteLength !== bytes) throw new Error('it sent fewer outputs than it says')
          return { ok: true, outputs, batched, serviceMs }
        })
        events.onExecuted(head.id, outcomes, head.note, head.spent)
        return
      }
      case 'answered': {
        const { id, result, spent } = head
        const answer = result.ok
          ? { ...decodeAnswer(tail, result.payloadBytes), serviceMs: result.serviceMs }
          : new RuntimeError(result.code, result.message)
        events.onAnswered(id, answer, spent)
        return
      }
      default:
        head satisfies never
        throw new Error('it sent a frame of an unknown type')
    }
  }

  return {
    pid: child.pid,
    execute(id, batch) {
      const { inputsAt } = slabPlace(id)
      let free = inputsAt
      const inline: Uint8Array[] = []
      const entries = batch.map(({ inputs }): PayloadPlace => {
        const slabAt = slab === undefined ? -1 : placeInSlab(slab, [inputs], free, inputsAt + SLAB_BYTES)
        if (slabAt === -1) inline.push(inputs)
        else free = slabAt + inputs.byteLength
        return { bytes: inputs.byteLength, slabAt }
      })
      write(socket, encodeFrame({ type: 'execute', id, entries }, inline))
    },
    ask(id, { what, position, digests, payload }) {
      const { inputsAt } = slabPlace(id)
      const slabAt = slab === undefined ? -1 : placeInSlab(slab, [payload], inputsAt, inputsAt + SLAB_BYTES)
      const place: PayloadPlace = { bytes: payload.byteLength, slabAt }
      const head: AskHead = { type: 'ask', id, what, position, digests: digests.length, payload: place }
      write(socket, encodeFrame(head, slabAt === -1 ? [...digests, payload] : digests))
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
  if (slab === undefined || slabAt + bytes > 4 * SLAB_BYTES) throw new Error('it points outside the slab')
  const target = allocatePayload(bytes)
  let filled = 0
  while (filled < bytes) {
    const count = readSync(slab, target, filled, bytes - filled, slabAt + filled)
    if (count === 0) throw new Error('the slab is shorter than it says')
    filled += count
  }
  return target
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
  // onnxruntime 1.30 records what is run in a database of its own and sends it to its maker, unless told otherwise.
  const allowed: NodeJS.ProcessEnv = { ORT_DISABLE_TELEMETRY: '1' }
  // Where this program keeps compiled code, if it does: what one process has compiled, the next need not. In a checkout
  // that spares stripping types as well, a quarter of a second. Node names its own version in a folder inside.
  const compiled = getCompileCacheDir()
  if (compiled !== undefined) allowed.NODE_COMPILE_CACHE = dirname(compiled)
  for (const name of ENVIRONMENT_ALLOWED) {
    if (environment[name] !== undefined) allowed[name] = environment[name]
  }
  return allowed
}
