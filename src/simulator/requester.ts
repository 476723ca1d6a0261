/** A simulated requester: the real machine and the real ledger, over a modelled network, with the truth at hand to count by. */

import {
  createLedger,
  createPosterior,
  type EvidenceKind,
  type Ledger,
} from '../../peers/reputation/index.ts'
import type { FacedJob, NativeAnswer } from '../adversary/index.ts'
import {
  type AttemptFailureCode,
  createReliance,
  createRequester,
  type JobSpec,
  type Judgement,
  type Relied,
  type RequesterEffect,
  type RequesterEvent,
  type TraceFailureCode,
} from '../requester/index.ts'
import type { Random, Replication, SeededRandom } from '../routing/index.ts'
import type { Verdict } from '../verification/index.ts'
import { createAcquaintances } from './acquaintances.ts'
import type { Checker } from './checkers.ts'
import type { Alarm, Clock } from './clock.ts'
import type { Metrics } from './metrics.ts'
import type { Network } from './network.ts'
import type { Policy } from './policies.ts'
import type { SimProvider } from './provider.ts'
import { type Answer, isWrong, judgeRoot, lie, nearAnswer, RIGHT, rightAnswer, rootOf } from './truth.ts'

/** What a simulation assumes about jobs and what checking costs. */
export interface JobModel {
  readonly inputBytes: number
  readonly outputBytes: number
  readonly timeoutMs: number
  readonly attemptTimeoutMs: number
  readonly observeMs: number
  /** Mean native service time, on which costs of traces are based. */
  readonly serviceMs: number
  /** What a traced exact run costs, in native executions. */
  readonly tracedCost: number
  readonly refereeMs: number
  /** Share of honest answers outside the tolerance of their own exact run. */
  readonly outlierRate: number
  /** How long what rested on somebody who was found out waits for what else becomes known. */
  readonly recheckDelayMs: number
  /** Providers of each model that a requester remembers at once. */
  readonly knownMax: number
  /** Whether proofs of fraud may be published. */
  readonly publicDisputes: boolean
  /** Until a connection that cannot be made is given up. */
  readonly dialTimeoutMs: number
}

/** What the requester needs of the world around it. */
export interface Surroundings {
  readonly clock: Clock
  readonly network: Network
  readonly metrics: Metrics
  readonly checker: Checker
  provider(key: string): SimProvider | undefined
  /** A provider of this model drawn at random; undefined where there is none. */
  draw(model: string, random: Random): SimProvider | undefined
  /** A proof against this key was made: whoever it concerns is told. */
  publish(key: string, from: SimRequester): void
  isHonest(key: string): boolean
  /** Somebody has found this key out, and asks it no more. */
  shunned(key: string): void
  closed(question: ClosedQuestion): void
}

/** A question that was answered, with all that became known of it. */
export interface ClosedQuestion {
  readonly latencyMs: number
  readonly isWrong: boolean
  readonly verdict: Verdict
}

/** A question that somebody asks: the job's input, by number. */
export interface Question {
  readonly model: string
  readonly content: number
  readonly risk?: number
}

export interface SimRequester {
  readonly node: number
  readonly name: string
  readonly ledger: Ledger
  ask(question: Question): void
  /** A proof against a key was verified. */
  expose(key: string): void
  /** Somebody accuses this key, with no proof that holds. */
  accuse(key: string): void
  /** Whoever had `formerKey` announces itself under a new one. */
  renamed(provider: SimProvider, formerKey: string): void
  /** Whether it has met this provider. */
  knows(key: string): boolean
  /** Questions that are not closed, and re-checks that wait. */
  readonly pending: number
  /** Has re-checks done that wait for more to become known. */
  hurry(): void
}

interface SimJob {
  readonly id: string
  readonly question: Question
  readonly kind: 'question' | 'recheck' | 'spot-check'
  readonly submittedAtMs: number
  readonly attempts: SimAttempt[]
  /** Of a re-check: what is checked, and whom it is not asked of. */
  readonly relied: Relied<Served> | undefined
  accepted: Answer | undefined
  settledAtMs: number
}

