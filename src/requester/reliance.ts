/**
 * Which answers rest on whose word: what has to be looked at again when somebody is found out. Pure and bounded; the
 * oldest answers go first.
 */
import type { JobId, ProviderId } from './events.ts'

export interface Relied<Kept> {
  readonly jobId: JobId
  /** Whose answers stood with the accepted one. */
  readonly providers: readonly ProviderId[]
  /** What its owner needs to look at it again. */
  readonly kept: Kept
}

export interface Reliance<Kept> {
  add(answer: Relied<Kept>): void
  /** Takes out and returns what rests on this provider, oldest first. */
  takeResting(provider: ProviderId): readonly Relied<Kept>[]
  readonly size: number
}

export function createReliance<Kept>(answersMax: number): Reliance<Kept> {
  const answers = new Map<JobId, Relied<Kept>>()
  const byProvider = new Map<ProviderId, Set<JobId>>()

  function remove(answer: Relied<Kept>): void {
    answers.delete(answer.jobId)
    for (const provider of answer.providers) {
      const jobs = byProvider.get(provider)
      jobs?.delete(answer.jobId)
      if (jobs?.size === 0) byProvider.delete(provider)
    }
  }

  return {
    add(answer) {
      const known = answers.get(answer.jobId)
      if (known !== undefined) remove(known)
      answers.set(answer.jobId, answer)
      for (const provider of answer.providers) {
        const jobs = byProvider.get(provider)
        if (jobs === undefined) byProvider.set(provider, new Set([answer.jobId]))
        else jobs.add(answer.jobId)
      }
      if (answers.size <= answersMax) return
      const [oldest] = answers.values()
      if (oldest !== undefined) remove(oldest)
    },
    takeResting(provider) {
      const resting = [...(byProvider.get(provider) ?? [])].map((jobId) => answers.get(jobId)!)
      for (const answer of resting) remove(answer)
      return resting
    },
    get size() {
      return answers.size
    },
  }
}
