/** Milliseconds since 1970 that never go back, whatever happens to the system's clock: what the machines live by. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}
