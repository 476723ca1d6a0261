/** The demo's mesh: provider processes of this machine, started, waited for and ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface ProviderProcess {
  readonly peerId: string
  readonly multiaddrs: readonly string[]
  readonly role: Role
  readonly pid: number
  /** Asks it to stop, then makes it; resolves when it is gone. */
  stop(): Promise<void>
}

export type Role = 'honest' | 'liar' | 'colluder'

/** How a provider of the demo lies. */
export interface Lie {
  readonly role: Exclude<Role, 'honest'>
  /** Those with one seed tell the same lies. */
  readonly seed: number
  /** Index of the way in which it forges its traces, see `FORGERIES`. */
  readonly forgery: number
}

export interface ProviderStart {
  readonly dataDirectory: string
  /** A data directory whose models it provides. */
  readonly storeDirectory: string
  readonly bootstrap: readonly string[]
  /** Undefined for an honest one. */
  readonly lie: Lie | undefined
  readonly signal: AbortSignal
}

/** What a provider process prints when it is ready, as one line of JSON. */
export interface ReadyLine {
  readonly peerId: string
  readonly multiaddrs: readonly string[]
}

/** A process that is not ready by then never will be. */
const READY_TIMEOUT_MS = 60_000
/** For finishing what runs; after that the process is killed. */
const STOP_TIMEOUT_MS = 3_000
/** Of what a failing process said last. */
const ERROR_CHARACTERS_MAX = 4_000

/** Starts a provider and resolves when it takes jobs. Rejects, with nothing left running, when it does not. */
export async function startProvider(options: ProviderStart): Promise<ProviderProcess> {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  const entry = new URL(`./provider${extension}`, import.meta.url)
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(entry),
      ...[
        '--listen',
        '/ip4/127.0.0.1/tcp/0',
        '--data',
        options.dataDirectory,
        '--store',
        options.storeDirectory,
      ],
      // Five processes on a small machine: one thread for each model is fastest for all.
      ...['--threads', '1', '--until-stdin-ends'],
      ...options.bootstrap.flatMap((address) => ['--bootstrap', address]),
      ...(options.lie === undefined
        ? []
        : ['--lie', String(options.lie.seed), '--forgery', String(options.lie.forgery)]),
    ],
    // Its standard input is ours: when this process dies, however it dies, the pipe ends and so does the provider.
    { stdio: ['pipe', 'pipe', 'pipe'] },
  )
  const stop = (): Promise<void> => stopChild(child)
  try {
    const { peerId, multiaddrs } = await readyLine(child, options.signal)
    return {
      peerId,
      multiaddrs,
      role: options.lie?.role ?? 'honest',
      pid: child.pid ?? 0,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function readyLine(child: ChildProcess, signal: AbortSignal): Promise<ReadyLine> {
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-ERROR_CHARACTERS_MAX)
  })
  const lines = createInterface({ input: child.stdout! })
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(READY_TIMEOUT_MS)])
  const line = await Promise.race([
    once(lines, 'line', { signal: bounded }).then(([text]) => String(text)),
    once(child, 'exit', { signal: bounded }).then(([code]) => {
      throw new Error(`a provider process ended before it was ready (code ${code}): ${said.trim()}`)
    }),
  ])
  return JSON.parse(line) as ReadyLine
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await gone
  clearTimeout(timer)
}
