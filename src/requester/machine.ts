/**
 * The requester's decisions, without I/O: `handle(event, now)` answers what is to be done.
 *
 * A job is found providers for, asked of `replicas` of them, compared, settled as soon as `quorum` distinct providers
 * agree, observed until the others have answered too, and closed. After every event the job is looked at as a whole
 * (`advance`), so that what happens depends on what is known and not on the order in which it became known.
 *
 * Always: one `settle` or `fail` for each job submitted, then one `close`, by its deadline; nobody is asked twice for
 * a job except after `busy`; at most `attemptsMax` distinct providers are asked; a provider counts once.
 *
 * A job has one timer, named by its id; `schedule` with a name in use moves that timer.
 *
 * Not here: verifying receipts and outputs (before an event is made), scores (evidence goes out), retries of the
 * transport.
 */
import { type Candidate, drawSome, type Random } from '../routing/index.ts'
import { REQUESTER_LIMITS, type RequesterLimits } from './constants.ts'
import type { EvidenceKind, JobFailure, RequesterEffect } from './effects.ts'
import type { AttemptFailure, JobSpec, ProviderId, RequesterEvent } from './events.ts'
import { describeFailure, evidenceOf, exhaustionCode, faultOf, refuseJob } from './failure.ts'
import {
  type Attempt,
  answersOf,
  askedProviders,
  attemptWith,
  countAttempts,
  countInvalidClaims,
  createJob,
  isComparing,
  type Job,
  laterTimes,
  pairKey,
  updateCluster,
  wakeTimes,
} from './job.ts'
import { evidenceFrom, verdictOn } from './record.ts'
import { chooseProviders, countMissing } from './selection.ts'

export interface Requester {
  /** Synchronous; `nowMs` never goes back. Events for unknown jobs, attempts or timers are ignored: they come late. */
  handle(event: RequesterEvent, nowMs: number): RequesterEffect[]
  /** Jobs that are not closed yet. */
  readonly jobs: number
}

export interface RequesterInit {
  readonly random: Random
  readonly limits?: Partial<RequesterLimits>
}

export function createRequester(init: RequesterInit): Requester {
  const machine = new RequesterMachine(init)
  return {
    handle: (event, nowMs) => machine.handle(event, nowMs),
    get jobs() {
      return machine.jobs.size
    },
  }
}

class RequesterMachine {
  readonly jobs = new Map<string, Job>()
  readonly #random: Random
  readonly #limits: RequesterLimits
  /** Open attempts of all jobs by provider: candidates are snapshots, and many jobs are decided between two. */
  readonly #outstanding = new Map<ProviderId, number>()
  #effects: RequesterEffect[] = []

  constructor({ random, limits }: RequesterInit) {
    this.#random = random
    this.#limits = { ...REQUESTER_LIMITS, ...limits }
  }

  handle(event: RequesterEvent, nowMs: number): RequesterEffect[] {
    this.#effects = []
    if (event.type === 'submitted') this.#submit(event.job, nowMs)
    else {
      const job = this.jobs.get(event.type === 'timerExpired' ? event.timer : event.jobId)
      if (job !== undefined && this.#learn(job, event, nowMs)) this.#advance(job, nowMs)
    }
    return this.#effects
  }

  #submit(spec: JobSpec, nowMs: number) {
    if (this.jobs.has(spec.id))
      throw new Error(`job ${spec.id} is already in flight; a new job needs a new nonce`)
    const wrong = faultOf(spec)
    if (wrong !== undefined) return this.#reject(refuseJob(spec, 'invalid-job', wrong), spec.id)
    if (this.jobs.size >= this.#limits.jobsMax) {
      const message = `${this.jobs.size} jobs are in flight on this node, as many as it takes; wait for some to end.`
      return this.#reject(refuseJob(spec, 'overloaded', message), spec.id)
    }
    const job = createJob(spec, nowMs, this.#limits.findBackoffMs)
    this.jobs.set(spec.id, job)
    this.#advance(job, nowMs)
  }

  #reject(failure: JobFailure, jobId: string): void {
    this.#effects.push({ type: 'fail', jobId, failure }, { type: 'close', jobId, verdict: undefined })
  }

