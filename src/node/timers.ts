import { now } from './clock.ts'

/** Named timers of a machine: scheduling one again moves it. */
export interface Timers {
  schedule(timer: string, atMs: number): void
  unschedule(timer: string): void
  clear(): void
}

/** Wall-clock timers that call `expired` with their name. Times are those of `now`. */
export function createTimers(expired: (timer: string) => void): Timers {
  const running = new Map<string, NodeJS.Timeout>()
  const unschedule = (timer: string): void => {
    clearTimeout(running.get(timer))
    running.delete(timer)
  }
  return {
    schedule(timer, atMs) {
      unschedule(timer)
      const handle = setTimeout(
        () => {
          running.delete(timer)
          expired(timer)
        },
        Math.max(0, atMs - now()),
      )
      running.set(timer, handle)
    },
    unschedule,
    clear() {
      for (const timer of [...running.keys()]) unschedule(timer)
    },
  }
}
