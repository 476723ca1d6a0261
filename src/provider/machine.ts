/**
 * The provider's decisions, without I/O: `handle(event, now)` answers what is to be done.
 *
 * A request is repeated (its job was answered), attached (its job waits or runs), taken or refused, at once. An idle
 * model runs what comes; while it runs, a queue forms. Where batches are known to help (`batch-sizes.ts`), what can share
 * an execution is taken from the queue together, as many as are best, when the one before has ended. Where they do
 * not, jobs run alone, and the runtime is handed the next while it is at one. Requesters take turns. Everyone that was
 * taken gets one `respond`, `repeat` or `refuse`, or has gone.
 *
 * A batch is held open only where batches help, when one has just ended and a queue exists that is shorter than that
 * batch was: those who were just answered are about to ask again, and without a short wait (a tenth of an execution, 3 ms at most) batches
 * of one and of all the others would alternate for ever. An idle model never waits.
 *
 * Timers: `sweep` for deadlines, `window:CID` and `announce:CID`; `schedule` with a name in use moves that timer.
 *
 * Not here: checking signatures and inputs (before an event is made), signing, the runtime's restarts.
 */
import { judgeAdmission } from './admission.ts'
import { isWorthTelling, loadOf } from './announcing.ts'
import { type Answers, createAnswers } from './answers.ts'
import { createBatchSizes } from './batch-sizes.ts'
import {
  ANSWERS_SWEEP_MS,
  PROVIDER_LIMITS,
  type ProviderLimits,
  SWEEP_MS_MIN,
  WINDOW_SERVICE_SHARE,
} from './constants.ts'
import type { ModelLoad, ProviderEffect } from './effects.ts'
import type { ProviderEvent, ProviderRefusalCode, ProviderRequest } from './events.ts'
import type { Batch, Job, Model } from './job.ts'
import { createQueue } from './queue.ts'
import { createServiceTimes } from './service-times.ts'

export interface Provider {
  /** Synchronous; `nowMs` never goes back. Events for unknown requests, batches or timers are ignored: they come late. */
  handle(event: ProviderEvent, nowMs: number): ProviderEffect[]
  /** Undefined for a model that is not served. */
  load(model: string): ModelLoad | undefined
}

export interface ProviderInit {
  readonly limits?: Partial<ProviderLimits>
}

export function createProvider(init: ProviderInit = {}): Provider {
  const machine = new ProviderMachine(init)
  return {
    handle: (event, nowMs) => machine.handle(event, nowMs),
    load: (model) => machine.load(model),
  }
}

type ModelReady = Extract<ProviderEvent, { type: 'modelReady' }>
type Executed = Extract<ProviderEvent, { type: 'executed' }>
type ExecutionFailed = Extract<ProviderEvent, { type: 'executionFailed' }>

class ProviderMachine {
  readonly #limits: ProviderLimits
  readonly #models = new Map<string, Model>()
  /** Jobs that wait or run, by id; and those of each request. */
  readonly #jobs = new Map<string, Job>()
  readonly #jobOf = new Map<string, Job>()
  readonly #batches = new Map<number, Batch>()
  readonly #answers: Answers
  #inputBytes = 0
  #nextBatchId = 1
  #answersSweptAtMs = Number.NEGATIVE_INFINITY
  #sweepAtMs: number | undefined
  #status: 'serving' | 'draining' | 'drained' = 'serving'
  #effects: ProviderEffect[] = []

  constructor({ limits }: ProviderInit) {
    this.#limits = { ...PROVIDER_LIMITS, ...limits }
    this.#answers = createAnswers(this.#limits.answersMax, this.#limits.answersBytesMax)
  }

