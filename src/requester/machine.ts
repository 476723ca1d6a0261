/**
 * The requester's decisions, without I/O: `handle(event, now)` answers what is to be done.
 *
 * A job is found providers for, asked of `replicas` of them, compared, settled as soon as `quorum` distinct providers
 * agree, observed until the others have answered too, and closed. Under the policy `referee` all have to agree; where
 * they do not, the dispute is led by `dispute.ts`, and `decision.ts` tells what is accepted. After every event the job is looked at as a whole
 * (`advance`), so that what happens depends on what is known and not on the order in which it became known.
 *
 * Always: one `settle` or `fail` for each job submitted, then one `close`, by its deadline; nobody is asked twice for
 * a job except after `busy`; at most `attemptsMax` distinct providers are asked; a provider counts once; a provider
 * whose key was exposed is asked no more, and counts for nothing in what is not settled yet.
 *
 * A job has one timer, named by its id; `schedule` with a name in use moves that timer.
 *
 * Not here: verifying receipts and outputs (before an event is made), scores (evidence goes out), retries of the
 * transport.
 */
import {
  createPosterior,
  type EvidenceKind,
  NEWCOMER,
  REPUTATION_PARAMS,
  type ReputationParams,
} from '../../peers/reputation/index.ts'
import {
  type Candidate,
  createExclusion,
  createRank,
  createShares,
  type Exclusion,
  type Random,
} from '../routing/index.ts'
import type { VerdictLabel } from '../verification/index.ts'
import { REQUESTER_LIMITS, type RequesterLimits } from './constants.ts'
import {
  acceptanceOf,
  fallbackOf,
  isDisagreed,
  isDissentPending,
  isQuiet,
  mayStandIn,
  ownAcceptance,
  wantsOwnRun,
} from './decision.ts'
import {
  demandTraces,
  disputeTimes,
  expireDispute,
  type Finding,
  isDisputing,
  isParty,
  learnJudgement,
  learnTrace,
  learnTraceFailure,
  learnTraceTurn,
  nextPair,
  openDispute,
} from './dispute.ts'
import { doubtAcceptance, doubtOf } from './doubt.ts'
import type { JobFailure, RequesterEffect } from './effects.ts'
import type { AttemptFailure, JobSpec, ProviderId, RequesterEvent } from './events.ts'
import { describeFailure, evidenceOf, exhaustionCode, faultOf, refuseJob } from './failure.ts'
import {
  type Acceptance,
  type Attempt,
  answersOf,
  askedProviders,
  attemptWith,
  countInvalidClaims,
  createJob,
  everyAnswerOf,
  expireAttempts,
  isAwaited,
  isComparing,
  isPending,
  type Job,
  laterTimes,
  pairKey,
  updateCluster,
  wakeTimes,
} from './job.ts'
import { beginOwnRun, failOwnRun, learnOwnRun } from './own-run.ts'
import { evidenceFrom, verdictOn } from './record.ts'
import { addCandidates, beginAsking, endSearch, isHopeful, lowerTarget } from './search.ts'
import { type Chosen, chooseProviders, countMissing, type Trusting } from './selection.ts'

export interface Requester {
  /** Synchronous; `nowMs` never goes back. Events for unknown jobs, attempts or timers are ignored: they come late. */
  handle(event: RequesterEvent, nowMs: number): RequesterEffect[]
  /** Jobs that are not closed yet. */
  readonly jobs: number
}

export interface RequesterInit {
  readonly random: Random
  readonly limits?: Partial<RequesterLimits>
  /** What is assumed of providers; default `REPUTATION_PARAMS`. */
  readonly reputation?: ReputationParams
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
  readonly #exposed: Exclusion
  /** Those who were found out without a proof, until when they are drawn only for jobs that nobody else can decide. */
  readonly #distrusted = new Map<ProviderId, number>()
  /** Those whose answer the own run of some open job contradicts, by how many jobs: nothing was found out yet. */
  readonly #suspected = new Map<ProviderId, number>()
  readonly #trust: Trusting
  /** How many may be asked now in place of somebody slow. */
  #hedges: number
  #effects: RequesterEffect[] = []

