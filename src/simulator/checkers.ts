/**
 * Laws that every run must keep, watched from outside all the time: every job ends, and within its deadline; a label is never
 * stronger than what happened; no honest key is ever condemned; where a referee decides, one right answer is enough against
 * any number of wrong ones; time moves. A violation is an error that says how to repeat it.
 */
import type { EvidenceKind } from '../../peers/reputation/index.ts'
import type { RequesterEffect, RequesterEvent } from '../requester/index.ts'
import type { VerdictLabel } from '../verification/index.ts'

export interface Checker {
  event(requester: string, event: RequesterEvent, nowMs: number): void
  effect(requester: string, effect: RequesterEffect, nowMs: number): void
  evidence(requester: string, provider: string, kind: EvidenceKind): void
  /** An answer was taken where a referee decides. What answers are is known to nobody but the simulation. */
  refereed(jobId: string, truth: Truth): void
  /** After each event. */
  moved(nowMs: number): void
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

export type Law =
  | 'every-job-ends'
  | 'deadline'
  | 'label'
  | 'honest-condemned'
  | 'one-honest-is-enough'
  | 'time-moves'

/** Of an answer that was taken. */
export interface Truth {
  readonly label: VerdictLabel
  readonly isWrong: boolean
  /** An honest provider, whom nothing is held against, had given the right answer by then. */
  readonly wasToldRight: boolean
}

/** So many events at one instant are a circle: a mesh of 10,000 nodes that all wake at once makes a tenth of that. */
const INSTANT_EVENTS_MAX = 1_000_000
/** Events between two looks at whether something is open beyond its deadline. */
const LOOK_EVENTS = 256

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
  let [movedAtMs, instantEvents, looked] = [0, 0, 0]
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
    refereed(jobId, { label, isWrong, wasToldRight }) {
      if (!isWrong) return
      if (wasToldRight) {
        broken('one-honest-is-enough', `job ${jobId} was given a wrong answer against a right one`)
      }
      // A referee shows nothing where nobody who was asked is honest; the requester's own run shows it always.
      if (label === 'recomputed') {
        broken('label', `job ${jobId} was given a wrong answer that is called ${label}`)
      }
    },
    moved(nowMs) {
      instantEvents = nowMs === movedAtMs ? instantEvents + 1 : 0
      movedAtMs = nowMs
      if (instantEvents > INSTANT_EVENTS_MAX) {
        broken('time-moves', `${instantEvents} events have happened at ${nowMs}`)
      }
      looked += 1
      if (looked % LOOK_EVENTS > 0) return
      // The oldest stands for all: the others were to end later, as all of a run have the same time.
      for (const [jobId, { deadlineAtMs }] of jobs) {
        if (nowMs > deadlineAtMs) {
          broken('every-job-ends', `job ${jobId} is open at ${nowMs}, and was to end by ${deadlineAtMs}`)
        }
        break
      }
    },
    end() {
      const [open] = jobs.keys()
      if (open !== undefined)
        broken('every-job-ends', `${jobs.size} jobs never ended, the first of them ${open}`)
    },
  }
}
