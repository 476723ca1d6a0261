import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** The machine's work since it started, in milliseconds of all its processors together. */
export interface ProcessorTimes {
  readonly idle: number
  readonly all: number
}

export interface IdlenessOptions {
  /** Between two looks. The load average, which an operating system keeps, tells of the last minute: too late for both answers. */
  readonly intervalMs?: number
  readonly read?: () => ProcessorTimes
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>
}

/** Three quarters of the processors had nothing to do: what nobody waits for may use one, and other nodes may think the same. */
const IDLE_SHARE = 0.75
const IDLE_INTERVAL_MS = 3_000

/** Resolves as soon as the machine had time to spare from one look to the next. Rejects when `signal` is aborted. */
export async function untilIdle(
  signal: AbortSignal,
  { intervalMs = IDLE_INTERVAL_MS, read = readProcessorTimes, pause = pauseUnnoticed }: IdlenessOptions = {},
): Promise<void> {
  let before = read()
  for (;;) {
    await pause(intervalMs, signal)
    signal.throwIfAborted()
    const now = read()
    // Where a system tells no times, nothing has passed.
    if (now.idle - before.idle >= (now.all - before.all) * IDLE_SHARE) return
    before = now
  }
}

/** Keeps no process alive. */
function pauseUnnoticed(ms: number, signal: AbortSignal): Promise<unknown> {
  return sleep(ms, undefined, { signal, ref: false })
}

function readProcessorTimes(): ProcessorTimes {
  let [idle, all] = [0, 0]
  for (const { times } of cpus()) {
    idle += times.idle
    for (const ms of Object.values(times)) all += ms
  }
  return { idle, all }
}
