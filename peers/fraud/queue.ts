import { Allowances, type FraudNotice } from '../../protocols/fraud/index.ts'
import {
  FETCH_BYTES_MAX,
  FETCHES_MAX,
  NEIGHBOURS_MAX,
  PENDING_MAX,
  WORK_BURST,
  WORK_PER_SECOND,
} from './constants.ts'

/** A notice that may be worth a fetch, and who told it. */
export interface PendingNotice {
  readonly neighbour: string
  readonly notice: FraudNotice
}

/**
 * Whose notice is followed next. Each neighbour has a queue of its own, one fetch at a time and an allowance, and they
 * take turns: who tells much delays itself. Two neighbours' notices of one key are two chances to get its proof, so
 * that a liar cannot stand in the way of the truth by being first. Pure: time is an argument.
 */
export class NoticeQueue {
  readonly #work = new Allowances({ burst: WORK_BURST, perSecond: WORK_PER_SECOND, keysMax: NEIGHBOURS_MAX })
  /** By neighbour; the next one to be served is first. */
  readonly #queues = new Map<string, FraudNotice[]>()
  readonly #resting = new Map<string, number>()
  /** By neighbour: how many bytes it is being asked for. */
  readonly #busy = new Map<string, number>()
  #pending = 0

  /** Whether the notice will be followed, unless its neighbour is dropped. */
  offer({ neighbour, notice }: PendingNotice, nowMs: number): boolean {
    if ((this.#resting.get(neighbour) ?? Number.NEGATIVE_INFINITY) > nowMs) return false
    const queue = this.#queues.get(neighbour) ?? []
    if (queue.some(({ accused }) => accused === notice.accused)) return false
    if (!this.#work.take(neighbour, 1, nowMs) || !this.#makeRoom(queue.length)) return false
    queue.push(notice)
    this.#queues.set(neighbour, queue)
    this.#pending++
    return true
  }

  /** The next one, until `done` is told that it is over; undefined when there is none or too much is being fetched. */
  next(): PendingNotice | undefined {
    if (this.#busy.size >= FETCHES_MAX) return undefined
    const fetching = [...this.#busy.values()].reduce((sum, bytes) => sum + bytes, 0)
    for (const [neighbour, queue] of this.#queues) {
      const notice = queue[0]
      if (notice === undefined || this.#busy.has(neighbour)) continue
      if (fetching > 0 && fetching + notice.bytes > FETCH_BYTES_MAX) continue
      queue.shift()
      this.#pending--
      this.#queues.delete(neighbour)
      if (queue.length > 0) this.#queues.set(neighbour, queue)
      this.#busy.set(neighbour, notice.bytes)
      return { neighbour, notice }
    }
    return undefined
  }

  /** Where all is full, the longest queue gives way to one that is shorter by two and more. */
  #makeRoom(length: number): boolean {
    if (this.#pending < PENDING_MAX) return true
    const longest = [...this.#queues.values()].reduce((a, b) => (b.length > a.length ? b : a))
    if (longest.length < length + 2) return false
    longest.pop()
    this.#pending--
    return true
  }

  done(neighbour: string): void {
    this.#busy.delete(neighbour)
  }

  /** Forgets what `neighbour` told, and hears nothing of it for so long. */
  rest(neighbour: string, untilMs: number): void {
    this.#pending -= this.#queues.get(neighbour)?.length ?? 0
    this.#queues.delete(neighbour)
    const latest = Math.max(untilMs, this.#resting.get(neighbour) ?? untilMs)
    this.#resting.delete(neighbour)
    this.#resting.set(neighbour, latest)
    if (this.#resting.size <= NEIGHBOURS_MAX) return
    const oldest = this.#resting.keys().next()
    if (!oldest.done) this.#resting.delete(oldest.value)
  }
}
