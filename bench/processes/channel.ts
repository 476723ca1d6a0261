/**
 * A process of the bench and the messages to it: a request and its answer over Node's IPC channel, one at a time.
 * Each server, provider and client has a process of its own, so that no event loop slows another's.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** A process that does not answer in this time is taken for hung: the longest request is one measuring window. */
const ANSWER_TIMEOUT_MS = 180_000
const STOP_TIMEOUT_MS = 10_000
const LOG_CHARACTERS_MAX = 20_000

export interface BenchProcess {
  readonly pid: number
  request<Reply>(message: object): Promise<Reply>
  /** Asks the process to end, and ends it if it does not. */
  stop(): Promise<void>
}

export interface StartOptions {
  /** For V8 flags such as `--cpu-prof`. */
  readonly execArgv?: readonly string[]
}

/** Starts `bench/processes/ENTRY.ts`. */
export function startProcess(entry: string, options: StartOptions = {}): BenchProcess {
  const child = fork(join(import.meta.dirname, `${entry}.ts`), {
    execArgv: ['--disable-warning=ExperimentalWarning', ...(options.execArgv ?? [])],
    // The baselines too: the engine's telemetry costs time that has nothing to do with what is measured.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  // Kept to be shown when the process dies: nothing that it prints is of interest otherwise.
  let log = ''
  const keep = (chunk: Buffer): void => {
    log = (log + chunk).slice(-LOG_CHARACTERS_MAX)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return {
    pid: child.pid ?? 0,
    request: (message) => exchange(child, entry, message, () => log),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      if (child.connected) child.send({ type: 'stop' })
      await exited
      clearTimeout(timer)
    },
  }
}

function exchange<Reply>(
  child: ChildProcess,
  entry: string,
  message: object,
  log: () => string,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer)
      child.off('message', onMessage)
      child.off('exit', onExit)
    }
    const onMessage = (reply: unknown): void => {
      end()
      const { ok, value, error } = reply as { ok: boolean; value: Reply; error: string }
      if (ok) resolve(value)
      else reject(new Error(`${entry}: ${error}`))
    }
    const onExit = (code: number | null, signal: string | null): void => {
      end()
      reject(new Error(`${entry} ended (${signal ?? code}) instead of answering\n${log()}`))
    }
    const timer = setTimeout(() => {
      end()
      reject(new Error(`${entry} did not answer in ${ANSWER_TIMEOUT_MS / 1000} s\n${log()}`))
    }, ANSWER_TIMEOUT_MS)
    child.on('message', onMessage)
    child.on('exit', onExit)
    if (child.exitCode !== null || !child.connected) onExit(child.exitCode, child.signalCode)
    else child.send(message)
  })
}

/**
 * The other end: answers each message by `handle`, and on `stop`, or when the parent is gone, runs `close` and exits.
 */
export function serveParent<Message extends { type: string }>(
  handle: (message: Message) => Promise<unknown>,
  close: () => Promise<void>,
): void {
  const exit = (): void => {
    close().then(
      () => process.exit(0),
      (error) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('message', (message: Message) => {
    if (message.type === 'stop') {
      exit()
      return
    }
    handle(message).then(
      (value) => process.send?.({ ok: true, value }),
      (error: unknown) =>
        process.send?.({
          ok: false,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
    )
  })
  process.on('disconnect', exit)
  // Ctrl-C reaches the whole group; the parent ends us by the channel, in order.
  process.on('SIGINT', () => {})
}
