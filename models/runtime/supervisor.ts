import type { Signature } from '../manifest/index.ts'
import {
  ABORT_GRACE_MS,
  BACKOFF_MS_MAX,
  BACKOFF_MS_MIN,
  BACKOFF_RESET_MS,
  HANDED_OVER_MAX,
  LOAD_TIMEOUT_MS,
  MEMORY_POLL_MS,
  QUEUE_MAX,
} from './constants.ts'
import { digestOutcomes, type Soon, type UndigestedOutcome, verifyInputDigests } from './digests.ts'
import type { Answer, Ask } from './exact-answers.ts'
import type { HostEvents, HostProcess, SpawnHost } from './host-process.ts'
import {
  type Execution,
  type ExecutionOutcome,
  type ModelRuntime,
  RuntimeError,
  type RuntimeInfo,
} from './runtime.ts'

export interface NativeRuntimeInit {
  /** Absolute path of the `.onnx` file. */
  readonly modelPath: string
  /** Absent, in the exact lane alone: what the model says of itself. */
  readonly signature?: Signature
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
  /**
   * Asked when it would be ended for that, with the memory that it takes where the system tells: true leaves it for as long
   * again. Without it, it is ended.
   */
  readonly isKept?: (residentBytes: number | undefined) => boolean
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

/** One model's process, and everything that can be asked of it. */
export interface Supervisor extends NativeRuntime {
  /**
   * As `execute`, for what only the exact lane does. Never rejects with `run-failed` by itself: that is for the engine to
   * say.
   */
  ask(ask: Ask, signal: AbortSignal): Promise<Answer>
}

type Task = ExecuteTask | AskTask

interface TaskBase {
  readonly signal: AbortSignal
  readonly onAbort: () => void
  reject(error: RuntimeError): void
}

interface ExecuteTask extends TaskBase {
  readonly kind: 'execute'
  readonly batch: readonly Execution[]
  /** Whether its inputs are those of its jobs; begun when it was handed over. */
  verified: Soon<readonly (RuntimeError | undefined)[]> | undefined
  resolve(outcomes: readonly ExecutionOutcome[]): void
}

interface AskTask extends TaskBase {
  readonly kind: 'ask'
  readonly ask: Ask
  resolve(answer: Answer): void
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

/** `task` is undefined once it was aborted and only the process does not know. */
interface HandedOver {
  readonly id: number
  task: Task | undefined
}

/**
 * Keeps one model's process: starts it on demand, hands it executions, ends it when one must stop, and starts it again.
 * Decides everything; does nothing by itself but through its components.
 *
 * The process has up to two executions: it is at the first, and finds the second when that is done, while this side
 * is still reading and hashing. Only the first can be to blame for how a process ends; the second is handed to the next
 * process, or, after a crash, given up like all that wait.
 */
export function createSupervisor(init: NativeRuntimeInit, components: NativeRuntimeComponents): Supervisor {
  const { now, schedule } = components
  const log = init.onLog ?? (() => {})
  const queue: Task[] = []
  let host: Host | undefined
  /** What the process has, in its order: it is at the first. */
  const running: HandedOver[] = []
  /** Executed, but not yet hashed. */
  const hashing = new Set<Task>()
  let nextId = 1
  let hasLoaded = false
  let failure: RuntimeError | undefined
  let crashes = 0
  let retryAtMs = 0
  let cancelIdle: (() => void) | undefined
  let closed: { promise: Promise<void>; resolve: () => void } | undefined
  let loadWaiters: PromiseWithResolvers<void>[] = []

  return { info: components.info, execute, ask, load, status, close }

  function execute(batch: readonly Execution[], signal: AbortSignal): Promise<readonly ExecutionOutcome[]> {
    return new Promise((resolve, reject) => {
      const refusal = refuse(signal)
      if (refusal !== undefined) {
        reject(refusal)
        return
      }
      const task: ExecuteTask = {
        kind: 'execute',
        batch,
        signal,
        resolve,
        reject,
        onAbort: () => abort(task),
        verified: undefined,
      }
      enqueue(task)
    })
  }

  function ask(asked: Ask, signal: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const refusal = refuse(signal)
      if (refusal !== undefined) {
        // A full queue says nothing about the operands of a step.
        reject(refusal.code === 'run-failed' ? new RuntimeError('backing-off', refusal.message) : refusal)
        return
      }
      const task: AskTask = { kind: 'ask', ask: asked, signal, resolve, reject, onAbort: () => abort(task) }
      enqueue(task)
    })
  }

