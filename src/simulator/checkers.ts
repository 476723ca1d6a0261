/**
 * Laws that every run must keep, watched from outside all the time: every job ends, and within its deadline; a label is never
 * stronger than what happened; no honest key is ever condemned. A violation is an error that says how to repeat it.
 */
import type { EvidenceKind } from '../../peers/reputation/index.ts'
import type { RequesterEffect, RequesterEvent } from '../requester/index.ts'

export interface Checker {
  event(requester: string, event: RequesterEvent, nowMs: number): void
  effect(requester: string, effect: RequesterEffect, nowMs: number): void
  evidence(requester: string, provider: string, kind: EvidenceKind): void
  /** At the end: nothing is open. Throws otherwise. */
  end(): void
}

export class SimulationViolation extends Error {
  override readonly name = 'SimulationViolation'
  /** The law that was broken. */
  readonly law: Law
  /** How many events had been handled: with scenario and seed, where to look. */
  readonly eventNumber: number

  constructor(law: Law, eventNumber: number, message: string) {
    super(message)
    this.law = law
    this.eventNumber = eventNumber
  }
}

export type Law = 'every-job-ends' | 'deadline' | 'label' | 'honest-condemned'

interface Watched {
  readonly deadlineAtMs: number
  readonly answered: Set<number>
  traced: number
  own: boolean
  ended: boolean
}

export interface CheckerInit {
  /** Repeats the run, as words for a person. */
  readonly repeat: string
  readonly eventNumber: () => number
  readonly isHonest: (provider: string) => boolean
}

export function createChecker({ repeat, eventNumber, isHonest }: CheckerInit): Checker {
  const jobs = new Map<string, Watched>()
  const broken = (law: Law, what: string): never => {
    const at = eventNumber()
    throw new SimulationViolation(law, at, `${what} (law ${law}, event ${at}). To repeat: ${repeat}`)
  }

  function settled(job: Watched, effect: Extract<RequesterEffect, { type: 'settle' }>, nowMs: number): void {
    const { verdict, accepted, exact, jobId } = effect
    if (nowMs > job.deadlineAtMs)
      broken('deadline', `job ${jobId} was answered at ${nowMs}, after ${job.deadlineAtMs}`)
    if (accepted !== 'self' && !exact && !job.answered.has(accepted)) {
      broken('label', `job ${jobId} was given an answer that nobody gave`)
    }
    const { label, agreed } = verdict
    const holds =
      label === 'signed'
        ? agreed.length >= 1
        : label === 'replicated'
          ? agreed.length >= 2 && job.answered.size >= agreed.length
          : label === 'refereed'
            ? job.own || job.traced >= 2
            : job.own
    if (!holds) broken('label', `job ${jobId} is called ${label}, which what happened does not show`)
  }

  return {
    event(_requester, event, nowMs) {
      switch (event.type) {
        case 'submitted': {
          const { id, deadlineAtMs } = event.job
          const watched = { deadlineAtMs: Math.max(deadlineAtMs, nowMs), answered: new Set<number>() }
          jobs.set(id, { ...watched, traced: 0, own: false, ended: false })
          return
        }
        case 'resultReceived':
          jobs.get(event.jobId)?.answered.add(event.attempt)
          return
        case 'traced': {
          const job = jobs.get(event.jobId)
          if (job !== undefined) job.traced += 1
          return
        }
        case 'recomputed': {
          const job = jobs.get(event.jobId)
          if (job !== undefined) job.own = true
          return
        }
        default:
          return
      }
    },
    effect(_requester, effect, nowMs) {
      if (effect.type !== 'settle' && effect.type !== 'fail' && effect.type !== 'close') return
      const job = jobs.get(effect.jobId)
      if (job === undefined) return broken('every-job-ends', `job ${effect.jobId} ended that was not open`)
      if (effect.type === 'close') {
        if (!job.ended) broken('every-job-ends', `job ${effect.jobId} was closed before it ended`)
        jobs.delete(effect.jobId)
        return
      }
      if (job.ended) broken('every-job-ends', `job ${effect.jobId} ended twice`)
      job.ended = true
      if (effect.type === 'settle') settled(job, effect, nowMs)
    },
    evidence(requester, provider, kind) {
      if ((kind === 'lost-dispute' || kind === 'fraud-proof') && isHonest(provider)) {
        broken('honest-condemned', `${provider} is honest, and ${requester} holds ${kind} against it`)
      }
    },
    end() {
      const [open] = jobs.keys()
      if (open !== undefined)
        broken('every-job-ends', `${jobs.size} jobs never ended, the first of them ${open}`)
    },
  }
}