  constructor({ random, limits, reputation = REPUTATION_PARAMS }: RequesterInit) {
    this.#random = random
    this.#limits = { ...REQUESTER_LIMITS, ...limits }
    this.#exposed = createExclusion(this.#limits.exposedMax)
    this.#hedges = this.#limits.hedgesBurst
    const { poolSize, newcomerShare, shareMax } = this.#limits
    this.#trust = {
      posterior: createPosterior(reputation),
      shunnedAt: reputation.shunnedAt,
      shares: createShares(shareMax, SHARE_SLACK),
      rank: createRank(Math.floor(random.next() * 2 ** 32)),
      poolSize,
      newcomerShare,
    }
  }

  handle(event: RequesterEvent, nowMs: number): RequesterEffect[] {
    this.#effects = []
    if (event.type === 'submitted') this.#submit(event.job, nowMs)
    else if (event.type === 'exposed') this.#expose(event.provider, nowMs)
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
    const draw = spec.replication === undefined ? 0 : this.#random.next()
    const job = createJob(spec, draw, nowMs, this.#limits.findBackoffMs)
    this.jobs.set(spec.id, job)
    this.#advance(job, nowMs)
  }

  #reject(failure: JobFailure, jobId: string): void {
    this.#effects.push({ type: 'fail', jobId, failure }, { type: 'close', jobId, verdict: undefined })
  }

  /** Every job drops that provider. A verdict that is settled already rests on what was known then. */
  #expose(provider: ProviderId, nowMs: number): void {
    if (!this.#exposed.add(provider)) return
    for (const job of [...this.jobs.values()]) {
      const attempts = job.attempts.filter((attempt) => attempt.provider === provider)
      job.candidates.delete(provider)
      if (attempts.length === 0) continue
      for (const attempt of attempts) this.#abandon(job, attempt)
      job.out.set(provider, 'exposed')
      this.#record(job, provider, 'fraud-proof')
      updateCluster(job)
      this.#calmDown(job)
      this.#advance(job, nowMs)
    }
  }

  /**
   * Its answer contradicted its own exact run, or it did not show what it had signed. That is no proof, and it may be
   * forgotten; but a requester that can run jobs itself need not hold the same dispute for every job.
   */
  #distrust(found: Job, provider: ProviderId, nowMs: number): void {
    this.#distrusted.delete(provider)
    this.#distrusted.set(provider, nowMs + this.#limits.distrustMs)
    const [oldest] = this.#distrusted.keys()
    if (this.#distrusted.size > this.#limits.exposedMax && oldest !== undefined)
      this.#distrusted.delete(oldest)
    for (const job of [...this.jobs.values()]) {
      if (job === found || !job.spec.canRecompute || job.out.has(provider)) continue
      const attempts = job.attempts.filter((attempt) => attempt.provider === provider)
      job.candidates.delete(provider)
      // What it has answered stays: it may be the only one that is right, and nothing was proved.
      if (attempts.some(({ state }) => state.status === 'answered')) {
        const isOpen = job.state.status !== 'observing' && job.own.status === 'none'
        if (isOpen && job.spec.referee && isDisagreed(job)) this.#standIn(job, nowMs)
        continue
      }
      if (attempts.length === 0) continue
      for (const attempt of attempts) this.#abandon(job, attempt)
      job.out.set(provider, 'distrusted')
      this.#advance(job, nowMs)
    }
  }

  /** The own run decides at once: the dispute would only show what is known of one of its parties. */
  #standIn(job: Job, nowMs: number): void {
    if (job.dispute !== undefined) this.#effects.push({ type: 'endDispute', jobId: job.spec.id })
    job.dispute = undefined
    this.#recompute(job, nowMs)
  }

  /** With the dissenter gone a dispute that has not got anywhere is none: the job goes on as if it had never been asked. */
  #calmDown(job: Job): void {
    const { dispute } = job
    if (dispute === undefined || job.state.status === 'observing' || job.own.status !== 'none') return
    const hasTraced = job.attempts.some(
      (attempt) => dispute.traces.get(attempt.number)?.status === 'traced' && isParty(job, attempt),
    )
    if (hasTraced || isComparing(job) || isDisagreed(job)) return
    job.dispute = undefined
    this.#effects.push({ type: 'endDispute', jobId: job.spec.id })
  }

  get #isAnyoneOut(): boolean {
    return this.#exposed.size > 0 || this.#distrusted.size > 0
  }

  #isDistrusted(job: Job, provider: ProviderId, nowMs: number): boolean {
    return job.spec.canRecompute && (this.#distrusted.get(provider) ?? Number.NEGATIVE_INFINITY) > nowMs
  }

  /** Ends what is under way with a provider that was found out, for good. */
  #abandon(job: Job, attempt: Attempt): void {
    if (attempt.state.status === 'answered') return
    const failure: AttemptFailure = {
      code: 'exposed',
      message: 'it was found out in another job',
      retryAfterMs: 0,
    }
    const state = { status: 'ended', failure, againAtMs: Number.POSITIVE_INFINITY } as const
    if (!isPending(attempt)) attempt.state = state
    else {
      this.#effects.push({ type: 'cancel', jobId: job.spec.id, attempt: attempt.number })
      this.#end(attempt, state)
    }
  }

  /** Takes in what the event says; false when there is nothing new in it. */
  #learn(
    job: Job,
    event: Exclude<RequesterEvent, { type: 'submitted' | 'exposed' }>,
    nowMs: number,
  ): boolean {
    switch (event.type) {
      case 'candidatesFound':
        this.#remember(job, event.candidates, nowMs)
        if (event.complete) endSearch(job, nowMs, this.#limits.findBackoffMsMax)
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
      case 'traceTurn':
        return learnTraceTurn(job, event, nowMs)
      case 'traced':
        return this.#find(job, learnTrace(job, event), nowMs)
      case 'traceFailed':
        return this.#find(job, learnTraceFailure(job, event, nowMs, this.#limits.busyBackoffMs), nowMs)
      case 'judged':
        return this.#find(job, learnJudgement(job, event), nowMs)
      case 'recomputed': {
        const isNew = learnOwnRun(job, event)
        if (isNew) this.#suspect(job, 1)
        return isNew
      }
      case 'recomputeFailed':
        return failOwnRun(job, event.message)
      case 'timerExpired':
        job.wakeAtMs = undefined
        return true
      case 'cancelled':
        if (job.state.status === 'observing') this.#close(job, job.state.acceptance)
        else this.#giveUp(job, describeFailure(job, 'cancelled'))
        return false
      default:
        return event satisfies never
    }
  }

  #remember(job: Job, candidates: readonly Candidate[], nowMs: number): void {
    const { candidatesMax } = this.#limits
    const isExcluded = (provider: ProviderId) =>
      this.#exposed.has(provider) || this.#isDistrusted(job, provider, nowMs)
    addCandidates(job, candidates, { candidatesMax, isExcluded, random: this.#random })
  }

  /** Notes what a step of the dispute has brought to light; false where the step was not awaited. */
  #find(job: Job, findings: readonly Finding[] | undefined, nowMs: number): boolean {
    for (const [provider, evidence] of findings ?? []) {
      this.#record(job, provider, evidence)
      if (isDistrusting(evidence)) this.#distrust(job, provider, nowMs)
    }
    if (findings !== undefined && findings.length > 0) updateCluster(job)
    return findings !== undefined
  }

  /** Equal digests agree; a new digest is compared with every other one there is, discarded or not. */
  #compareNew(job: Job, attempt: Attempt, digest: string): void {
    const isExact = job.spec.lane === 'exact'
    const others = new Set(everyAnswerOf(job).map((answer) => answer.digest))
    for (const other of others) {
      const key = pairKey(digest, other)
      if (other === digest || job.compared.has(key)) continue
      job.compared.set(key, isExact ? false : undefined)
      if (isExact) continue
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
  #advance(job: Job, nowMs: number): undefined {
    // Once there is an answer, nobody is asked in place of the slow.
    expireAttempts(job, nowMs, () => job.state.status === 'observing' || this.#mayHedge())
    expireDispute(job, nowMs)
    switch (job.state.status) {
      case 'observing': {
        const { acceptance, untilMs } = job.state
        if (job.spec.deadlineAtMs <= nowMs) return this.#close(job, acceptance)
        this.#dispute(job, nowMs)
        const isWaiting = untilMs > nowMs && (job.attempts.some(isAwaited) || isComparing(job))
        if (!isWaiting && !isDisputing(job)) return this.#close(job, acceptance)
        return this.#wake(job, this.#times(job, nowMs), nowMs)
      }
      case 'finding':
      case 'asking':
        return this.#pursue(job, nowMs)
      default:
        job.state satisfies never
    }
  }

  #pursue(job: Job, nowMs: number): undefined {
    const { spec } = job
    if (job.own.status === 'done') return this.#settle(job, ownAcceptance(job), nowMs)
    const isDoubt = spec.replication !== undefined && job.dispute === undefined
    const acceptance = isDoubt ? doubtAcceptance(job) : acceptanceOf(job)
    if (spec.deadlineAtMs <= nowMs) return this.#runOut(job, acceptance ?? fallbackOf(job), nowMs)
    if (job.own.status === 'running') return this.#wake(job, this.#times(job, nowMs), nowMs)
    if (acceptance !== undefined) return this.#accept(job, acceptance, nowMs)
    // One provider's word that a job is wrong is no more than one provider's answer; in a dispute, others could run it.
    if (job.dispute === undefined && countInvalidClaims(job) >= Math.max(2, spec.quorum)) {
      return this.#giveUp(job, describeFailure(job, 'invalid-job'))
    }
    if (job.state.status === 'finding') beginAsking(job, this.#isAnyoneOut)
    if (spec.referee && isDisagreed(job) && answersOf(job).length >= job.target) {
      // Whoever counts on few has no third party at hand: the own run tells at once who is right.
      if (isDoubt && spec.canRecompute && job.own.status === 'none') return this.#recompute(job, nowMs)
      openDispute(job)
    }
    this.#dispute(job, nowMs)
    // Fewer were asked than the policy says, because the own run was to stand in for the rest.
    if (job.target < spec.replicas && answersOf(job).length >= job.target && mayStandIn(job)) {
      return this.#recompute(job, nowMs)
    }
    if (!this.#askMissing(job, nowMs)) return this.#lookFurther(job, nowMs)
    job.search.exhaustedSinceMs = undefined
    this.#wake(job, this.#times(job, nowMs), nowMs)
  }

  /** Asks for what the dispute needs next. */
  #dispute(job: Job, nowMs: number): void {
    const { id: jobId } = job.spec
    for (const attempt of demandTraces(job, nowMs, this.#limits.tracesMax)) {
      this.#trust.shares.add(job.attempts[attempt]!.provider, this.#limits.traceExecutions)
      this.#effects.push({ type: 'trace', jobId, attempt })
    }
    const pair = nextPair(job, nowMs, this.#limits.judgementsMax)
    if (pair !== undefined) {
      this.#effects.push({ type: 'judge', jobId, left: pair.left, right: pair.right })
    }
  }

  #times(job: Job, nowMs: number): number[] {
    return [...wakeTimes(job, nowMs), ...disputeTimes(job, nowMs, this.#limits.tracesMax)]
  }

  #accept(job: Job, acceptance: Acceptance, nowMs: number): undefined {
    if (wantsOwnRun(job, acceptance)) return this.#recompute(job, nowMs)
    if (!isDissentPending(job, acceptance)) return this.#settle(job, acceptance, nowMs)
    this.#dispute(job, nowMs)
    this.#wake(job, this.#times(job, nowMs), nowMs)
  }

  #recompute(job: Job, nowMs: number): undefined {
    beginOwnRun(job)
    this.#effects.push({ type: 'recompute', jobId: job.spec.id })
    this.#wake(job, this.#times(job, nowMs), nowMs)
  }

  /** The deadline. A job that was drawn for a re-run is not taken without it: answering late would evade it. */
  #runOut(job: Job, acceptance: Acceptance | undefined, nowMs: number): undefined {
    const { spec, own } = job
    if (acceptance !== undefined && (!spec.recompute || own.status === 'failed')) {
      return this.#settle(job, acceptance, nowMs)
    }
    const finding = job.state.status === 'finding' && job.candidates.size < spec.replicas
    this.#giveUp(job, describeFailure(job, finding ? 'not-enough-providers' : 'deadline'))
  }

  /** Asks as many more as are needed; false where there are not enough. Under a rule, whom one is decides how many more. */
  #askMissing(job: Job, nowMs: number): boolean {
    for (let missing = countMissing(job); missing > 0; missing = countMissing(job)) {
      const dispatched = job.state.status === 'asking' ? this.#dispatch(job, missing, nowMs) : 0
      if (dispatched < missing) return false
      if (job.spec.replication === undefined || job.dispute !== undefined) return true
    }
    return true
  }

  #dispatch(job: Job, count: number, nowMs: number): number {
    const room = Math.min(count, this.#limits.dispatchesMax - job.attempts.length)
    const chosen = chooseProviders(job, room, {
      nowMs,
      random: this.#random,
      outstanding: this.#outstanding,
      isAvoided: (provider) => this.#suspected.has(provider),
      trust: this.#trust,
    })
    for (const one of chosen) this.#ask(job, one, nowMs)
    return chosen.length
  }

  /** While an own run's contradiction is looked into, nobody else's job is to rest on whom it contradicts. */
  #suspect(job: Job, by: 1 | -1): void {
    if (job.own.status !== 'done') return
    for (const number of job.own.contradicting) {
      const { provider } = job.attempts[number]!
      const count = (this.#suspected.get(provider) ?? 0) + by
      if (count > 0) this.#suspected.set(provider, count)
      else this.#suspected.delete(provider)
    }
  }

  /** Whether one more may be asked in place of somebody slow: where all are, that only makes them slower. */
  #mayHedge(): boolean {
    if (this.#hedges < 1) return false
    this.#hedges -= 1
    return true
  }

  #ask(job: Job, { candidate, expectedMs }: Chosen, nowMs: number): void {
    const { provider, group, record = NEWCOMER } = candidate
    const { id, deadlineAtMs, attemptTimeoutMs } = job.spec
    const { lateFactor, lateMsMin } = this.#limits
    const number = job.attempts.length
    job.attempts.push({
      number,
      provider,
      group,
      state: {
        status: 'open',
        lateAtMs: nowMs + Math.max(lateMsMin, expectedMs * lateFactor),
        overdueAtMs: nowMs + attemptTimeoutMs,
      },
      record,
    })
    this.#trust.shares.add(provider, 1)
    this.#hedges = Math.min(this.#limits.hedgesBurst, this.#hedges + this.#limits.hedgeShare)
    this.#outstanding.set(provider, (this.#outstanding.get(provider) ?? 0) + 1)
    this.#effects.push({ type: 'dispatch', jobId: id, attempt: number, provider, deadlineAtMs })
  }

  /** There are too few to ask: search again, wait for the busy and the slow, or give up when patience ends. */
  #lookFurther(job: Job, nowMs: number): undefined {
    const { spec, search, attempts } = job
    // Where a dispute or a proof has used up the providers, the own run need not wait for more to appear.
    const isUsedUp = job.dispute !== undefined || this.#isAnyoneOut || spec.replication !== undefined
    if (job.state.status === 'asking' && isUsedUp && !search.running && mayStandIn(job)) {
      return this.#recompute(job, nowMs)
    }
    if (spec.referee && job.dispute === undefined && isQuiet(job) && isDisagreed(job)) {
      openDispute(job)
      return this.#advance(job, nowMs)
    }
    const times = this.#times(job, nowMs)
    const askedEnough =
      askedProviders(job).size >= spec.attemptsMax || attempts.length >= this.#limits.dispatchesMax
    if (!askedEnough && !search.running) {
      if (search.nextAtMs > nowMs) times.push(search.nextAtMs)
      else {
        search.running = true
        // Those that were asked are found again, and a search that is content with them finds nobody new.
        const atLeast = Math.max(spec.replicas, askedProviders(job).size + countMissing(job))
        this.#effects.push({ type: 'find', jobId: spec.id, model: spec.model, atLeast })
      }
    }
    const asking = job.state.status === 'asking' && attempts.length < this.#limits.dispatchesMax
    const later = asking ? laterTimes(job, nowMs, askedEnough) : []
    times.push(...later)
    if (later.length > 0 || isHopeful(job, nowMs, this.#limits.tracesMax)) search.exhaustedSinceMs = undefined
    else {
      search.exhaustedSinceMs ??= nowMs
      const untilMs = search.exhaustedSinceMs + this.#limits.patienceMs
      if (askedEnough || (!search.running && untilMs <= nowMs)) {
        return this.#conclude(job, askedEnough, nowMs)
      }
      if (untilMs > nowMs) times.push(untilMs)
    }
    this.#wake(job, times, nowMs)
  }

  /** Nobody is left to ask, and patience has ended. */
  #conclude(job: Job, askedEnough: boolean, nowMs: number): undefined {
    if (mayStandIn(job)) return this.#recompute(job, nowMs)
    if (lowerTarget(job)) return this.#advance(job, nowMs)
    const fallback = fallbackOf(job)
    if (fallback !== undefined) return this.#accept(job, fallback, nowMs)
    const code = job.dispute === undefined ? exhaustionCode(job, askedEnough) : 'undecided-dispute'
    this.#giveUp(job, describeFailure(job, code))
  }

  #settle(job: Job, acceptance: Acceptance, nowMs: number): undefined {
    const { spec } = job
    const { id, observeMs, deadlineAtMs } = spec
    const { party: accepted, exact, label } = acceptance
    const verdict = verdictOn(job, acceptance)
    this.#effects.push({ type: 'settle', jobId: id, accepted, exact, verdict, ...wrongness(job, label) })
    // Who contradicts the own run is heard about it, though the answer no longer waits for that.
    if (job.own.status === 'done' && job.own.contradicting.size > 0) openDispute(job)
    const untilMs = Math.min(nowMs + observeMs, deadlineAtMs)
    job.state = { status: 'observing', acceptance, agreed: new Set(verdict.agreed), untilMs }
    this.#advance(job, nowMs)
  }

  #close(job: Job, acceptance: Acceptance): undefined {
    const verdict = verdictOn(job, acceptance)
    const { posterior } = this.#trust
    for (const { provider, evidence, strength } of evidenceFrom(job, acceptance, verdict, posterior)) {
      this.#record(job, provider, evidence, strength)
    }
    this.#release(job)
    this.#effects.push({ type: 'close', jobId: job.spec.id, verdict })
  }

  #giveUp(job: Job, failure: JobFailure): undefined {
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
    for (const attempt of job.attempts) {
      const isLate = job.dispute?.traces.get(attempt.number)?.status === 'overdue'
      if (isLate && isParty(job, attempt)) this.#record(job, attempt.provider, 'timed-out')
    }
    if (job.wakeAtMs !== undefined) this.#effects.push({ type: 'unschedule', timer: jobId })
    this.#suspect(job, -1)
    this.jobs.delete(jobId)
  }

  #record(job: Job, provider: ProviderId, evidence: EvidenceKind, strength = 1): void {
    this.#effects.push({ type: 'recordEvidence', jobId: job.spec.id, provider, evidence, strength })
  }

  /** Sets the job's timer to the earliest of `times`, unless it rings before that anyway. */
  #wake(job: Job, times: readonly number[], nowMs: number): undefined {
    const atMs = Math.max(nowMs, Math.min(...times))
    if (job.wakeAtMs !== undefined && job.wakeAtMs <= atMs) return
    job.wakeAtMs = atMs
    this.#effects.push({ type: 'schedule', timer: job.spec.id, atMs })
  }
}

/** The own run leaves no doubt. What others decided by their traces is not reckoned by their records. */
function wrongness(job: Job, label: VerdictLabel): { readonly wrong?: number } {
  if (job.spec.replication?.wrong === undefined) return {}
  if (job.own.status === 'done') return { wrong: 0 }
  const wrong = label === 'signed' || label === 'replicated' ? doubtOf(job) : undefined
  return wrong === undefined ? {} : { wrong }
}

/** Executions that one provider may always get, so that a requester with few jobs is not kept from anybody. */
const SHARE_SLACK = 8

/** What finds somebody out without a proof. */
function isDistrusting(evidence: EvidenceKind): boolean {
  return evidence === 'contradicted-exact' || evidence === 'contradicted-replay' || evidence === 'withheld'
}