  function enqueue(task: Task): void {
    task.signal.addEventListener('abort', task.onAbort, { once: true })
    queue.push(task)
    advance()
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
    const handedOver = running.flatMap(({ task }) => task ?? [])
    for (const task of [...queue.splice(0), ...handedOver, ...hashing]) settle(task).reject(error)
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

  /** Gives the process its next executions, if there are both. */
  function advance(): void {
    cancelIdle?.()
    cancelIdle = undefined
    if (closed !== undefined) return
    if (host === undefined) {
      if (queue.length > 0) start()
      return
    }
    if (host.status !== 'ready') return
    while (queue.length > 0 && running.length < HANDED_OVER_MAX) {
      const task = queue.shift()!
      const id = nextId++
      running.push({ id, task })
      if (task.kind === 'ask') {
        host.process.ask(id, task.ask)
        continue
      }
      host.process.execute(id, task.batch)
      // The process is at work by now.
      task.verified ??= verifyInputDigests(task.batch)
    }
    if (running.length === 0 && init.idleMs !== undefined) cancelIdle = schedule(init.idleMs, unload)
  }

  function start(): void {
    const cancels: Host['cancels'] = new Map()
    let self: Host | undefined
    const events: HostEvents = {
      onLoaded: () => loaded(self!),
      onLoadFailed: (message) => loadFailed(self!, message),
      onExecuted: (id, outcomes, note, isSpent = false) => executed(self!, id, outcomes, note, isSpent),
      onAnswered: (id, answer, isSpent) => answered(self!, id, answer, isSpent),
      onLine: (line) => log('info', line),
      onExit: (reason) => exited(self!, reason),
    }
    const { modelPath, signature, batching, threads = 1 } = init
    const stated = signature === undefined ? {} : { signature }
    const child = components.spawn({ modelPath, ...stated, batching, threads, events })
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
    outcomes: readonly UndigestedOutcome[],
    note: string | undefined,
    isSpent: boolean,
  ): void {
    if (from !== host || running[0]?.id !== id) return
    if (note !== undefined) log('warn', `a batch was run one by one: ${note}`)
    const task = finish(from, isSpent)
    if (task?.kind === 'execute') release(task, outcomes)
  }

  function answered(from: Host, id: number, answer: Answer | RuntimeError, isSpent: boolean): void {
    if (from !== host || running[0]?.id !== id) return
    const task = finish(from, isSpent)
    if (task?.kind !== 'ask') return
    settle(task)
    if (answer instanceof RuntimeError) task.reject(answer)
    else task.resolve(answer)
  }

  /** The process is done with its first request, and gets what it needs next before anything else is done. */
  function finish(from: Host, isSpent: boolean): Task | undefined {
    from.cancels.get('grace')?.()
    const task = running.shift()?.task
    const [next] = running
    if (isSpent) {
      // What it has at hand goes to the next process.
      endHost(from, 'idle')
      return task
    }
    if (next !== undefined && next.task === undefined) startGrace(from)
    // The process comes first: what follows takes time.
    if (from.status === 'ready') advance()
    return task
  }

  function release(task: ExecuteTask, outcomes: readonly UndigestedOutcome[]): void {
    const digested = digestOutcomes(task.batch, task.verified ?? verifyInputDigests(task.batch), outcomes)
    if (!(digested instanceof Promise)) {
      settle(task).resolve(digested)
      return
    }
    hashing.add(task)
    const fail = (cause: unknown) =>
      task.reject(new RuntimeError('run-failed', 'the outputs could not be hashed', { cause }))
    digested.then(task.resolve, fail).finally(() => {
      hashing.delete(task)
      settle(task)
    })
  }

  function abort(task: Task): void {
    const error = abortError(task.signal)
    const at = queue.indexOf(task)
    if (at !== -1) queue.splice(at, 1)
    settle(task).reject(error)
    const place = running.findIndex((handedOver) => handedOver.task === task)
    if (place === -1 || host === undefined) return
    running[place]!.task = undefined
    // The process cannot be told to leave out what it was handed, but that one has not begun.
    if (place === 0) startGrace(host)
  }

  function startGrace(at: Host): void {
    const graceMs = init.abortGraceMs ?? ABORT_GRACE_MS
    const end = () => endHost(at, 'aborted')
    if (graceMs === 0) end()
    else at.cancels.set('grace', schedule(graceMs, end))
  }

  function unload(): void {
    if (host?.status !== 'ready' || running.length > 0 || init.idleMs === undefined) return
    const { pid } = host.process
    if (init.isKept?.(pid === undefined ? undefined : components.residentBytes(pid)) === true) {
      cancelIdle = schedule(init.idleMs, unload)
    } else endHost(host, 'idle')
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
    const handedOver = running.splice(0)
    // Ended by us for what the first did, or by the first itself: the others are not to blame.
    const atWork = from.endReason === undefined ? handedOver.shift()?.task : undefined
    if (closed === undefined) queue.unshift(...handedOver.flatMap(({ task }) => task ?? []))
    if (closed !== undefined) {
      closed.resolve()
      return
    }
    if (from.endReason === undefined) crashed(from, atWork, from.fault ?? reason)
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
function settle<T extends Task>(task: T): T {
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
