/** Time as an argument, so that tests need not wait. */
export interface Clock {
  /** Milliseconds that never go back. */
  now(): number
  /** Calls `action` once after `delayMs`; the function returned prevents it. */
  schedule(action: () => void, delayMs: number): () => void
}

/** The machine's own time. Its timers do not keep the process alive: the work that they guard does. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  schedule(action, delayMs) {
    const timer = setTimeout(action, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
