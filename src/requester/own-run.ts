/** The requester's own run of a job. It is right whatever others say. */
import type { RequesterEvent } from './events.ts'
import { digestOf, type Job } from './job.ts'

/** Notes that it begins, and whose answers it will have been compared with. */
export function beginOwnRun(job: Job): void {
  const heard = job.attempts.filter((attempt) => digestOf(attempt) !== undefined)
  job.own = { status: 'running', heard: new Set(heard.map(({ number }) => number)) }
}

/** Takes in what it gave; false when it is not awaited. In the exact lane the digests tell who stands with it. */
export function learnOwnRun(job: Job, event: Extract<RequesterEvent, { type: 'recomputed' }>): boolean {
  const { own, spec, attempts } = job
  if (own.status !== 'running') return false
  const { root, outputDigest } = event
  const listed = new Set(event.agreeing)
  const standing = attempts.filter((attempt) => {
    const digest = digestOf(attempt)
    return spec.lane === 'exact'
      ? digest === outputDigest
      : digest !== undefined && listed.has(attempt.number)
  })
  const agreeing = new Set(standing.map(({ number }) => number))
  // Who answered while the run was under way may not have been compared with it.
  const contradicting = new Set([...own.heard].filter((number) => !agreeing.has(number)))
  job.own = { status: 'done', root, outputDigest, agreeing, contradicting }
  return true
}

/** Takes in that it failed; false when it is not awaited. It then stands in for nobody. */
export function failOwnRun(job: Job, message: string): boolean {
  if (job.own.status !== 'running') return false
  job.own = { status: 'failed', message }
  job.target = job.spec.replicas
  return true
}
