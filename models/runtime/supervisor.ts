import type { Signature } from '../manifest/index.ts'
import {
  ABORT_GRACE_MS,
  BACKOFF_MS_MAX,
  BACKOFF_MS_MIN,
  BACKOFF_RESET_MS,
  LOAD_TIMEOUT_MS,
  MEMORY_POLL_MS,
  QUEUE_MAX,
} from './constants.ts'
import type { HostEvents, HostProcess, SpawnHost } from './host-process.ts'
import {
  type Execution,
  type ExecutionOutcome,
  type ModelRuntime,
  RuntimeError,
  type RuntimeInfo,
} from './runtime.ts'

export interface NativeRuntimeInit {
  /** Absolute path of the `.onnx` file. Its directory is the process's working directory. */
  readonly modelPath: string
  readonly signature: Signature
  /** Whether entries of one execution may be run together: the manifest's `batching.independent`. */
  readonly batching: boolean
  /** Threads of one execution; default 1. */
  readonly threads?: number
  /** Resident memory above which the process is ended; unbounded without it. */
  readonly memoryBytesMax?: number
  readonly loadTimeoutMs?: number
  /** How long an aborted execution may still run before it costs the process its life. */
  readonly abortGraceMs?: number
  /** After this long without work the process is ended; the next execution starts it again. Never without it. */
  readonly idleMs?: number
  /** Lines of the engine, crashes and restarts, for a log. */
  readonly onLog?: (level: 'info' | 'warn', message: string) => void
}

/** What the supervisor needs of the world. */
export interface NativeRuntimeComponents {
  readonly spawn: SpawnHost
  /** Milliseconds, monotonic. */
  readonly now: () => number
  /** Calls back once after `ms`, and not after the function that it returns was called. Must not keep a process alive. */
  readonly schedule: (ms: number, callback: () => void) => () => void
  /** Resident memory of a process in bytes; undefined where the system does not tell. */
  readonly residentBytes: (pid: number) => number | undefined
  readonly info: RuntimeInfo
}

export interface NativeRuntime extends ModelRuntime {
  load(signal?: AbortSignal): Promise<void>
  status(): NativeRuntimeStatus
}

export interface NativeRuntimeStatus {
  readonly state: 'unloaded' | 'loading' | 'ready' | 'backing-off' | 'failed' | 'closed'
  readonly pid: number | undefined
  readonly queued: number
}

interface Task {
  readonly batch: readonly Execution[]
  readonly signal: AbortSignal
  readonly onAbort: () => void
  resolve(outcomes: readonly ExecutionOutcome[]): void
  reject(error: RuntimeError): void
}

interface Host {
  readonly process: HostProcess
  readonly startedAt: number
  status: 'loading' | 'ready' | 'ending'
  /** Why we end it ourselves; undefined makes its end a crash. */
  endReason: 'aborted' | 'closed' | 'idle' | undefined
  /** Said in place of the exit's own reason. */
  fault: string | undefined
  readonly cancels: Map<'load' | 'grace' | 'memory', () => void>
}

/**
 * Keeps one model's process: starts it on demand, hands it one execution at a time, ends it when an execution must
 * stop, and starts it again. Decides everything; does nothing by itself but through its components.
 */
