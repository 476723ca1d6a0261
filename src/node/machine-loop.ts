import { now } from './clock.ts'

/**
 * Feeds events to a machine and performs its effects. Effects may lead to events at once; they wait their turn, so that
 * the machine is never entered twice. `after` is called when all effects of an event were performed.
 */
export function createMachineLoop<Event, Effect>(
  machine: { handle(event: Event, nowMs: number): readonly Effect[] },
  perform: (effect: Effect) => void,
  after: (event: Event) => void = () => {},
): (event: Event) => void {
  const pending: Event[] = []
  let handling = false
  return (event) => {
    pending.push(event)
    if (handling) return
    handling = true
    try {
      for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
        for (const effect of machine.handle(next, now())) perform(effect)
        after(next)
      }
    } finally {
      handling = false
    }
  }
}