  load(cid: string): ModelLoad | undefined {
    const model = this.#models.get(cid)
    return model === undefined ? undefined : loadOf(model, this.#limits)
  }

  handle(event: ProviderEvent, nowMs: number): ProviderEffect[] {
    this.#effects = []
    switch (event.type) {
      case 'modelReady':
        this.#serve(event, nowMs)
        break
      case 'modelGone':
        this.#withdraw(event.model)
        break
      case 'requested':
        this.#admit(event.request, nowMs)
        break
      case 'cancelled':
        this.#leave(event.requestId, nowMs)
        break
      case 'executed':
        this.#executed(event, nowMs)
        break
      case 'executionFailed':
        this.#executionFailed(event, nowMs)
        break
      case 'timerExpired':
        this.#ring(event.timer, nowMs)
        break
      case 'draining':
        this.#drain(nowMs)
        break
      default:
        event satisfies never
    }
    if (this.#status === 'draining' && this.#batches.size === 0) {
      this.#status = 'drained'
      if (this.#sweepAtMs !== undefined) this.#effects.push({ type: 'unschedule', timer: 'sweep' })
      this.#effects.push({ type: 'drained' })
    }
    return this.#effects
  }

  #serve({ model: cid, batching, batchJobsKnown, serviceMsGuess }: ModelReady, nowMs: number): void {
    const known = this.#models.get(cid)
    if (known !== undefined) {
      known.batching = batching
      known.blockedUntilMs = nowMs
      return
    }
    const model: Model = {
      cid,
      batching,
      queue: createQueue(),
      running: new Set(),
      sizes: createBatchSizes(this.#limits.batchJobsMax, batchJobsKnown),
      times: createServiceTimes(serviceMsGuess),
      blockedUntilMs: nowMs,
      windowUntilMs: undefined,
      lastBatchJobs: 0,
      told: { load: undefined, atMs: Number.NEGATIVE_INFINITY, scheduled: false },
    }
    this.#models.set(cid, model)
    this.#tell(model, nowMs)
  }

  /** What runs of it still ends by itself. */
  #withdraw(cid: string): void {
    const model = this.#models.get(cid)
    if (model === undefined) return
    this.#models.delete(cid)
    this.#endWindow(model)
    if (model.told.scheduled) this.#effects.push({ type: 'unschedule', timer: `announce:${cid}` })
    for (const job of model.queue.jobs()) {
      this.#refuseJob(job, 'unknown-model', 'this provider has just stopped serving the model')
    }
  }

  #admit(request: ProviderRequest, nowMs: number) {
    const { requestId, jobId } = request
    if (this.#jobOf.has(requestId)) throw new Error(`request ${requestId} is already waiting`)
    if (this.#status !== 'serving')
      return this.#refuse(requestId, 'stopping', 'this provider is shutting down')
    if (this.#answers.has(jobId)) {
      this.#effects.push({ type: 'repeat', requestId, jobId })
      return
    }
    if (request.deadlineAtMs <= nowMs)
      return this.#refuse(requestId, 'expired', "the job's deadline has passed")
    const model = this.#models.get(request.model)
    const known = this.#jobs.get(jobId)
    if (known !== undefined) return this.#attach(known, request, nowMs)
    if (model === undefined) {
      return this.#refuse(requestId, 'unknown-model', `this provider does not serve ${request.model}`)
    }
    const refusal = judgeAdmission(request, model, this.#inputBytes, this.#limits, nowMs)
    if (refusal !== undefined) {
      return this.#refuse(requestId, refusal.code, refusal.message, refusal.retryAfterMs)
    }
    const { requester, inputBytes, batchKey, rows } = request
    const requests = new Map([[requestId, request]])
    const job: Job = {
      id: jobId,
      requester,
      model,
      inputBytes,
      batchKey,
      rows,
      requests,
      alone: false,
      batch: undefined,
    }
    this.#jobs.set(jobId, job)
    this.#jobOf.set(requestId, job)
    this.#inputBytes += inputBytes
    model.queue.push(job)
    this.#run(model, nowMs)
    this.#sweepBy(request.deadlineAtMs, nowMs)
    this.#tell(model, nowMs)
  }

  /** The same job again, while it waits or runs: both are answered with the same bytes. */
  #attach(job: Job, request: ProviderRequest, nowMs: number) {
    if (job.requests.size >= this.#limits.requestsPerJobMax) {
      const message = `${job.requests.size} requests wait for this job already`
      return this.#refuse(request.requestId, 'busy', message, this.#limits.retryAfterMsMin)
    }
    job.requests.set(request.requestId, request)
    this.#jobOf.set(request.requestId, job)
    if (job.batch !== undefined) job.batch.abortAtMs = undefined
    this.#sweepBy(request.deadlineAtMs, nowMs)
  }

  /** Starts what can start. */
  #run(model: Model, nowMs: number): void {
    if (model.windowUntilMs !== undefined) {
      if (model.windowUntilMs > nowMs && model.queue.size < model.lastBatchJobs) return
      this.#endWindow(model)
    }
    while (model.queue.size > 0 && (model.running.size === 0 || this.#isTakingAhead(model))) {
      const jobs = model.queue.take(
        model.batching ? model.sizes.choose(model.queue.size) : 1,
        this.#limits.batchRowsMax,
      )
      const batch: Batch = { id: this.#nextBatchId++, model, jobs, startedAtMs: nowMs, abortAtMs: undefined }
      this.#batches.set(batch.id, batch)
      model.running.add(batch)
      let deadlineAtMs = nowMs
      for (const job of jobs) {
        job.batch = batch
        for (const request of job.requests.values())
          deadlineAtMs = Math.max(deadlineAtMs, request.deadlineAtMs)
      }
      this.#effects.push({
        type: 'execute',
        batchId: batch.id,
        model: model.cid,
        requestIds: jobs.map((job) => firstRequest(job)),
        deadlineAtMs: deadlineAtMs + this.#limits.abortGraceMs,
      })
    }
  }

  /** Whether the runtime may have one more execution at hand: not where what waits should rather gather to a batch. */
  #isTakingAhead({ batching, running, sizes }: Model): boolean {
    if (running.size >= this.#limits.handedOverMax) return false
    return !batching || (sizes.jobsMax === 1 && !sizes.isTrying)
  }

  #executed(event: Executed, nowMs: number): void {
    const batch = this.#finish(event.batchId, nowMs)
    if (batch === undefined) return
    const { model, jobs } = batch
    // An execution in which every entry was refused has measured nothing.
    if (event.outcomes.some(({ ok }) => ok)) model.times.add(event.serviceMs, jobs.length)
    if (model.batching && event.outcomes.every(({ ok }) => ok)) {
      model.sizes.add(jobs.length, inputBytesOf(jobs), event.serviceMs)
    }
    for (const [index, job] of jobs.entries()) {
      const outcome = event.outcomes[index]
      if (outcome === undefined) this.#refuseJob(job, 'failed', 'the runtime gave no outcome for this job')
      else if (!outcome.ok) this.#refuseJob(job, outcome.code, outcome.message)
      else this.#answer(job, batch.id, index, outcome.outputBytes, nowMs)
    }
    model.lastBatchJobs = jobs.length
    this.#openWindow(model, nowMs)
    this.#run(model, nowMs)
    this.#tell(model, nowMs)
  }