export function createSupervisor(
  init: NativeRuntimeInit,
  components: NativeRuntimeComponents,
): NativeRuntime {
  const { now, schedule } = components
  const log = init.onLog ?? (() => {})
  const queue: Task[] = []
  let host: Host | undefined
  /** `task` is undefined once it was aborted and only its process is still at it. */
  let running: { id: number; task: Task | undefined } | undefined
  let nextId = 1
  let hasLoaded = false
  let failure: RuntimeError | undefined
  let crashes = 0
  let retryAtMs = 0
  let cancelIdle: (() => void) | undefined
  let closed: { promise: Promise<void>; resolve: () => void } | undefined
  let loadWaiters: PromiseWithResolvers<void>[] = []

  return { info: components.info, execute, load, status, close }

  function execute(batch: readonly Execution[], signal: AbortSignal): Promise<readonly ExecutionOutcome[]> {
    return new Promise((resolve, reject) => {
      const refusal = refuse(signal)
      if (refusal !== undefined) {
        reject(refusal)
        return
      }
      const task: Task = { batch, signal, resolve, reject, onAbort: () => abort(task) }
      signal.addEventListener('abort', task.onAbort, { once: true })
      queue.push(task)
      advance()
    })
  }

  async function load(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw abortError(signal)
    if (closed !== undefined) throw closedError()
    if (host?.status === 'ready') return
    // Asked for by name, a model that failed to load gets another try: its file may have been repaired.
    failure = undefined
    const waiter = Promise.withResolvers<void>()
    const onAbort = () => waiter.reject(abortError(signal!))
    signal?.addEventListener('abort', onAbort, { once: true })
    loadWaiters.push(waiter)
    if (host === undefined) start()
    try {
      await waiter.promise
    } finally {
      loadWaiters = loadWaiters.filter((other) => other !== waiter)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  function status(): NativeRuntimeStatus {
    return { state: state(), pid: host?.process.pid, queued: queue.length }
  }

  function close(): Promise<void> {
    if (closed !== undefined) return closed.promise
    closed = Promise.withResolvers<void>()
    cancelIdle?.()
    const error = closedError()
    for (const task of queue.splice(0)) settle(task).reject(error)
    if (running?.task !== undefined) settle(running.task).reject(error)
    for (const waiter of loadWaiters) waiter.reject(error)
    if (host === undefined) closed.resolve()
    else endHost(host, 'closed')
    return closed.promise
  }

  function state(): NativeRuntimeStatus['state'] {
    if (closed !== undefined) return 'closed'
    if (failure !== undefined) return 'failed'
    if (host?.status === 'ready') return 'ready'
    if (host !== undefined) return 'loading'
    return now() < retryAtMs ? 'backing-off' : 'unloaded'
  }

  function refuse(signal: AbortSignal): RuntimeError | undefined {
    if (closed !== undefined) return closedError()
    if (signal.aborted) return abortError(signal)
    if (failure !== undefined) return failure
    if (host === undefined && now() < retryAtMs) return backingOffError()
    if (queue.length >= QUEUE_MAX)
      return new RuntimeError('run-failed', 'too many executions wait for this model')
    return undefined
  }

  /** Gives the process its next execution, if there are both. */
  function advance(): void {
    cancelIdle?.()
    cancelIdle = undefined
    if (closed !== undefined || running !== undefined) return
    if (queue.length === 0) {
      if (host?.status === 'ready' && init.idleMs !== undefined) cancelIdle = schedule(init.idleMs, unload)
      return
    }
    if (host === undefined) start()
    else if (host.status === 'ready') {
      const task = queue.shift()!
      running = { id: nextId++, task }
      host.process.execute(running.id, task.batch)
    }
  }

  function start(): void {
    const cancels: Host['cancels'] = new Map()
    let self: Host | undefined
    const events: HostEvents = {
      onLoaded: () => loaded(self!),
      onLoadFailed: (message) => loadFailed(self!, message),
      onExecuted: (id, outcomes, note) => executed(self!, id, outcomes, note),
      onLine: (line) => log('info', line),
      onExit: (reason) => exited(self!, reason),
    }
    const { modelPath, signature, batching, threads = 1 } = init
    const child = components.spawn({ modelPath, signature, batching, threads, events })
    self = {
      process: child,
      startedAt: now(),
      status: 'loading',
      endReason: undefined,
      fault: undefined,
      cancels,
    }
    host = self
    const timeoutMs = init.loadTimeoutMs ?? LOAD_TIMEOUT_MS
    const onTimeout = () => loadFailed(self, `it was not loaded after ${timeoutMs / 1000} s`)
    cancels.set('load', schedule(timeoutMs, onTimeout))
    watchMemory(self)
  }

  function loaded(from: Host): void {
    if (from.status !== 'loading') return
    from.cancels.get('load')?.()
    from.status = 'ready'
    hasLoaded = true
    for (const waiter of loadWaiters) waiter.resolve()
    advance()
  }

  function loadFailed(from: Host, message: string): void {
    if (from.status !== 'loading') return
    failLoad(message)
    endHost(from, 'aborted')
  }

  function failLoad(message: string): void {
    failure = new RuntimeError(
      'load-failed',
      `the model "${init.modelPath}" does not load: ${message}. ` +
        'Check that the file is complete (add the model again from its source) and that its operators are ones this engine knows.',
    )
    log('warn', failure.message)
    for (const task of queue.splice(0)) settle(task).reject(failure)
    for (const waiter of loadWaiters) waiter.reject(failure)
  }

  function executed(
    from: Host,
    id: number,
    outcomes: readonly ExecutionOutcome[],
    note: string | undefined,
  ): void {
    if (from !== host || running?.id !== id) return
    if (note !== undefined) log('warn', `a batch was run one by one: ${note}`)
    from.cancels.get('grace')?.()
    const { task } = running
    running = undefined
    if (task !== undefined) settle(task).resolve(outcomes)
    if (from.status === 'ready') advance()
  }

  function abort(task: Task): void {
    const error = abortError(task.signal)
    const at = queue.indexOf(task)
    if (at !== -1) queue.splice(at, 1)
    settle(task).reject(error)
    if (running?.task !== task || host === undefined) return
    running.task = undefined
    const ending = host
    const graceMs = init.abortGraceMs ?? ABORT_GRACE_MS
    if (graceMs === 0) endHost(ending, 'aborted')
    else
      ending.cancels.set(
        'grace',
        schedule(graceMs, () => endHost(ending, 'aborted')),
      )
  }

  function unload(): void {
    if (host?.status === 'ready' && running === undefined) endHost(host, 'idle')
  }

  function endHost(ending: Host, reason: NonNullable<Host['endReason']>): void {
    ending.endReason = reason
    if (ending.status === 'ending') return
    ending.status = 'ending'
    ending.process.kill()
  }

  function exited(from: Host, reason: string): void {
    if (host !== from) return
    for (const cancel of from.cancels.values()) cancel()
    host = undefined
    const task = running?.task
    running = undefined
    if (closed !== undefined) {
      closed.resolve()
      return
    }
    if (from.endReason === undefined) crashed(from, task, from.fault ?? reason)
    else if (failure !== undefined) return
    // Whoever aborts one execution will most likely ask for the next: start at once, not when it comes.
    else if (from.endReason === 'aborted' || loadWaiters.length > 0) start()
    else advance()
  }

  function crashed(from: Host, task: Task | undefined, reason: string): void {
    if (from.status === 'loading' && !hasLoaded) {
      failLoad(`its process died while loading (${reason})`)
      return
    }
    if (now() - from.startedAt >= BACKOFF_RESET_MS) crashes = 0
    const waitMs = Math.min(BACKOFF_MS_MIN * 2 ** crashes, BACKOFF_MS_MAX)
    crashes = Math.min(crashes + 1, 16)
    retryAtMs = now() + waitMs
    log('warn', `the model's process crashed: ${reason}; it can start again in ${waitMs} ms`)
    const error = new RuntimeError('crashed', `the model's process crashed: ${reason}`, {
      retryAfterMs: waitMs,
    })
    if (task !== undefined) settle(task).reject(error)
    for (const waiting of queue.splice(0)) settle(waiting).reject(backingOffError())
    for (const waiter of loadWaiters) waiter.reject(error)
  }

  function watchMemory(watched: Host): void {
    const { memoryBytesMax } = init
    const { pid } = watched.process
    if (memoryBytesMax === undefined || pid === undefined) return
    const check = () => {
      const bytes = components.residentBytes(pid)
      if (bytes === undefined || bytes <= memoryBytesMax) {
        watched.cancels.set('memory', schedule(MEMORY_POLL_MS, check))
        return
      }
      watched.fault = `it used ${bytes} bytes of memory where ${memoryBytesMax} are allowed`
      watched.process.kill()
    }
    check()
  }

  function backingOffError(): RuntimeError {
    const retryAfterMs = Math.max(1, Math.ceil(retryAtMs - now()))
    const message = `the model's process crashed lately; it is tried again in ${retryAfterMs} ms`
    return new RuntimeError('backing-off', message, { retryAfterMs })
  }
}

/** The task, no longer listening to its signal. */
function settle(task: Task): Task {
  task.signal.removeEventListener('abort', task.onAbort)
  return task
}

function closedError(): RuntimeError {
  return new RuntimeError('closed', 'the runtime was closed')
}

/** A signal made by `AbortSignal.timeout` is a deadline; every other reason is somebody's wish. */
function abortError({ reason }: AbortSignal): RuntimeError {
  const isTimeout = reason instanceof Error && reason.name === 'TimeoutError'
  return isTimeout
    ? new RuntimeError('deadline', 'the execution did not end within its deadline', { cause: reason })
    : new RuntimeError('aborted', 'the execution was aborted', { cause: reason })
}