  /** Takes in what the event says; false when there is nothing new in it. */
  #learn(job: Job, event: Exclude<RequesterEvent, { type: 'submitted' }>, nowMs: number): boolean {
    switch (event.type) {
      case 'candidatesFound':
        this.#addCandidates(job, event.candidates)
        if (event.complete) this.#endSearch(job, nowMs)
        return true
      case 'resultReceived': {
        const attempt = job.attempts[event.attempt]
        if (attempt === undefined || !isPending(attempt)) return false
        attempt.group = event.group ?? attempt.group
        this.#end(attempt, { status: 'answered', digest: event.outputDigest })
        this.#compareNew(job, attempt, event.outputDigest)
        updateCluster(job)
        return true
      }
      case 'requestFailed': {
        const attempt = job.attempts[event.attempt]
        if (attempt === undefined || !isPending(attempt)) return false
        this.#fail(job, attempt, event.failure, nowMs)
        return true
      }
      case 'compared': {
        const left = job.attempts[event.left]?.state
        const right = job.attempts[event.right]?.state
        if (left?.status !== 'answered' || right?.status !== 'answered') return false
        const key = pairKey(left.digest, right.digest)
        if (!job.compared.has(key) || job.compared.get(key) !== undefined) return false
        job.compared.set(key, event.agrees)
        updateCluster(job)
        return true
      }
      case 'timerExpired':
        job.wakeAtMs = undefined
        return true
      case 'cancelled':
        if (job.state.status === 'observing') this.#close(job, job.state.acceptedDigest)
        else this.#giveUp(job, describeFailure(job, 'cancelled'))
        return false
      default:
        return event satisfies never
    }
  }

  /**
   * Where more are new than are remembered, a random part of them: a list has some order, and whoever can choose its
   * key can stand first in it.
   */
  #addCandidates(job: Job, candidates: readonly Candidate[]): void {
    const news: Candidate[] = []
    for (const candidate of candidates) {
      if (job.candidates.has(candidate.provider)) job.candidates.set(candidate.provider, candidate)
      else news.push(candidate)
    }
    const room = this.#limits.candidatesMax - job.candidates.size
    for (const candidate of drawSome(news, room, this.#random))
      job.candidates.set(candidate.provider, candidate)
  }

  #endSearch(job: Job, nowMs: number): void {
    const { search } = job
    search.running = false
    search.nextAtMs = nowMs + search.backoffMs
    search.backoffMs = Math.min(search.backoffMs * 2, this.#limits.findBackoffMsMax)
  }

  /** Equal digests agree; a new digest is compared with every other one there is. */
  #compareNew(job: Job, attempt: Attempt, digest: string): void {
    const others = new Set(answersOf(job).map((answer) => answer.digest))
    for (const other of others) {
      const key = pairKey(digest, other)
      if (other === digest || job.compared.has(key)) continue
      job.compared.set(key, undefined)
      const left = attemptWith(job, other).number
      this.#effects.push({ type: 'compare', jobId: job.spec.id, left, right: attempt.number })
    }
  }

  #fail(job: Job, attempt: Attempt, failure: AttemptFailure, nowMs: number): void {
    let againAtMs = Number.POSITIVE_INFINITY
    if (failure.code === 'busy') {
      const before = job.attempts.filter(({ provider }) => provider === attempt.provider).length - 1
      againAtMs = nowMs + Math.max(failure.retryAfterMs || 0, this.#limits.busyBackoffMs * 2 ** before)
    }
    this.#end(attempt, { status: 'ended', failure, againAtMs })
    const evidence = evidenceOf(failure.code)
    if (evidence !== undefined) this.#record(job, attempt.provider, evidence)
  }

  #end(attempt: Attempt, state: Attempt['state']): void {
    attempt.state = state
    const left = (this.#outstanding.get(attempt.provider) ?? 1) - 1
    if (left === 0) this.#outstanding.delete(attempt.provider)
    else this.#outstanding.set(attempt.provider, left)
  }

  /** Does whatever what is known calls for. */
  #advance(job: Job, nowMs: number) {
    for (const attempt of job.attempts) {
      if (attempt.state.status === 'open' && attempt.state.overdueAtMs <= nowMs) {
        attempt.state = { status: 'overdue' }
      }
    }
    switch (job.state.status) {
      case 'observing': {
        const { acceptedDigest, untilMs } = job.state
        const waiting = countAttempts(job, 'open') > 0 || isComparing(job)
        if (!waiting || untilMs <= nowMs) return this.#close(job, acceptedDigest)
        return this.#wake(job, wakeTimes(job), nowMs)
      }
      case 'finding':
      case 'asking':
        return this.#pursue(job, nowMs)
      default:
        job.state satisfies never
    }
  }

  #pursue(job: Job, nowMs: number) {
    const { spec } = job
    if (spec.deadlineAtMs <= nowMs) {
      const finding = job.state.status === 'finding' && job.candidates.size < spec.replicas
      return this.#giveUp(job, describeFailure(job, finding ? 'not-enough-providers' : 'deadline'))
    }
    if ((job.cluster?.providers.length ?? 0) >= spec.quorum) return this.#settle(job, nowMs)
    // One provider's word that a job is wrong is no more than one provider's answer.
    if (countInvalidClaims(job) >= Math.max(2, spec.quorum)) {
      return this.#giveUp(job, describeFailure(job, 'invalid-job'))
    }
    if (job.state.status === 'finding' && job.candidates.size >= spec.replicas) {
      job.state = { status: 'asking' }
    }
    const missing = countMissing(job)
    const dispatched = job.state.status === 'asking' ? this.#dispatch(job, missing, nowMs) : 0
    if (dispatched < missing) return this.#lookFurther(job, nowMs)
    job.search.exhaustedSinceMs = undefined
    this.#wake(job, wakeTimes(job), nowMs)
  }

  #dispatch(job: Job, count: number, nowMs: number): number {
    const room = Math.min(count, this.#limits.dispatchesMax - job.attempts.length)
    const chosen = chooseProviders(job, room, { nowMs, random: this.#random, outstanding: this.#outstanding })
    for (const { provider, group } of chosen) this.#ask(job, provider, group, nowMs)
    return chosen.length
  }

  #ask(job: Job, provider: ProviderId, group: string, nowMs: number): void {
    const { id, deadlineAtMs, attemptTimeoutMs } = job.spec
    const number = job.attempts.length
    job.attempts.push({
      number,
      provider,
      group,
      state: { status: 'open', overdueAtMs: nowMs + attemptTimeoutMs },
    })
    this.#outstanding.set(provider, (this.#outstanding.get(provider) ?? 0) + 1)
    this.#effects.push({ type: 'dispatch', jobId: id, attempt: number, provider, deadlineAtMs })
  }

  /** There are too few to ask: search again, wait for the busy and the slow, or give up when patience ends. */
  #lookFurther(job: Job, nowMs: number) {
    const { spec, search, attempts } = job
    const times = wakeTimes(job)
    const askedEnough =
      askedProviders(job).size >= spec.attemptsMax || attempts.length >= this.#limits.dispatchesMax
    if (!askedEnough && !search.running) {
      if (search.nextAtMs > nowMs) times.push(search.nextAtMs)
      else {
        search.running = true
        this.#effects.push({ type: 'find', jobId: spec.id, model: spec.model, atLeast: spec.replicas })
      }
    }
    const asking = job.state.status === 'asking' && attempts.length < this.#limits.dispatchesMax
    const later = asking ? laterTimes(job, nowMs, askedEnough) : []
    times.push(...later)
    const hopeful = later.length > 0 || attempts.some(isPending) || isComparing(job)
    if (hopeful) search.exhaustedSinceMs = undefined
    else {
      search.exhaustedSinceMs ??= nowMs
      const untilMs = search.exhaustedSinceMs + this.#limits.patienceMs
      if (askedEnough || (!search.running && untilMs <= nowMs)) {
        return this.#giveUp(job, describeFailure(job, exhaustionCode(job, askedEnough)))
      }
      if (untilMs > nowMs) times.push(untilMs)
    }
    this.#wake(job, times, nowMs)
  }

  #settle(job: Job, nowMs: number): void {
    const { id, observeMs, deadlineAtMs } = job.spec
    const acceptedDigest = job.cluster!.digest
    const verdict = verdictOn(job, acceptedDigest)
    const accepted = attemptWith(job, acceptedDigest).number
    this.#effects.push({ type: 'settle', jobId: id, accepted, verdict })
    job.state = {
      status: 'observing',
      acceptedDigest,
      untilMs: Math.min(nowMs + observeMs, deadlineAtMs),
    }
    this.#advance(job, nowMs)
  }

  #close(job: Job, acceptedDigest: string): void {
    const verdict = verdictOn(job, acceptedDigest)
    for (const { provider, evidence } of evidenceFrom(job, acceptedDigest, verdict)) {
      this.#record(job, provider, evidence)
    }
    this.#release(job)
    this.#effects.push({ type: 'close', jobId: job.spec.id, verdict })
  }

  #giveUp(job: Job, failure: JobFailure): void {
    this.#release(job)
    this.#reject(failure, job.spec.id)
  }

  /** Ends what is under way and forgets the job. */
  #release(job: Job): void {
    const jobId = job.spec.id
    for (const attempt of job.attempts) {
      if (!isPending(attempt)) continue
      this.#effects.push({ type: 'cancel', jobId, attempt: attempt.number })
      if (attempt.state.status === 'overdue') this.#record(job, attempt.provider, 'timed-out')
      const failure: AttemptFailure = { code: 'timeout', message: 'the job ended', retryAfterMs: 0 }
      this.#end(attempt, { status: 'ended', failure, againAtMs: Number.POSITIVE_INFINITY })
    }
    if (job.wakeAtMs !== undefined) this.#effects.push({ type: 'unschedule', timer: jobId })
    this.jobs.delete(jobId)
  }

  #record(job: Job, provider: ProviderId, evidence: EvidenceKind): void {
    this.#effects.push({ type: 'recordEvidence', jobId: job.spec.id, provider, evidence })
  }

  /** Sets the job's timer to the earliest of `times`, unless it rings before that anyway. */
  #wake(job: Job, times: readonly number[], nowMs: number): void {
    const atMs = Math.max(nowMs, Math.min(...times))
    if (job.wakeAtMs !== undefined && job.wakeAtMs <= atMs) return
    job.wakeAtMs = atMs
    this.#effects.push({ type: 'schedule', timer: job.spec.id, atMs })
  }
}

function isPending({ state }: Attempt): boolean {
  return state.status === 'open' || state.status === 'overdue'
}
