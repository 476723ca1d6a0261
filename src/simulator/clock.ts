/** Virtual time: a queue of things to do. What is due at the same moment is done in the order in which it was added. */
export interface Clock {
  readonly nowMs: number
  /** Things done so far. */
  readonly events: number
  /** Things that still wait, those that were taken back included. */
  readonly size: number
  at(timeMs: number, action: () => void): Alarm
  after(delayMs: number, action: () => void): Alarm
  /** Does the next thing; false where nothing is left. */
  step(): boolean
}

export interface Alarm {
  cancel(): void
}

class Entry implements Alarm {
  readonly timeMs: number
  readonly order: number
  action: (() => void) | undefined

  constructor(timeMs: number, order: number, action: () => void) {
    this.timeMs = timeMs
    this.order = order
    this.action = action
  }

  cancel(): void {
    this.action = undefined
  }
}

/** A binary heap: a step costs the logarithm of what waits, whatever the number of nodes. */
export function createClock(): Clock {
  const heap: Entry[] = []
  let nowMs = 0
  let order = 0
  let events = 0

  const isBefore = (a: Entry, b: Entry) => a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.order < b.order)

  function push(entry: Entry): void {
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(entry, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  function pop(): Entry | undefined {
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }

  const at = (timeMs: number, action: () => void): Alarm => {
    const entry = new Entry(Math.max(timeMs, nowMs), order++, action)
    push(entry)
    return entry
  }

  return {
    get nowMs() {
      return nowMs
    },
    get events() {
      return events
    },
    get size() {
      return heap.length
    },
    at,
    after: (delayMs, action) => at(nowMs + delayMs, action),
    step() {
      for (let entry = pop(); entry !== undefined; entry = pop()) {
        const { action } = entry
        if (action === undefined) continue
        nowMs = entry.timeMs
        events += 1
        action()
        return true
      }
      return false
    },
  }
}
