/** Which jobs were answered and can be answered again, byte for byte. Bounded in number and bytes, oldest go first. */
export interface Answers {
  has(jobId: string): boolean
  /** Remembers one; returns the job ids that have to be forgotten for it (itself, where it is too large). */
  add(jobId: string, bytes: number, deadlineAtMs: number): string[]
  /** Removes and returns those whose deadline has passed: nobody can ask for them any more. */
  expire(nowMs: number): string[]
  /** None expires before this; infinite where there is none. */
  readonly expiresAtMs: number
  readonly size: number
}

export function createAnswers(countMax: number, bytesMax: number): Answers {
  const answers = new Map<string, { readonly bytes: number; readonly deadlineAtMs: number }>()
  let total = 0
  let expiresAtMs = Number.POSITIVE_INFINITY
  const drop = (jobId: string) => {
    total -= answers.get(jobId)?.bytes ?? 0
    answers.delete(jobId)
  }
  return {
    has: (jobId) => answers.has(jobId),
    add: (jobId, bytes, deadlineAtMs) => {
      drop(jobId)
      answers.set(jobId, { bytes, deadlineAtMs })
      expiresAtMs = Math.min(expiresAtMs, deadlineAtMs)
      total += bytes
      const gone: string[] = []
      for (const oldest of answers.keys()) {
        if (answers.size <= countMax && total <= bytesMax) break
        drop(oldest)
        gone.push(oldest)
      }
      return gone
    },
    expire: (nowMs) => {
      const gone: string[] = []
      expiresAtMs = Number.POSITIVE_INFINITY
      for (const [jobId, { deadlineAtMs }] of answers) {
        if (deadlineAtMs <= nowMs) gone.push(jobId)
        else expiresAtMs = Math.min(expiresAtMs, deadlineAtMs)
      }
      for (const jobId of gone) drop(jobId)
      return gone
    },
    get expiresAtMs() {
      return expiresAtMs
    },
    get size() {
      return answers.size
    },
  }
}
