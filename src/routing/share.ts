/** How the work of one requester was spread over providers lately. */
export interface Shares {
  add(provider: string, executions: number): void
  /** Whether one more would give it more than its share. */
  isFull(provider: string): boolean
}

/** Executions after which older ones count half: about what a cap of a few per cent needs to be told from chance. */
const WINDOW_EXECUTIONS = 8192

/** `cap`: the largest share of all executions that one provider may get, from 0 to 1. `slack` executions are always allowed. */
export function createShares(cap: number, slack: number): Shares {
  const counts = new Map<string, number>()
  let total = 0
  return {
    add(provider, executions) {
      counts.set(provider, (counts.get(provider) ?? 0) + executions)
      total += executions
      if (total < WINDOW_EXECUTIONS) return
      total = 0
      for (const [known, count] of counts) {
        // A provider that was asked once, long ago, is forgotten; that also bounds the map.
        if (count < 1) counts.delete(known)
        else {
          counts.set(known, count / 2)
          total += count / 2
        }
      }
    },
    isFull: (provider) => (counts.get(provider) ?? 0) + 1 > Math.max(slack, cap * total),
  }
}
