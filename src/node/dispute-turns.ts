/**
 * Whose dispute may go on. A liar that answers thirty lines of a page gets thirty disputes at once; the first exposes it,
 * and the others need not be held at all. So a dispute waits while another one has a party in common with it.
 */
export interface DisputeTurns {
  /**
   * Resolves when it is the job's turn, at once if it has it already. One in the background waits for others, and nobody
   * waits for it. Rejects with the signal's reason.
   */
  take(
    jobId: string,
    parties: readonly string[],
    signal: AbortSignal,
    options?: { readonly isBackground?: boolean },
  ): Promise<void>
  /** The job's dispute is over, or needs nobody else to wait any longer. Idempotent. */
  end(jobId: string): void
}

/** `schedule` calls back once after `ms`, unless the function that it returns is called before. */
export function createDisputeTurns(
  holdMsMax: number,
  schedule: (ms: number, callback: () => void) => () => void,
): DisputeTurns {
  const running = new Map<string, Running>()
  /** In the order in which they came. */
  const waiting = new Map<string, Waiting>()

  function end(jobId: string): void {
    running.get(jobId)?.cancel()
    if (running.delete(jobId)) advance()
  }

  function advance(): void {
    for (const [jobId, { parties, isBackground, start }] of waiting) {
      if (isBlocked(parties)) continue
      waiting.delete(jobId)
      begin(jobId, parties, isBackground)
      for (const resolve of start) resolve()
    }
  }

  function isBlocked(parties: readonly string[]): boolean {
    return [...running.values()].some(
      (other) => !other.isBackground && parties.some((party) => other.parties.has(party)),
    )
  }

  function begin(jobId: string, parties: readonly string[], isBackground: boolean): void {
    const cancel = schedule(holdMsMax, () => end(jobId))
    running.set(jobId, { parties: new Set(parties), isBackground, cancel })
  }

  return {
    take(jobId, parties, signal, { isBackground = false } = {}) {
      const own = running.get(jobId)
      if (own !== undefined) {
        // Whoever was drawn since is a party too.
        for (const party of parties) own.parties.add(party)
        return Promise.resolve()
      }
      if (!isBlocked(parties)) {
        begin(jobId, parties, isBackground)
        return Promise.resolve()
      }
      return new Promise((resolve, reject) => {
        const entry = waiting.get(jobId) ?? { parties, isBackground, start: [] }
        waiting.set(jobId, entry)
        const onAbort = (): void => {
          waiting.delete(jobId)
          reject(signal.reason)
        }
        entry.start.push(() => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        })
        if (signal.aborted) onAbort()
        else signal.addEventListener('abort', onAbort, { once: true })
      })
    },
    end,
  }
}

interface Running {
  readonly parties: Set<string>
  readonly isBackground: boolean
  readonly cancel: () => void
}

interface Waiting {
  readonly parties: readonly string[]
  readonly isBackground: boolean
  readonly start: (() => void)[]
}