interface SimAttempt {
  readonly provider: SimProvider | undefined
  readonly key: string
  readonly sentAtMs: number
  native: NativeAnswer | undefined
  answer: Answer | undefined
}

interface Served {
  readonly question: Question
  readonly answer: Answer
}

export interface SimRequesterInit {
  readonly node: number
  readonly world: Surroundings
  readonly policy: Policy
  readonly model: JobModel
  readonly random: SeededRandom
}

/** Of our own questions, for which re-checks are kept possible. */
const RELIED_MAX = 1 << 20
export function createSimRequester({ node, world, policy, model, random }: SimRequesterInit): SimRequester {
  const { clock, network, metrics, checker } = world
  const name = `r${node}`
  const machine = createRequester({
    random: random.fork(),
    limits: policy.limits,
    reputation: policy.reputation,
  })
  const own = random.fork()
  const ledger = createLedger(policy.reputation)
  const posterior = createPosterior(policy.reputation)
  const reliance = createReliance<Served>(RELIED_MAX)
  const jobs = new Map<string, SimJob>()
  const timers = new Map<string, Alarm>()
  const acquaintances = createAcquaintances({ node, world, ledger, knownMax: model.knownMax, random: own })
  const doubted = new Set<string>()
  const waiting: { readonly relied: Relied<Served>; readonly dueAtMs: number }[] = []
  let rechecking: string | undefined
  let hurried = false
  let sequence = 0

  const pendingEvents: RequesterEvent[] = []
  let handling = false
  function post(event: RequesterEvent): void {
    pendingEvents.push(event)
    if (handling) return
    handling = true
    for (let next = pendingEvents.shift(); next !== undefined; next = pendingEvents.shift()) {
      checker.event(name, next, clock.nowMs)
      const effects = machine.handle(next, clock.nowMs)
      for (const effect of effects) {
        checker.effect(name, effect, clock.nowMs)
        perform(effect)
      }
    }
    handling = false
  }

  function perform(effect: RequesterEffect): void {
    switch (effect.type) {
      case 'find':
        find(effect.jobId)
        return
      case 'dispatch':
        dispatch(effect)
        return
      case 'cancel':
        cancel(effect.jobId, effect.attempt)
        return
      case 'schedule': {
        const { timer } = effect
        timers.get(timer)?.cancel()
        timers.set(
          timer,
          clock.at(effect.atMs, () => {
            timers.delete(timer)
            post({ type: 'timerExpired', timer })
          }),
        )
        return
      }
      case 'unschedule':
        timers.get(effect.timer)?.cancel()
        timers.delete(effect.timer)
        return
      case 'compare': {
        const { jobId, left, right } = effect
        const agrees = answerOf(jobId, left).value === answerOf(jobId, right).value
        post({ type: 'compared', jobId, left, right, agrees })
        return
      }
      case 'trace':
        trace(effect.jobId, effect.attempt)
        return
      case 'judge':
        judge(effect)
        return
      case 'recompute':
        recompute(effect.jobId)
        return
      case 'endDispute':
        return
      case 'settle': {
        const job = jobs.get(effect.jobId)!
        job.accepted =
          effect.accepted === 'self' || effect.exact
            ? rightAnswer(0)
            : answerOf(effect.jobId, effect.accepted)
        if (effect.exact && effect.accepted !== 'self') job.accepted = exactOf(job, effect.accepted)
        job.settledAtMs = clock.nowMs
        if (policy.referee && job.kind !== 'spot-check') {
          checker.refereed(job.id, {
            label: effect.verdict.label,
            isWrong: isWrong(job.accepted),
            wasToldRight: job.attempts.some((_, attempt) => wasTold(job, attempt)),
          })
        }
        if (job.kind === 'question') {
          const wrongBy = isWrong(job.accepted) ? effect.verdict.agreed : []
          metrics.served(job.id, clock.nowMs - job.submittedAtMs, wrongBy, effect.verdict.label)
        }
        return
      }
      case 'fail':
        if (jobs.get(effect.jobId)?.kind === 'question') metrics.failed(effect.failure.code)
        return
      case 'close':
        close(effect)
        return
      case 'recordEvidence': {
        const { provider, evidence, strength, jobId } = effect
        record(provider, jobs.get(jobId)?.question.model ?? '', evidence, jobId, strength)
        return
      }
      default:
        effect satisfies never
    }
  }

  /** Whether an honest provider has said what is right, and shown it where nobody else can. */
  function wasTold({ id, attempts }: SimJob, attempt: number): boolean {
    const { key, answer } = attempts[attempt]!
    const isShown = policy.ownRuns || roots.get(`${id}/${attempt}`) === rootOf(rightAnswer(0), false)
    return answer?.value === RIGHT && world.isHonest(key) && !doubted.has(key) && isShown
  }

  function answerOf(jobId: string, attempt: number): Answer {
    return jobs.get(jobId)!.attempts[attempt]!.answer!
  }

  /** What the exact run of a party gave. */
  function exactOf(job: SimJob, attempt: number): Answer {
    const { native, answer, provider } = job.attempts[attempt]!
    const isLying = native !== undefined && traceConductOf(job, native, provider) === 'lying'
    return isLying ? answer! : rightAnswer(0)
  }

  function submit(kind: SimJob['kind'], question: Question, relied?: Relied<Served>): string {
    const id = `${name}-${(sequence++).toString(36)}`
    const job: SimJob = {
      id,
      question,
      kind,
      submittedAtMs: clock.nowMs,
      attempts: [],
      relied,
      accepted: undefined,
      settledAtMs: 0,
    }
    jobs.set(id, job)
    const isProbe = kind === 'spot-check'
    const replication = isProbe ? ONE_IS_ENOUGH : policy.replication
    const spec: JobSpec = {
      id,
      model: question.model,
      replicas: isProbe ? 1 : policy.replicas,
      quorum: isProbe ? 1 : policy.quorum,
      attemptsMax: ATTEMPTS_MAX,
      deadlineAtMs: clock.nowMs + model.timeoutMs,
      attemptTimeoutMs: model.attemptTimeoutMs,
      observeMs: model.observeMs,
      lane: 'native',
      referee: !isProbe && policy.referee,
      recompute: false,
      canRecompute: !isProbe && policy.ownRuns,
      ...(replication === undefined ? {} : { replication }),
    }
    post({ type: 'submitted', job: spec })
    return id
  }

  function find(jobId: string): void {
    const { question, relied } = jobs.get(jobId)!
    const candidates = acquaintances.candidates(question.model, relied?.providers ?? [])
    post({ type: 'candidatesFound', jobId, candidates, complete: true })
  }

  function fail(jobId: string, attempt: number, code: AttemptFailureCode, retryAfterMs = 0): void {
    post({ type: 'requestFailed', jobId, attempt, failure: { code, message: code, retryAfterMs } })
  }

  function dispatch({ jobId, attempt, provider: key, deadlineAtMs }: EffectOf<'dispatch'>): void {
    const job = jobs.get(jobId)!
    const provider = world.provider(key)
    const sent: SimAttempt = { provider, key, sentAtMs: clock.nowMs, native: undefined, answer: undefined }
    job.attempts.push(sent)
    const delay =
      provider?.alive === true
        ? network.delayMs(node, provider.node, model.inputBytes, clock.nowMs)
        : undefined
    if (provider === undefined || delay === undefined) {
      clock.after(model.dialTimeoutMs, () => {
        acquaintances.forget(key)
        fail(jobId, attempt, 'unreachable')
      })
      return
    }
    metrics.message(node, provider.node)
    /** What travels back is lost with the connection where nothing passes. */
    const back = (bytes: number, arrive: () => void): void => {
      metrics.message(provider.node, node)
      const after = network.delayMs(provider.node, node, bytes, clock.nowMs)
      if (after !== undefined) clock.after(after, arrive)
      else clock.after(model.dialTimeoutMs, () => fail(jobId, attempt, 'hung-up'))
    }
    clock.after(delay, () => {
      if (!provider.alive) return fail(jobId, attempt, 'hung-up')
      provider.request({
        id: `${jobId}/${attempt}`,
        job: facedBy(job),
        inputBytes: model.inputBytes,
        deadlineAtMs,
        answered: (native) => {
          sent.native = native
          const extraMs = native.kind === 'forward' ? 2 * delay + model.serviceMs : 0
          const answer = resolve(job, sent, native)
          if (extraMs === 0) back(model.outputBytes, () => result(job, attempt, sent, answer))
          else clock.after(extraMs, () => back(model.outputBytes, () => result(job, attempt, sent, answer)))
        },
        refused: (code, retryAfterMs) =>
          back(REFUSAL_BYTES, () => {
            if (code === 'busy') {
              acquaintances.busy(key, clock.nowMs + retryAfterMs)
            }
            fail(jobId, attempt, code === 'expired' ? 'refused' : code, retryAfterMs)
          }),
        lost: () =>
          clock.after(network.delayMs(provider.node, node, 0, clock.nowMs) ?? model.dialTimeoutMs, () => {
            acquaintances.forget(key)
            fail(jobId, attempt, 'hung-up')
          }),
      })
    })
  }

  function facedBy({ id, question }: SimJob): FacedJob {
    return {
      jobId: id,
      content: question.content,
      requester: name,
      model: question.model,
      nowMs: clock.nowMs,
    }
  }

  /** What the provider's word comes to. */
  function resolve(job: SimJob, sent: SimAttempt, native: NativeAnswer): Answer {
    const { provider } = sent
    switch (native.kind) {
      case 'right':
        return own.next() < model.outlierRate ? nearAnswer(sent.key) : rightAnswer(provider!.processorClass)
      case 'lie':
      case 'equivocate':
        return lie(native.lie)
      case 'copy': {
        const seen = job.attempts.find((other) => other !== sent && other.answer !== undefined)
        return seen?.answer ?? lie(native.lie)
      }
      case 'forward': {
        const other = world.draw(job.question.model, own)
        if (other === undefined || other === provider) return lie(`of ${sent.key}`)
        other.executions += 1
        const answered = other.conduct.answer(facedBy(job), own)
        if (answered.kind === 'lie' || answered.kind === 'equivocate') return lie(answered.lie)
        return rightAnswer(other.processorClass)
      }
      case 'silent':
      case 'crash':
        throw new Error(`${sent.key} gives no answer to pass on`)
      default:
        return native satisfies never
    }
  }

  function result(job: SimJob, attempt: number, sent: SimAttempt, answer: Answer): void {
    if (!jobs.has(job.id)) return
    sent.answer = answer
    if (isWrong(answer)) metrics.lied()
    acquaintances.served(sent.key, job.question.model, clock.nowMs - sent.sentAtMs)
    post({ type: 'resultReceived', jobId: job.id, attempt, outputDigest: answer.digest })
  }

  function cancel(jobId: string, attempt: number): void {
    const provider = jobs.get(jobId)?.attempts[attempt]?.provider
    if (provider === undefined) return
    const delay = network.delayMs(node, provider.node, 0, clock.nowMs)
    if (delay === undefined) return
    metrics.message(node, provider.node)
    clock.after(delay, () => provider.cancel(`${jobId}/${attempt}`))
  }

  function traceConductOf(job: SimJob, native: NativeAnswer, provider: SimProvider | undefined) {
    return native.kind === 'equivocate' ? 'lying' : provider!.conduct.trace(facedBy(job), native, own)
  }

  function trace(jobId: string, attempt: number): void {
    const job = jobs.get(jobId)!
    const sent = job.attempts[attempt]!
    const { provider, native, answer } = sent
    const failed = (code: TraceFailureCode, afterMs: number, retryAfterMs = 0): void => {
      clock.after(afterMs, () => post({ type: 'traceFailed', jobId, attempt, code, retryAfterMs }))
    }
    const delay =
      provider?.alive === true
        ? network.delayMs(node, provider.node, model.inputBytes, clock.nowMs)
        : undefined
    if (provider === undefined || native === undefined || answer === undefined || delay === undefined) {
      failed('unreachable', model.dialTimeoutMs)
      return
    }
    metrics.message(node, provider.node)
    metrics.message(provider.node, node)
    const conduct = traceConductOf(job, native, provider)
    if (conduct !== 'honest' && conduct !== 'lying') {
      if (conduct === 'withheld') failed(conduct, model.attemptTimeoutMs)
      else failed(conduct, 2 * delay, model.serviceMs)
      return
    }
    const isLying = conduct === 'lying' && isWrong(answer)
    const costMs = model.tracedCost * model.serviceMs
    metrics.traced(model.tracedCost)
    provider.traced += model.tracedCost
    const standsWithTrace = isLying || answer.value === RIGHT
    clock.after(2 * delay + costMs, () => {
      if (!provider.alive)
        return post({ type: 'traceFailed', jobId, attempt, code: 'unreachable', retryAfterMs: 0 })
      roots.set(`${jobId}/${attempt}`, rootOf(answer, isLying))
      post({
        type: 'traced',
        jobId,
        attempt,
        root: rootOf(answer, isLying),
        outputDigest: isLying ? answer.digest : rightAnswer(0).digest,
        agrees: standsWithTrace,
        contradicts: !answer.near,
      })
    })
  }

  const roots = new Map<string, string>()

  function judge({ jobId, left, right }: EffectOf<'judge'>): void {
    const verdictOn = (party: typeof right): Judgement =>
      party === 'self' ? { status: 'cleared' } : judgeRoot(roots.get(`${jobId}/${party}`)!)
    const verdicts = { left: verdictOn(left), right: verdictOn(right) }
    metrics.disputed()
    const other = jobs.get(jobId)!.attempts[left]!.provider!
    const delay = network.delayMs(node, other.node, 0, clock.nowMs) ?? model.dialTimeoutMs
    metrics.message(node, other.node)
    metrics.message(other.node, node)
    clock.after(2 * delay + model.refereeMs, () => post({ type: 'judged', jobId, left, right, verdicts }))
  }

  function recompute(jobId: string): void {
    metrics.ownRun(model.tracedCost)
    clock.after(model.tracedCost * model.serviceMs, () => {
      const job = jobs.get(jobId)
      const agreeing = (job?.attempts ?? []).flatMap(({ answer }, attempt) =>
        answer?.value === RIGHT ? attempt : [],
      )
      post({ type: 'recomputed', jobId, root: 'true', outputDigest: rightAnswer(0).digest, agreeing })
    })
  }

  function close({ jobId, verdict }: EffectOf<'close'>): void {
    const job = jobs.get(jobId)!
    jobs.delete(jobId)
    for (let attempt = 0; attempt < job.attempts.length; attempt++) roots.delete(`${jobId}/${attempt}`)
    const { accepted, question } = job
    if (job.kind === 'question' && verdict !== undefined && accepted !== undefined) {
      const latencyMs = job.settledAtMs - job.submittedAtMs
      world.closed({ latencyMs, isWrong: isWrong(accepted), verdict })
    }
    if (job.kind === 'spot-check') passOrCatch(job)
    else if (job.kind === 'recheck') {
      rechecking = undefined
      const { relied } = job
      if (accepted !== undefined && relied !== undefined) {
        const isSame = accepted.value === relied.kept.answer.value
        if (!isSame) metrics.corrected(relied.jobId)
      }
      pump()
    } else if (verdict === undefined || accepted === undefined || !policy.rechecks) return
    else if (verdict.label === 'signed' || verdict.label === 'replicated') {
      rest({ jobId, providers: verdict.agreed, kept: { question, answer: accepted } })
    }
  }

  /** An answer whose giver was found out while the job was open is looked at again at once. */
  function rest(relied: Relied<Served>): void {
    if (relied.providers.some((key) => doubted.has(key))) queue(relied)
    else reliance.add(relied)
  }

  function passOrCatch({ question, accepted, attempts, id }: SimJob): void {
    const key = attempts.find(({ answer }) => answer === accepted)?.key
    if (accepted === undefined || key === undefined) return
    const isRight = !isWrong(accepted)
    record(key, question.model, isRight ? 'agreed' : 'lost-dispute', id, 1)
  }

  function record(
    key: string,
    modelClass: string,
    kind: EvidenceKind,
    jobId: string,
    strength: number,
  ): void {
    ledger.record({ provider: key, modelClass, kind, atMs: clock.nowMs, jobId, strength })
    acquaintances.changed(key)
    if (kind === 'agreed') return
    checker.evidence(name, key, kind)
    const isProved = kind === 'lost-dispute'
    if (isProved) {
      metrics.found(key)
      post({ type: 'exposed', provider: key })
      if (model.publicDisputes) world.publish(key, api)
    }
    const suspicion = posterior.saboteur(ledger.trackRecord(key, modelClass, clock.nowMs))
    if (suspicion >= Math.min(policy.reputation.shunnedAt, 1) || isProved) doubt(key)
  }

  /** Whoever is found out takes with it what rested on its word. */
  function doubt(key: string): void {
    if (doubted.has(key)) return
    doubted.add(key)
    metrics.found(key)
    world.shunned(key)
    if (!policy.rechecks) return
    for (const relied of reliance.takeResting(key)) queue(relied)
  }

  function queue(relied: Relied<Served>): void {
    waiting.push({ relied, dueAtMs: clock.nowMs + model.recheckDelayMs })
    if (waiting.length === 1) clock.after(model.recheckDelayMs, pump)
  }

  /** Looks again at the next answer that is due, unless those who are left suffice by what is known of them now. */
  function pump(): void {
    while (rechecking === undefined) {
      const next = waiting[0]
      if (next === undefined) return
      if (next.dueAtMs > clock.nowMs && !hurried) {
        clock.at(next.dueAtMs, pump)
        return
      }
      waiting.shift()
      const { relied } = next
      const left = relied.providers.filter((key) => !doubted.has(key))
      const records = left.map((key) => ledger.trackRecord(key, relied.kept.question.model, clock.nowMs))
      if (left.length > 0 && policy.replication?.isEnough(records, 1)) {
        reliance.add({ ...relied, providers: left })
        continue
      }
      metrics.rechecked()
      rechecking = submit('recheck', relied.kept.question, relied)
    }
  }

  const api: SimRequester = {
    node,
    name,
    ledger,
    ask(question) {
      submit('question', question)
      if (policy.spotCheckRate > 0 && own.next() < policy.spotCheckRate) {
        submit('spot-check', { ...question, content: Math.floor(own.next() * 2 ** 31) })
      }
    },
    expose(key) {
      if (doubted.has(key)) return
      ledger.record({
        provider: key,
        modelClass: '',
        kind: 'fraud-proof',
        atMs: clock.nowMs,
        jobId: '',
        strength: 1,
      })
      checker.evidence(name, key, 'fraud-proof')
      post({ type: 'exposed', provider: key })
      doubt(key)
    },
    // The proof is fetched, does not verify, and nothing follows: see `protocols/fraud`.
    accuse: () => metrics.message(node, node),
    renamed: acquaintances.renamed,
    knows: acquaintances.knows,
    get pending() {
      return jobs.size + waiting.length
    },
    hurry() {
      hurried = true
      pump()
    },
  }
  return api
}

type EffectOf<T extends RequesterEffect['type']> = Extract<RequesterEffect, { type: T }>

/** As many as a job may have, see `verification`. */
const ATTEMPTS_MAX = 16
const REFUSAL_BYTES = 200

/** A spot check has one party, whose answer is compared with what is known. */
const ONE_IS_ENOUGH: Replication = {
  name: 'spot-check',
  isEnough: (parties) => parties.length > 0,
  prevails: () => false,
}
