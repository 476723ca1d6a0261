/**
 * Holds back the answers of one job: none is asked for before all providers that were asked together have committed to
 * theirs, have failed, or have had their time. So nobody who was asked with others can answer what they answered,
 * wherever that is seen.
 *
 * Who is asked later, in place of somebody that failed, is a round of its own: the others are not held up for it, and it
 * has as much time as they had. (Were it waited for, it could in turn wait for a stream that an answer of another job
 * holds, which waits for a provider that these others keep busy.)
 */
import type { Clock } from '../../protocols/framing/index.ts'
import { InferenceError } from '../../protocols/inference/index.ts'

export interface CommitBarrier {
  /** One more is asked. Those that join before anything else happens are asked together. */
  join(windowMs: number): Seat
}

export interface Seat {
  /** How long it has to commit. */
  readonly withinMs: number
  /** It has committed. Resolves when the barrier opens; rejects with InferenceError `timeout` where it has opened before. */
  committed(): Promise<void>
  /** Nothing more comes of it. Idempotent. */
  leave(): void
}

interface Round {
  readonly awaited: Set<Seat>
  readonly withinMs: number
  readonly opened: PromiseWithResolvers<void>
  /** Nobody joins any more. */
  isComplete: boolean
  isOpen: boolean
  unschedule(): void
}

export function createCommitBarrier(clock: Clock): CommitBarrier {
  /** The one that can still be joined. */
  let joinable: Round | undefined

  function open(round: Round): void {
    if (round.isOpen) return
    round.isOpen = true
    round.unschedule()
    round.awaited.clear()
    round.opened.resolve()
  }

  function settle(round: Round, seat: Seat): void {
    round.awaited.delete(seat)
    if (round.isComplete && round.awaited.size === 0) open(round)
  }

  function begin(windowMs: number): Round {
    const round: Round = {
      awaited: new Set(),
      withinMs: windowMs,
      opened: Promise.withResolvers(),
      isComplete: false,
      isOpen: false,
      unschedule: clock.schedule(() => open(round), windowMs),
    }
    queueMicrotask(() => {
      joinable = undefined
      round.isComplete = true
      if (round.awaited.size === 0) open(round)
    })
    return round
  }

  return {
    join(windowMs) {
      joinable ??= begin(windowMs)
      const round = joinable
      const seat: Seat = {
        withinMs: round.withinMs,
        committed() {
          if (round.isOpen) {
            return Promise.reject(
              new InferenceError('timeout', 'it committed when the answers of others had been asked for'),
            )
          }
          settle(round, seat)
          return round.opened.promise
        },
        leave: () => settle(round, seat),
      }
      round.awaited.add(seat)
      return seat
    },
  }
}
