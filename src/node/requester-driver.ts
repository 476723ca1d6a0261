/**
 * Turns the requester machine's effects into what happens on the network, and what happens there into its events.
 * All decisions are the machine's; what is here moves bytes, verifies signatures and keeps time.
 */
import { randomInt } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { type Manifest, verifyOutputs } from '../../models/manifest/index.ts'
import { exactRuntimeInfo } from '../../models/runtime/index.ts'
import { decodeTensors, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import type { Book } from '../../peers/book/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import { SYSTEM_CLOCK } from '../../protocols/framing/index.ts'
import { COMMIT_MS_MAX, type InferenceClient, InferenceError } from '../../protocols/inference/index.ts'
import { isSameRun, NO_STEPS_DIGEST, type Receipt, verifyReceipt } from '../../protocols/receipt/index.ts'
import type {
  EvidenceKind,
  JobFailure,
  JobId,
  JobSpec,
  Party,
  Requester,
  RequesterEffect,
  RequesterEvent,
} from '../requester/index.ts'
import { type Candidate, createDoubt } from '../routing/index.ts'
import { compareTensorsGradually, isAnswerAlone, SELF, type Verdict } from '../verification/index.ts'
import { AttemptError, attemptFailure, refusalCode } from './attempt-failure.ts'
import { writeBundle } from './bundle.ts'
import { now } from './clock.ts'
import { type CommitBarrier, createCommitBarrier, type Seat } from './commit-barrier.ts'
import type { NodeParts } from './config.ts'
import { ATTEMPT_TIMEOUT_PART, COMMIT_TIMEOUT_PART, OBSERVE_DEFAULT_MS } from './constants.ts'
import { digestSliced } from './digest.ts'
import { type DisputedJob, DisputeEnded, type Disputing } from './disputing.ts'
import { newJob } from './job.ts'
import type { Log } from './log.ts'
import { createMachineLoop } from './machine-loop.ts'
import { type ClosedJob, JobError, type JobProgress, type JobResult, type SubmitRequest } from './node.ts'
import type { OpenCalling } from './open-calling.ts'
import type { SettledJob } from './rechecking.ts'
import type { NodeReputation } from './reputation.ts'
import { verifyTerms } from './terms.ts'
import { createTimers } from './timers.ts'

export interface RequesterDriver {
  /** One in the background is nobody's: its disputes hold up no others, and its answer rests on nobody for anybody. */
  submit(
    request: SubmitRequest,
    manifest: Manifest,
    options?: { readonly isBackground?: boolean },
  ): Promise<JobResult>
  counts(): { running: number; settled: number; failed: number }
  /** A proof against a key was verified: its word counts for nothing any more, in no job. */
  exposed(provider: string): void
  /** Cancels every job. */
  stop(): void
}

export interface RequesterComponents {
  readonly machine: Requester
  readonly client: InferenceClient
  readonly signer: Signer
  readonly book: Book
  /**
   * Looks for providers until it has `atLeast` or the search ends; tells what it has so far through `onFound`.
   * Never rejects.
   */
  readonly find: (
    search: { model: string; atLeast: number; signal: AbortSignal },
    onFound: (candidates: readonly Candidate[]) => void,
  ) => Promise<readonly Candidate[]>
  /** In its place where a job is called out. */
  readonly openCalling: Pick<OpenCalling, 'find' | 'disappointed'>
  readonly disputing: Disputing
  readonly reputation: Pick<NodeReputation, 'params' | 'record' | 'served'>
  /** A job has closed with an answer. */
  readonly onClosed: (job: SettledJob) => void
  readonly log: Log
  readonly parts?: Pick<NodeParts, 'attemptTimeoutMs' | 'observeMs' | 'onEvidence'>
}

interface Attempt {
  readonly provider: string
  readonly controller: AbortController
  answer: Answer | undefined
}

interface Answer {
  readonly receipt: Uint8Array
  /** Canonical payload. */
  readonly outputs: Uint8Array
  /** What it holds, which is what the model's signature says. */
  readonly tensors: readonly Tensor[]
  readonly outputDigest: Uint8Array
}

interface RunningJob {
  readonly spec: JobSpec
  readonly manifest: Manifest
  readonly request: SubmitRequest
  readonly signed: Awaited<ReturnType<typeof newJob>>
  readonly isBackground: boolean
  /** What its owner accepts; undefined where votes are counted. */
  readonly risk: number | undefined
  readonly startedAtMs: number
  readonly attempts: Map<number, Attempt>
  readonly controller: AbortController
  readonly settled: PromiseWithResolvers<JobResult>
  readonly closed: PromiseWithResolvers<ClosedJob>
  /** Where the job is called out: nobody is asked for its answer before all have committed to theirs. */
  readonly barrier: CommitBarrier | undefined
  found: number
  accepted: (Omit<Answer, 'receipt'> & { readonly party: Party }) | undefined
}

export function createRequesterDriver(components: RequesterComponents): RequesterDriver {
  const { machine, client, signer, book, disputing, reputation, onClosed, log, parts = {} } = components
  const jobs = new Map<JobId, RunningJob>()
  const counts = { settled: 0, failed: 0 }
  const timers = createTimers((timer) => post({ type: 'timerExpired', timer }))

  const post = createMachineLoop<RequesterEvent, RequesterEffect>(machine, perform)

  function perform(effect: RequesterEffect): void {
    switch (effect.type) {
      case 'find':
        startFind(effect.jobId, effect.model, effect.atLeast)
        break
      case 'dispatch':
        dispatch(effect)
        break
      case 'cancel':
        jobs.get(effect.jobId)?.attempts.get(effect.attempt)?.controller.abort(CLOSED)
        break
      case 'schedule':
        timers.schedule(effect.timer, effect.atMs)
        break
      case 'unschedule':
        timers.unschedule(effect.timer)
        break
      case 'compare':
        compare(effect.jobId, effect.left, effect.right)
        break
      case 'trace':
        dispute(effect.jobId, (job) => disputing.trace(job, effect.attempt, post))
        break
      case 'judge':
        dispute(effect.jobId, (job) => disputing.judge(job, effect.left, effect.right))
        break
      case 'recompute':
        dispute(effect.jobId, (job) => disputing.recompute(job))
        break
      case 'endDispute':
        disputing.end(effect.jobId)
        break
      case 'settle':
        settle(effect)
        break
      case 'fail':
        fail(effect.jobId, effect.failure)
        break
      case 'close':
        close(effect.jobId, effect.verdict)
        break
      case 'recordEvidence':
        recordEvidence(effect)
        break
      default:
        effect satisfies never
    }
  }

  function recordEvidence(effect: Extract<RequesterEffect, { type: 'recordEvidence' }>): void {
    const { jobId, provider, evidence, strength } = effect
    parts.onEvidence?.(jobId, provider, evidence)
    const modelClass = jobs.get(jobId)?.spec.model
    // A proof is of no one job, and counted where it was verified.
    if (evidence !== 'fraud-proof' && modelClass !== undefined)
      reputation.record({ provider, modelClass, kind: evidence, jobId, strength })
    if (DISAGREEMENTS.includes(evidence)) book.resulted(provider, false, now())
    else if (evidence === 'agreed') book.resulted(provider, true, now())
    if (evidence !== 'agreed') log.info('evidence against a provider', { provider, evidence })
  }

  /** Whatever a dispute needs is done beside everything else; what comes after the job was closed is nobody's. */
  function dispute(jobId: JobId, act: (job: DisputedJob) => Promise<RequesterEvent>): void {
    const job = jobs.get(jobId)
    if (job === undefined) return
    progress(job, 'disputing')
    act(disputedJob(job)).then(post, (error: unknown) => {
      if (job.controller.signal.aborted || error instanceof DisputeEnded) return
      log.error('a dispute could not be pursued', { jobId, error })
    })
  }

  function startFind(jobId: JobId, model: string, atLeast: number): void {
    const job = jobs.get(jobId)
    if (job === undefined) return
    const tell = (candidates: readonly Candidate[], complete: boolean): void => {
      job.found = Math.max(job.found, candidates.length)
      progress(job, 'finding')
      // How fast somebody is in one lane says nothing of another.
      const measured = isMeasuredLane(job)
        ? candidates
        : candidates.map((candidate) => ({ ...candidate, serviceMs: undefined }))
      post({ type: 'candidatesFound', jobId, candidates: measured, complete })
    }
    find(job, { model, atLeast, signal: job.controller.signal }, (candidates) => tell(candidates, false))
      .then((candidates) => tell(candidates, true))
      .catch((error: unknown) => {
        log.error('a search for providers failed', { jobId, error })
        tell([], true)
      })
  }

  function find(
    { spec, request }: RunningJob,
    search: Parameters<RequesterComponents['find']>[0],
    onFound: (candidates: readonly Candidate[]) => void,
  ): Promise<readonly Candidate[]> {
    if (request.openCall !== true) return components.find(search, onFound)
    const { id: jobId, lane, replicas, referee } = spec
    const { publicDisputes = false, timeoutMs = 0 } = request
    const terms = { replicas, referee, publicDisputes, timeoutMs }
    return components.openCalling.find({ ...search, jobId, lane, terms })
  }

  function dispatch(effect: Extract<RequesterEffect, { type: 'dispatch' }>): void {
    const job = jobs.get(effect.jobId)
    if (job === undefined) return
    const attempt: Attempt = {
      provider: effect.provider,
      controller: new AbortController(),
      answer: undefined,
    }
    job.attempts.set(effect.attempt, attempt)
    progress(job, 'asking')
    ask(job, attempt, effect.deadlineAtMs).then(
      (answer) => {
        attempt.answer = answer
        progress(job, 'answered')
        const outputDigest = Buffer.from(answer.outputDigest).toString('hex')
        const group = book.verifiedGroup(effect.provider)
        post({
          type: 'resultReceived',
          jobId: effect.jobId,
          attempt: effect.attempt,
          outputDigest,
          ...(group === undefined ? {} : { group }),
        })
      },
      (error: unknown) => {
        if (attempt.controller.signal.aborted) return
        if (error instanceof InferenceError && error.code === 'unreachable')
          book.unreachable(effect.provider, now())
        const failure = error instanceof AttemptError ? error.failure : attemptFailure(error)
        if (failure.code === 'unknown-model' && job.barrier !== undefined)
          components.openCalling.disappointed(effect.provider)
        log.debug('a provider did not answer', {
          jobId: effect.jobId.slice(0, 12),
          provider: effect.provider,
          ...failure,
        })
        post({ type: 'requestFailed', jobId: effect.jobId, attempt: effect.attempt, failure })
      },
    )
  }

  async function ask(job: RunningJob, attempt: Attempt, deadlineAtMs: number): Promise<Answer> {
    const { signed } = job
    const startedAtMs = now()
    const leftMs = deadlineAtMs - startedAtMs
    const windowMs = Math.min(job.spec.attemptTimeoutMs, leftMs) * COMMIT_TIMEOUT_PART
    const seat = job.barrier?.join(Math.max(1, Math.min(COMMIT_MS_MAX, windowMs)))
    const commit = seat && committing(seat)
    const ended = book.dispatched(attempt.provider, job.spec.model, now())
    try {
      const reply = await client.request(
        attempt.provider,
        {
          job: signed.envelope,
          jobCommitment: signed.commitment,
          salt: signed.salt,
          inputs: signed.inputs,
          timeoutMs: Math.max(1, leftMs),
          ...(commit === undefined ? {} : { commit }),
        },
        attempt.controller.signal,
      )
      if (reply.kind === 'refused') {
        if (reply.code === 'busy' || reply.code === 'stopping') {
          book.busy(attempt.provider, job.spec.model, now() + reply.retryAfterMs)
        }
        throw new AttemptError({
          code: refusalCode(reply.code),
          message: reply.message,
          retryAfterMs: reply.retryAfterMs,
        })
      }
      const receipt = verifyReceipt(reply.receipt, {
        jobCommitment: signed.commitment,
        provider: attempt.provider,
        outputDigest: reply.outputDigest,
        outputBytes: reply.outputs.byteLength,
        lane: signed.lane,
      })
      if (signed.lane === 'exact' && !isComparable(receipt)) {
        const { version } = receipt.runtime
        throw new AttemptError({
          code: 'refused',
          message: `its exact lane is ${version}, which nothing here can be compared with`,
          retryAfterMs: 0,
        })
      }
      const { outputs, outputDigest } = reply
      // A signature over garbage is good too: what is no output of the model never becomes an answer.
      const tensors = decodeTensors(outputs)
      verifyOutputs(job.manifest.signature, tensors)
      // What others took at the barrier is not its slowness.
      if (isMeasuredLane(job)) ended((commit?.committedAtMs ?? now()) - startedAtMs)
      return { receipt: reply.receipt, outputs, tensors, outputDigest }
    } finally {
      seat?.leave()
      ended()
    }
  }

  function compare(jobId: JobId, left: number, right: number): void {
    const job = jobs.get(jobId)
    const a = job?.attempts.get(left)?.answer
    const b = job?.attempts.get(right)?.answer
    if (job === undefined || a === undefined || b === undefined) return
    compareTensorsGradually(a.outputs, b.outputs, job.signed.tau, () => turn())
      .then((agrees) => post({ type: 'compared', jobId, left, right, agrees }))
      .catch((error: unknown) => {
        // Outputs that cannot be read agree with nothing.
        log.warn('outputs could not be compared', { jobId, error })
        post({ type: 'compared', jobId, left, right, agrees: false })
      })
  }

  function settle(effect: Extract<RequesterEffect, { type: 'settle' }>): void {
    const { jobId, accepted, exact, verdict, wrong } = effect
    const job = jobs.get(jobId)
    const answer = job && acceptedAnswer(job, accepted, exact)
    if (job === undefined || answer === undefined) return
    counts.settled++
    disputing.settled(jobId)
    job.accepted = { ...answer, party: accepted }
    progress(job, 'settled')
    job.settled.resolve({
      jobId,
      model: job.spec.model,
      outputs: answer.tensors,
      verdict,
      ...(wrong === undefined ? {} : { wrong }),
      elapsedMs: performance.now() - job.startedAtMs,
      closed: job.closed.promise,
    })
  }

  /** What a party answered, or, with `exact`, what its exact run gave. */
  function acceptedAnswer(
    job: RunningJob,
    party: Party,
    exact: boolean,
  ): Omit<Answer, 'receipt'> | undefined {
    if (!exact && party !== SELF) return job.attempts.get(party)?.answer
    const decided = disputing.runOf(job.spec.id, party)
    if (decided === undefined) return undefined
    const { outputs, run } = decided
    return { outputs, outputDigest: run.outputDigest, tensors: decodeTensors(outputs) }
  }

  function fail(jobId: JobId, failure: JobFailure): void {
    const job = jobs.get(jobId)
    if (job === undefined) return
    counts.failed++
    job.settled.reject(new JobError(failure))
  }

  function close(jobId: JobId, verdict: Verdict | undefined): void {
    const job = jobs.get(jobId)
    if (job === undefined) return
    jobs.delete(jobId)
    job.controller.abort(CLOSED)
    for (const { controller } of job.attempts.values()) controller.abort(CLOSED)
    if (verdict === undefined) {
      disputing.close(jobId)
      return
    }
    finish(job, verdict).then(job.closed.resolve, job.closed.reject)
  }

  /** What a verdict that rests on a run is shown with: the commitments to that run, and this node's own. */
  function decidedBy({ spec, accepted }: RunningJob, { label, discarded = [] }: Verdict) {
    if (accepted === undefined || (label !== 'refereed' && label !== 'recomputed')) {
      return { traces: [], ownRun: undefined }
    }
    const own = disputing.runOf(spec.id, SELF)?.run
    const run = (label === 'recomputed' ? undefined : disputing.runOf(spec.id, accepted.party)?.run) ?? own
    if (run === undefined) return { traces: [], ownRun: undefined }
    const untold = new Set(
      discarded
        .filter(({ reason }) => !isAnswerAlone(reason) || spec.lane === 'exact')
        .map(({ provider }) => provider),
    )
    const traces = [...disputing.tracesOf(spec.id, run)].filter(([provider]) => !untold.has(provider))
    return {
      traces: traces.map(([, sealed]) => sealed),
      ownRun: own !== undefined && isSameRun(own, run) ? own : undefined,
    }
  }

  function disputedJob(job: RunningJob): DisputedJob {
    return {
      signed: job.signed,
      model: job.spec.model,
      declaredTau: job.manifest.tolerance.tau,
      planRoot: job.manifest.plan?.root ?? '',
      deadlineAtMs: job.spec.deadlineAtMs,
      signal: job.controller.signal,
      isBackground: job.isBackground,
      answers: () =>
        new Map(
          [...job.attempts].flatMap(([number, { provider, answer }]) =>
            answer === undefined ? [] : [[number, { provider, ...answer }] as const],
          ),
        ),
    }
  }

  /** Writes the bundle, if one is wanted, and tells what each provider said. */
  async function finish(job: RunningJob, verdict: Verdict): Promise<ClosedJob> {
    const decided = decidedBy(job, verdict)
    const disputes = [...disputing.reports(job.spec.id)]
    disputing.close(job.spec.id)
    const answers = [...job.attempts.values()].filter((attempt) => attempt.answer !== undefined)
    let bundle: string | undefined
    let bundleError: Error | undefined
    const { accepted } = job
    if (job.request.bundleDirectory !== undefined && accepted !== undefined) {
      try {
        bundle = await writeBundle(
          {
            job: job.signed,
            accepted,
            receipts: answers
              .map(({ provider, answer }) => ({ ...answer!, agreed: verdict.agreed.includes(provider) }))
              // Who gave the right answer and was found out otherwise stands on neither side.
              .filter(({ agreed, outputDigest }) => agreed || !isSame(outputDigest, accepted.outputDigest))
              .map(({ receipt, agreed }) => ({ envelope: receipt, agreed })),
            ...decided,
            verdict,
            closedAtMs: Math.floor(now()),
            digestsOnly: job.request.digestsOnly ?? false,
          },
          { signer, directory: job.request.bundleDirectory },
        )
      } catch (error) {
        bundleError = error instanceof Error ? error : new Error(String(error))
        log.error('the bundle could not be written', { jobId: job.spec.id, error: bundleError })
      }
    }
    if (accepted !== undefined && !job.isBackground) {
      const { model } = job.spec
      if (job.risk !== undefined) reputation.served(job.spec.id, job.risk)
      onClosed({ jobId: job.spec.id, model, verdict, tau: job.signed.tau, bundle })
    }
    progress(job, 'closed')
    return {
      verdict,
      answers: answers.map(({ provider, answer }) => ({
        provider,
        agreed: verdict.agreed.includes(provider),
        outputs: answer!.tensors,
      })),
      disputes,
      bundle,
      bundleError,
    }
  }

  function progress(job: RunningJob, stage: JobProgress['stage']): void {
    if (job.request.onProgress === undefined) return
    const answered = [...job.attempts.values()].filter(({ answer }) => answer !== undefined).length
    job.request.onProgress({
      jobId: job.spec.id,
      stage,
      found: job.found,
      asked: job.attempts.size,
      answered,
    })
  }

  return {
    async submit(request, manifest, { isBackground = false } = {}) {
      const canRecompute = disputing.canRecompute(request.model)
      const terms = verifyTerms(request, manifest, canRecompute)
      const inputs = encodeTensors(request.inputs)
      const startedAtMs = performance.now()
      const nowMs = Math.floor(now())
      const signed = await newJob({
        signer,
        model: request.model,
        inputs,
        lane: terms.lane,
        policy: terms.policy,
        tau: terms.tau,
        createdAtMs: nowMs,
        deadlineAtMs: nowMs + terms.timeoutMs,
        digest: digestSliced,
      })
      const spec: JobSpec = {
        id: signed.id,
        model: request.model,
        replicas: terms.replicas,
        quorum: terms.quorum,
        attemptsMax: terms.attemptsMax,
        deadlineAtMs: nowMs + terms.timeoutMs,
        attemptTimeoutMs: parts.attemptTimeoutMs ?? terms.timeoutMs * ATTEMPT_TIMEOUT_PART,
        observeMs: parts.observeMs ?? Math.min(OBSERVE_DEFAULT_MS, terms.timeoutMs),
        lane: terms.lane,
        referee: terms.referee,
        recompute: drawn(terms.recomputeRate),
        canRecompute,
        ...(terms.instructionSet === undefined ? {} : { instructionSet: terms.instructionSet }),
        ...(terms.doubt === undefined ? {} : { replication: createDoubt(terms.doubt, reputation.params) }),
      }
      const job: RunningJob = {
        spec,
        manifest,
        request,
        signed,
        isBackground,
        risk: terms.doubt?.risk,
        startedAtMs,
        attempts: new Map(),
        controller: new AbortController(),
        settled: Promise.withResolvers<JobResult>(),
        closed: Promise.withResolvers<ClosedJob>(),
        barrier: request.openCall === true ? createCommitBarrier(SYSTEM_CLOCK) : undefined,
        found: 0,
        accepted: undefined,
      }
      jobs.set(spec.id, job)
      const cancel = (): void => post({ type: 'cancelled', jobId: spec.id })
      request.signal?.addEventListener('abort', cancel, { once: true })
      post({ type: 'submitted', job: spec })
      if (request.signal?.aborted) cancel()
      try {
        return await job.settled.promise
      } finally {
        request.signal?.removeEventListener('abort', cancel)
      }
    },
    counts: () => ({ running: jobs.size, ...counts }),
    exposed: (provider) => post({ type: 'exposed', provider }),
    stop() {
      for (const jobId of [...jobs.keys()]) post({ type: 'cancelled', jobId })
      timers.clear()
    },
  }
}

/** Whether the job runs in the lane that its model's announcements and measurements are about. */
function isMeasuredLane({ spec, manifest }: Pick<RunningJob, 'spec' | 'manifest'>): boolean {
  return spec.lane === (manifest.lanes[0] ?? 'native')
}

/** A seat at the barrier as the inference client wants it, which also notes when the provider was ready. */
function committing(seat: Seat) {
  const commit = {
    withinMs: seat.withinMs,
    committedAtMs: undefined as number | undefined,
    barrier: () => {
      commit.committedAtMs = now()
      return seat.committed()
    },
  }
  return commit
}

/** What counts against a provider in the book, which knows only for and against. */
const DISAGREEMENTS: readonly EvidenceKind[] = [
  'disagreed',
  'contradicted-exact',
  'contradicted-replay',
  'lost-dispute',
  'withheld',
  'fraud-proof',
]

/** Whether a receipt is of the very lane that this node runs: others are never compared, and contradict nobody. */
function isComparable({ runtime, stepsDigest }: Receipt): boolean {
  const own = exactRuntimeInfo()
  const isPlain = !runtime.batched && isSame(stepsDigest, NO_STEPS_DIGEST)
  return isPlain && runtime.engine === own.engine && runtime.version === own.version
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

/** Unpredictable: whoever could guess which answers are computed again would lie in the others. */
function drawn(rate: number): boolean {
  return rate > 0 && randomInt(2 ** 32) < rate * 2 ** 32
}

/** One reason for all: making one for every job, with its stack, costs 4 microseconds. */
const CLOSED = new Error('the job is closed')