  #answer(job: Job, batchId: number, index: number, bytes: number, nowMs: number): void {
    const deadlines = [...job.requests.values()].map((request) => request.deadlineAtMs)
    const [first, ...others] = job.requests.keys()
    this.#forgetJob(job)
    // Nobody waits: without a receipt it was never answered, and may run again.
    if (first === undefined) return
    this.#effects.push({ type: 'respond', requestId: first, batchId, index })
    for (const requestId of others) this.#effects.push({ type: 'repeat', requestId, jobId: job.id })
    const deadlineAtMs = Math.max(...deadlines)
    for (const jobId of this.#answers.add(job.id, bytes, deadlineAtMs))
      this.#effects.push({ type: 'forget', jobId })
    this.#sweepBy(Math.max(deadlineAtMs, this.#answersSweptAtMs + ANSWERS_SWEEP_MS), nowMs)
  }

  #executionFailed({ batchId, code, message, retryAfterMs }: ExecutionFailed, nowMs: number): void {
    const batch = this.#finish(batchId, nowMs)
    if (batch === undefined) return
    const { model, jobs } = batch
    if (code === 'failed' && jobs.length > 1) model.sizes.fail(jobs.length)
    const pauses = retryAfterMs > 0
    if (pauses) model.blockedUntilMs = nowMs + retryAfterMs
    for (const job of jobs) {
      if (job.requests.size === 0) this.#forgetJob(job)
      else if (code === 'failed' && jobs.length > 1 && !pauses) {
        // One job in it may have spoilt it for the others: each runs again, by itself.
        job.alone = true
        job.batch = undefined
        model.queue.push(job)
      } else {
        // Of several, nobody knows which one it was: that is no fault of theirs, nor of ours.
        const blame = code === 'failed' && jobs.length > 1 ? 'busy' : code
        this.#refuseJob(job, blame, message, retryAfterMs)
      }
    }
    if (pauses) {
      for (const job of model.queue.jobs())
        this.#refuseJob(job, 'busy', 'the model is being restarted', retryAfterMs)
    }
    if (this.#status !== 'serving' || this.#models.get(model.cid) !== model) {
      for (const job of model.queue.jobs()) this.#refuseJob(job, 'stopping', 'this provider is shutting down')
    }
    this.#run(model, nowMs)
    this.#tell(model, nowMs)
  }

  #finish(batchId: number, nowMs: number): Batch | undefined {
    const batch = this.#batches.get(batchId)
    if (batch === undefined) return undefined
    this.#batches.delete(batchId)
    const { running } = batch.model
    const [first] = running
    running.delete(batch)
    const [next] = running
    if (first === batch && next !== undefined) next.startedAtMs = nowMs
    return batch
  }

  /** A request whose requester has gone, or that was refused already: its job goes when it was the last. */
  #leave(requestId: string, nowMs: number): void {
    const job = this.#jobOf.get(requestId)
    if (job === undefined) return
    this.#jobOf.delete(requestId)
    job.requests.delete(requestId)
    if (job.requests.size > 0) return
    const { batch, model } = job
    if (batch === undefined) {
      this.#forgetJob(job)
      this.#tell(model, nowMs)
    } else if (batch.jobs.every(({ requests }) => requests.size === 0)) {
      // It may be nearly done; see `abortGraceMs`.
      batch.abortAtMs = this.#status === 'serving' ? nowMs + this.#limits.abortGraceMs : nowMs
      if (batch.abortAtMs <= nowMs) this.#abort(batch, nowMs)
      else this.#sweepBy(batch.abortAtMs, nowMs)
    }
  }

  #abort(batch: Batch, nowMs: number): void {
    const [first] = batch.model.running
    this.#finish(batch.id, nowMs)
    this.#effects.push({ type: 'abort', batchId: batch.id })
    for (const job of batch.jobs) this.#forgetJob(job)
    // It took at least this long: otherwise a model that never ends would look as fast as its guess.
    const { times } = batch.model
    if (first === batch) times.add(Math.max(times.executionMs, nowMs - batch.startedAtMs), batch.jobs.length)
    this.#run(batch.model, nowMs)
    this.#tell(batch.model, nowMs)
  }

  #drain(nowMs: number): void {
    if (this.#status !== 'serving') return
    this.#status = 'draining'
    for (const model of this.#models.values()) {
      this.#endWindow(model)
      for (const job of model.queue.jobs()) this.#refuseJob(job, 'stopping', 'this provider is shutting down')
      if (model.told.scheduled) this.#effects.push({ type: 'unschedule', timer: `announce:${model.cid}` })
      model.told.scheduled = false
    }
    for (const batch of [...this.#batches.values()])
      if (batch.abortAtMs !== undefined) this.#abort(batch, nowMs)
  }

  #ring(timer: string, nowMs: number) {
    if (timer === 'sweep') return this.#sweep(nowMs)
    const [kind, cid] = splitOnce(timer)
    const model = this.#models.get(cid)
    if (model === undefined) return
    if (kind === 'window' && model.windowUntilMs !== undefined) {
      model.windowUntilMs = undefined
      this.#run(model, nowMs)
    } else if (kind === 'announce') {
      model.told.scheduled = false
      this.#tell(model, nowMs)
    }
  }

  /** Refuses what is late, ends what nobody waits for, forgets what nobody can ask for. */
  #sweep(nowMs: number): void {
    this.#sweepAtMs = undefined
    let nextAtMs = Number.POSITIVE_INFINITY
    for (const job of [...this.#jobs.values()]) {
      for (const request of [...job.requests.values()]) {
        if (request.deadlineAtMs > nowMs) nextAtMs = Math.min(nextAtMs, request.deadlineAtMs)
        else {
          this.#refuse(request.requestId, 'expired', "the job's deadline passed before it was done")
          this.#leave(request.requestId, nowMs)
        }
      }
    }
    for (const batch of [...this.#batches.values()]) {
      if (batch.abortAtMs === undefined) continue
      if (batch.abortAtMs <= nowMs) this.#abort(batch, nowMs)
      else nextAtMs = Math.min(nextAtMs, batch.abortAtMs)
    }
    if (nowMs - this.#answersSweptAtMs >= ANSWERS_SWEEP_MS) {
      this.#answersSweptAtMs = nowMs
      for (const jobId of this.#answers.expire(nowMs)) this.#effects.push({ type: 'forget', jobId })
    }
    const answersAtMs = Math.max(this.#answers.expiresAtMs, this.#answersSweptAtMs + ANSWERS_SWEEP_MS)
    if (this.#answers.size > 0) nextAtMs = Math.min(nextAtMs, answersAtMs)
    if (nextAtMs < Number.POSITIVE_INFINITY) this.#sweepBy(nextAtMs, nowMs)
  }

  #sweepBy(wantedAtMs: number, nowMs: number): void {
    const atMs = Math.max(wantedAtMs, nowMs + SWEEP_MS_MIN)
    if (this.#sweepAtMs !== undefined && this.#sweepAtMs <= atMs) return
    this.#sweepAtMs = atMs
    this.#effects.push({ type: 'schedule', timer: 'sweep', atMs })
  }

  #openWindow(model: Model, nowMs: number): void {
    const windowMs = Math.min(this.#limits.batchWindowMs, model.times.executionMs * WINDOW_SERVICE_SHARE)
    const waiting = model.queue.size
    // Timers are no finer than a millisecond: a shorter window would cost more than it saves.
    if (windowMs < 1 || !model.batching || this.#status !== 'serving') return
    if (waiting === 0 || waiting >= Math.min(model.lastBatchJobs, model.sizes.jobsMax)) return
    model.windowUntilMs = nowMs + windowMs
    this.#effects.push({ type: 'schedule', timer: `window:${model.cid}`, atMs: model.windowUntilMs })
  }

  #endWindow(model: Model): void {
    if (model.windowUntilMs === undefined) return
    model.windowUntilMs = undefined
    this.#effects.push({ type: 'unschedule', timer: `window:${model.cid}` })
  }

  #tell(model: Model, nowMs: number): void {
    const { told } = model
    if (this.#status !== 'serving' || this.#models.get(model.cid) !== model) return
    if (told.scheduled || !isWorthTelling(model, this.#limits)) return
    const atMs = told.atMs + this.#limits.announceIntervalMs
    if (atMs > nowMs) {
      told.scheduled = true
      this.#effects.push({ type: 'schedule', timer: `announce:${model.cid}`, atMs })
      return
    }
    told.atMs = nowMs
    told.load = loadOf(model, this.#limits)
    this.#effects.push({ type: 'announce', model: model.cid, load: told.load })
  }

  /** Refuses every request of a job, and forgets it. */
  #refuseJob(job: Job, code: ProviderRefusalCode, message: string, retryAfterMs = 0): void {
    for (const requestId of job.requests.keys()) this.#refuse(requestId, code, message, retryAfterMs)
    this.#forgetJob(job)
  }

  #refuse(requestId: string, code: ProviderRefusalCode, message: string, retryAfterMs = 0): void {
    this.#effects.push({ type: 'refuse', requestId, code, message, retryAfterMs })
  }

  #forgetJob(job: Job): void {
    if (this.#jobs.get(job.id) !== job) return
    this.#jobs.delete(job.id)
    for (const requestId of job.requests.keys()) this.#jobOf.delete(requestId)
    job.requests.clear()
    if (job.batch === undefined) job.model.queue.remove(job)
    this.#inputBytes -= job.inputBytes
  }
}

function inputBytesOf(jobs: readonly Job[]): number {
  return jobs.reduce((total, { inputBytes }) => total + inputBytes, 0)
}

function firstRequest(job: Job): string {
  for (const requestId of job.requests.keys()) return requestId
  throw new Error(`nobody waits for job ${job.id}`)
}

function splitOnce(timer: string): [kind: string, cid: string] {
  const at = timer.indexOf(':')
  return [timer.slice(0, at), timer.slice(at + 1)]
}
