/**
 * Turns the requester machine's effects into what happens on the network, and what happens there into its events.
 * All decisions are the machine's; what is here moves bytes, verifies signatures and keeps time.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { type Manifest, verifyOutputs } from '../../models/manifest/index.ts'
import { decodeTensors, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import type { Book } from '../../peers/book/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import { type InferenceClient, InferenceError } from '../../protocols/inference/index.ts'
import { verifyReceipt } from '../../protocols/receipt/index.ts'
import type {
  EvidenceKind,
  JobFailure,
  JobId,
  JobSpec,
  Requester,
  RequesterEffect,
  RequesterEvent,
} from '../requester/index.ts'
import type { Candidate } from '../routing/index.ts'
import { ANSWERS_MAX, compareTensorsGradually, type Verdict } from '../verification/index.ts'
import { AttemptError, attemptFailure, refusalCode } from './attempt-failure.ts'
import { writeBundle } from './bundle.ts'
import { now } from './clock.ts'
import type { NodeParts } from './config.ts'
import { ATTEMPT_TIMEOUT_PART, OBSERVE_DEFAULT_MS, REPLACEMENTS_MAX } from './constants.ts'
import { digestSliced } from './digest.ts'
import { newJob } from './job.ts'
import type { Log } from './log.ts'
import { createMachineLoop } from './machine-loop.ts'
import { type ClosedJob, JobError, type JobProgress, type JobResult, type SubmitRequest } from './node.ts'
import { verifyTerms } from './terms.ts'
import { createTimers } from './timers.ts'

export interface RequesterDriver {
  submit(request: SubmitRequest, manifest: Manifest): Promise<JobResult>
  counts(): { running: number; settled: number; failed: number }
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
  readonly startedAtMs: number
  readonly attempts: Map<number, Attempt>
  readonly controller: AbortController
  readonly settled: PromiseWithResolvers<JobResult>
  readonly closed: PromiseWithResolvers<ClosedJob>
  found: number
  accepted: number | undefined
}

export function createRequesterDriver(components: RequesterComponents): RequesterDriver {
  const { machine, client, signer, book, find, log, parts = {} } = components
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
      case 'trace': {
        const { jobId, attempt } = effect
        post({ type: 'traceFailed', jobId, attempt, code: 'cannot-trace', retryAfterMs: 0 })
        break
      }
      case 'judge':
        // Only traces are judged, and there are none.
        break
      case 'recompute':
        post({ type: 'recomputeFailed', jobId: effect.jobId, message: 'this node runs no exact lane' })
        break
      case 'settle':
        // `self` is accepted only after an own run.
        if (effect.accepted !== 'self') settle(effect.jobId, effect.accepted, effect.verdict)
        break
      case 'fail':
        fail(effect.jobId, effect.failure)
        break
      case 'close':
        close(effect.jobId, effect.verdict)
        break
      case 'recordEvidence':
        recordEvidence(effect.jobId, effect.provider, effect.evidence)
        break
      default:
        effect satisfies never
    }
  }

  function recordEvidence(jobId: JobId, provider: string, evidence: EvidenceKind): void {
    parts.onEvidence?.(jobId, provider, evidence)
    if (evidence === 'agreed' || evidence === 'disagreed')
      book.resulted(provider, evidence === 'agreed', now())
    if (evidence !== 'agreed') log.info('evidence against a provider', { provider, evidence })
  }

  function startFind(jobId: JobId, model: string, atLeast: number): void {
    const job = jobs.get(jobId)
    if (job === undefined) return
    const tell = (candidates: readonly Candidate[], complete: boolean): void => {
      job.found = Math.max(job.found, candidates.length)
      progress(job, 'finding')
      post({ type: 'candidatesFound', jobId, candidates, complete })
    }
    find({ model, atLeast, signal: job.controller.signal }, (candidates) => tell(candidates, false))
      .then((candidates) => tell(candidates, true))
      .catch((error: unknown) => {
        log.error('a search for providers failed', { jobId, error })
        tell([], true)
      })
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
    const ended = book.dispatched(attempt.provider, job.spec.model, now())
    try {
      const reply = await client.request(
        attempt.provider,
        {
          job: signed.envelope,
          jobCommitment: signed.commitment,
          salt: signed.salt,
          inputs: signed.inputs,
          timeoutMs: Math.max(1, deadlineAtMs - now()),
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
      verifyReceipt(reply.receipt, {
        jobCommitment: signed.commitment,
        provider: attempt.provider,
        outputDigest: reply.outputDigest,
        outputBytes: reply.outputs.byteLength,
        lane: signed.lane,
      })
      const { outputs, outputDigest } = reply
      // A signature over garbage is good too: what is no output of the model never becomes an answer.
      const tensors = decodeTensors(outputs)
      verifyOutputs(job.manifest.signature, tensors)
      ended(now() - startedAtMs)
      return { receipt: reply.receipt, outputs, tensors, outputDigest }
    } finally {
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

  function settle(jobId: JobId, accepted: number, verdict: Verdict): void {
    const job = jobs.get(jobId)
    const answer = job?.attempts.get(accepted)?.answer
    if (job === undefined || answer === undefined) return
    counts.settled++
    job.accepted = accepted
    progress(job, 'settled')
    job.settled.resolve({
      jobId,
      model: job.spec.model,
      outputs: answer.tensors,
      verdict,
      elapsedMs: performance.now() - job.startedAtMs,
      closed: job.closed.promise,
    })
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
    if (verdict === undefined) return
    finish(job, verdict).then(job.closed.resolve, job.closed.reject)
  }

  /** Writes the bundle, if one is wanted, and tells what each provider said. */
  async function finish(job: RunningJob, verdict: Verdict): Promise<ClosedJob> {
    const answers = [...job.attempts.values()].filter((attempt) => attempt.answer !== undefined)
    let bundle: string | undefined
    let bundleError: Error | undefined
    const accepted = job.attempts.get(job.accepted ?? -1)?.answer
    if (job.request.bundleDirectory !== undefined && accepted !== undefined) {
      try {
        bundle = await writeBundle(
          {
            job: job.signed,
            accepted,
            receipts: answers.map(({ provider, answer }) => ({
              envelope: answer!.receipt,
              agreed: verdict.agreed.includes(provider),
            })),
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
    progress(job, 'closed')
    return {
      verdict,
      answers: answers.map(({ provider, answer }) => ({
        provider,
        agreed: verdict.agreed.includes(provider),
        outputs: answer!.tensors,
      })),
      disputes: [],
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
    async submit(request, manifest) {
      const terms = verifyTerms(request, manifest)
      const inputs = encodeTensors(request.inputs)
      const startedAtMs = performance.now()
      const nowMs = Math.floor(now())
      const signed = await newJob({
        signer,
        model: request.model,
        inputs,
        replicas: terms.replicas,
        quorum: terms.quorum,
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
        attemptsMax: Math.min(ANSWERS_MAX, terms.replicas + REPLACEMENTS_MAX),
        deadlineAtMs: nowMs + terms.timeoutMs,
        attemptTimeoutMs: parts.attemptTimeoutMs ?? terms.timeoutMs * ATTEMPT_TIMEOUT_PART,
        observeMs: parts.observeMs ?? Math.min(OBSERVE_DEFAULT_MS, terms.timeoutMs),
        lane: 'native',
        referee: false,
        recompute: false,
        canRecompute: false,
      }
      const job: RunningJob = {
        spec,
        manifest,
        request,
        signed,
        startedAtMs,
        attempts: new Map(),
        controller: new AbortController(),
        settled: Promise.withResolvers<JobResult>(),
        closed: Promise.withResolvers<ClosedJob>(),
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
    stop() {
      for (const jobId of [...jobs.keys()]) post({ type: 'cancelled', jobId })
      timers.clear()
    },
  }
}

/** One reason for all: making one for every job, with its stack, costs 4 microseconds. */
const CLOSED = new Error('the job is closed')
