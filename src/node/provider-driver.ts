/**
 * Turns the provider machine's effects into executions and answers. The machine decides what runs when and who is
 * refused; what is here holds the bytes, runs the models and signs.
 */
import { type Executed, type Lane, type ModelRuntime, RuntimeError } from '../../models/runtime/index.ts'
import type { StoredModel } from '../../models/store/index.ts'
import { decodeTensorHeaders, type TensorHeader } from '../../models/tensor/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import type {
  IncomingInference,
  InferenceAnswer,
  InferenceHeader,
  Refusal,
} from '../../protocols/inference/index.ts'
import { NO_STEPS_DIGEST, sealReceipt } from '../../protocols/receipt/index.ts'
import type {
  ModelLoad,
  Provider,
  ProviderEffect,
  ProviderEvent,
  ProviderRefusalCode,
  ProviderRequest,
} from '../provider/index.ts'
import { now } from './clock.ts'
import { CLOCK_SKEW_MAX_MS, PROVIDED_MODELS_MAX } from './constants.ts'
import type { Log } from './log.ts'
import { createMachineLoop } from './machine-loop.ts'
import { createTimers } from './timers.ts'

export interface ProviderDriver {
  /** Takes a model into service in the lane of `runtime`, which is loaded or loads at its first execution. */
  add(model: StoredModel, runtime: ModelRuntime): void
  /** What the inference server asks before it reads a job's inputs. */
  admit(header: InferenceHeader): Refusal | undefined
  /** What the inference server asks with a whole request. */
  answer(request: IncomingInference, signal: AbortSignal): Promise<InferenceAnswer>
  models(): ProvidedModel[]
  /** The lanes of a model in which a job would be taken now, the fast one first. */
  freeLanes(cid: string): Lane[]
  /** Hands back what waits, finishes what runs (until `drainMs` have passed or `hurry` fires), closes the runtimes. */
  stop(drainMs: number, hurry?: AbortSignal): Promise<void>
}

export interface ProviderComponents {
  readonly machine: Provider
  readonly signer: Signer
  readonly log: Log
  /** The lanes of a model, or its load, changed enough to tell the mesh. The load is that of its first lane. */
  readonly announce: (model: string, lanes: readonly Lane[], load: ModelLoad) => void
}

export interface ProvidedModel {
  readonly cid: string
  readonly name: string
  readonly lane: Lane
  readonly load: ModelLoad
  readonly served: number
  readonly refused: number
  readonly backingOff: boolean
}

interface Served {
  readonly model: StoredModel
  readonly runtime: ModelRuntime
  served: number
  refused: number
  backingOff: boolean
}

interface Waiting {
  readonly request: IncomingInference
  /** See `serviceOf`. */
  readonly model: string
  readonly resolve: (answer: InferenceAnswer) => void
}

interface Batch {
  readonly controller: AbortController
  readonly model: string
  readonly startedAtMs: number
  finishedAtMs: number
  executed: readonly (Executed | undefined)[]
  /** One for each entry. */
  readonly jobCommitments: readonly Uint8Array[]
}

export function createProviderDriver(components: ProviderComponents): ProviderDriver {
  const { machine, signer, log, announce } = components
  /** By `serviceOf`: each lane of a model is a service of its own to the machine, with its own queue. */
  const models = new Map<string, Served>()
  const waiting = new Map<string, Waiting>()
  const batches = new Map<number, Batch>()
  /** Answers by job id: bounded by the machine, which says what to forget. */
  const answers = new Map<string, InferenceAnswer>()
  const drained = Promise.withResolvers<void>()
  const timers = createTimers((timer) => post({ type: 'timerExpired', timer }))
  let stopping = false
  let requests = 0

  const post = createMachineLoop<ProviderEvent, ProviderEffect>(machine, perform, (event) => {
    if (event.type === 'executed' || event.type === 'executionFailed') batches.delete(event.batchId)
  })

  function perform(effect: ProviderEffect): void {
    switch (effect.type) {
      case 'execute':
        execute(effect)
        break
      case 'abort':
        batches.get(effect.batchId)?.controller.abort(new DOMException('deadline', 'TimeoutError'))
        break
      case 'respond':
        respond(effect.requestId, effect.batchId, effect.index)
        break
      case 'repeat':
        repeat(effect.requestId, effect.jobId)
        break
      case 'refuse':
        refuse(effect)
        break
      case 'forget':
        answers.delete(effect.jobId)
        break
      case 'schedule':
        timers.schedule(effect.timer, effect.atMs)
        break
      case 'unschedule':
        timers.unschedule(effect.timer)
        break
      case 'announce':
        tell(effect.model)
        break
      case 'drained':
        drained.resolve()
        break
      default:
        effect satisfies never
    }
  }

  /** The native lane speaks for a model that has both: it is what nearly every job asks for. */
  function tell(service: string): void {
    const { model } = models.get(service)!
    const lanes = LANES.filter((lane) => models.has(serviceOf(model.cid, lane)))
    const first = lanes[0]
    if (first === undefined || serviceOf(model.cid, first) !== service) return
    const load = machine.load(service)
    if (load !== undefined) announce(model.cid, lanes, load)
  }

  function execute(effect: Extract<ProviderEffect, { type: 'execute' }>): void {
    const served = models.get(effect.model)
    const requests = effect.requestIds.map((id) => waiting.get(id)?.request)
    if (served === undefined || requests.some((request) => request === undefined)) {
      throw new Error(`the provider machine ran what the driver does not have: ${effect.model}`)
    }
    const batch: Batch = {
      controller: new AbortController(),
      model: effect.model,
      startedAtMs: Math.floor(now()),
      finishedAtMs: 0,
      executed: [],
      jobCommitments: requests.map((request) => request!.jobCommitment),
    }
    batches.set(effect.batchId, batch)
    const executions = requests.map((request) => ({
      inputs: request!.inputs,
      salt: request!.salt,
      inputDigest: request!.job.inputDigest,
    }))
    served.runtime.execute(executions, batch.controller.signal).then(
      (outcomes) => {
        batch.finishedAtMs = Math.floor(now())
        served.backingOff = false
        batch.executed = outcomes.map((outcome) => (outcome.ok ? outcome.value : undefined))
        post({
          type: 'executed',
          batchId: effect.batchId,
          serviceMs: serviceMsOf(batch.executed),
          outcomes: outcomes.map((outcome) =>
            outcome.ok
              ? { ok: true, outputBytes: outcome.value.outputs.byteLength }
              : { ok: false, code: refusalOf(outcome.error), message: outcome.error.message },
          ),
        })
      },
      (error: unknown) => {
        const known = error instanceof RuntimeError ? error : new RuntimeError('run-failed', String(error))
        served.backingOff = known.code === 'crashed' || known.code === 'backing-off'
        log.warn('an execution failed', { model: served.model.manifest.name, code: known.code, error: known })
        post({
          type: 'executionFailed',
          batchId: effect.batchId,
          code: refusalOf(known),
          message: known.message,
          retryAfterMs: known.retryAfterMs,
        })
      },
    )
  }

  function respond(requestId: string, batchId: number, index: number): void {
    const batch = batches.get(batchId)
    const executed = batch?.executed[index]
    const jobCommitment = batch?.jobCommitments[index]
    const served = batch === undefined ? undefined : models.get(batch.model)
    if (
      batch === undefined ||
      executed === undefined ||
      jobCommitment === undefined ||
      served === undefined
    ) {
      throw new Error(
        `the provider machine answered with what was not executed: batch ${batchId}, entry ${index}`,
      )
    }
    const receipt = sealReceipt(signer, {
      jobCommitment,
      outputDigest: executed.outputDigest,
      outputBytes: executed.outputs.byteLength,
      stepsDigest: NO_STEPS_DIGEST,
      runtime: { ...served.runtime.info, batched: executed.batched },
      startedAtMs: batch.startedAtMs,
      finishedAtMs: Math.max(batch.startedAtMs, batch.finishedAtMs),
    })
    const answer: InferenceAnswer = { kind: 'result', outputs: executed.outputs, receipt }
    // Remembered even when nobody listens any more: whoever asks for this job again gets these very bytes.
    answers.set(Buffer.from(jobCommitment).toString('hex'), answer)
    served.served++
    finish(requestId, answer)
  }

  function repeat(requestId: string, jobId: string): void {
    const answer = answers.get(jobId)
    if (answer === undefined) throw new Error(`the provider machine repeats what was forgotten: ${jobId}`)
    finish(requestId, answer)
  }

  function refuse(effect: Extract<ProviderEffect, { type: 'refuse' }>): void {
    const { requestId, code, message, retryAfterMs } = effect
    const served = models.get(waiting.get(requestId)?.model ?? '')
    if (served !== undefined) served.refused++
    finish(requestId, { kind: 'refused', code, message, retryAfterMs })
  }

  function finish(requestId: string, answer: InferenceAnswer): void {
    const entry = waiting.get(requestId)
    waiting.delete(requestId)
    entry?.resolve(answer)
  }

  return {
    add(model, runtime) {
      if (models.size >= PROVIDED_MODELS_MAX * LANES.length)
        throw new Error(`a node provides ${PROVIDED_MODELS_MAX} models at most`)
      const { lane } = runtime.info
      const service = serviceOf(model.cid, lane)
      models.set(service, { model, runtime, served: 0, refused: 0, backingOff: false })
      post({
        type: 'modelReady',
        model: service,
        // The exact lane runs each job alone: a shared run changes the last bits.
        batching: lane === 'native' && model.manifest.batching.independent,
        serviceMsGuess: SERVICE_GUESS_MS,
      })
      if (lane === 'exact' && models.has(serviceOf(model.cid, 'native'))) tell(serviceOf(model.cid, 'native'))
    },

    admit(header) {
      if (stopping)
        return { code: 'stopping', message: 'this node is shutting down: ask another', retryAfterMs: 0 }
      const { model, lane } = header.job
      const service = serviceOf(model, lane)
      if (!models.has(service)) {
        const what = LANES.some((other) => models.has(serviceOf(model, other))) ? ` in the ${lane} lane` : ''
        return {
          code: 'unknown-model',
          message: `this node does not provide ${model}${what}`,
          retryAfterMs: 0,
        }
      }
      if (now() > header.job.deadlineAtMs + CLOCK_SKEW_MAX_MS) {
        return { code: 'expired', message: 'the deadline of this job is long past', retryAfterMs: 0 }
      }
      const load = machine.load(service)
      if (load !== undefined && load.running + load.queued >= load.capacity) {
        return {
          code: 'busy',
          message: `${load.queued} jobs wait here already`,
          retryAfterMs: Math.max(1, Math.ceil(load.serviceMs)),
        }
      }
      return undefined
    },

    answer(request, signal) {
      // It may have gone while its inputs came: the signal tells nobody any more.
      if (signal.aborted) return Promise.resolve(HUNG_UP)
      const { promise, resolve } = Promise.withResolvers<InferenceAnswer>()
      const requestId = String(++requests)
      const service = serviceOf(request.job.model, request.job.lane)
      waiting.set(requestId, { request, model: service, resolve })
      const cancel = (): void => {
        if (!waiting.has(requestId)) return
        post({ type: 'cancelled', requestId })
        // Whatever the machine made of it, nobody listens any more.
        finish(requestId, HUNG_UP)
      }
      signal.addEventListener('abort', cancel, { once: true })
      let asked: ProviderRequest
      try {
        asked = toRequest(
          request,
          requestId,
          request.job.lane === 'native' &&
            (models.get(service)?.model.manifest.batching.independent ?? false),
        )
      } catch (error) {
        finish(requestId, {
          kind: 'refused',
          code: 'invalid-job',
          message: (error as Error).message,
          retryAfterMs: 0,
        })
        return promise
      }
      post({ type: 'requested', request: asked })
      return promise.finally(() => signal.removeEventListener('abort', cancel))
    },

    models: () =>
      [...models.values()].map(({ model, runtime, served, refused, backingOff }) => ({
        cid: model.cid,
        name: model.manifest.name,
        lane: runtime.info.lane,
        load: machine.load(serviceOf(model.cid, runtime.info.lane)) ?? {
          running: 0,
          queued: 0,
          capacity: 0,
          serviceMs: SERVICE_GUESS_MS,
        },
        served,
        refused,
        backingOff,
      })),

    freeLanes: (cid) =>
      LANES.filter((lane) => {
        const load = machine.load(serviceOf(cid, lane))
        const isIdle = models.get(serviceOf(cid, lane))?.backingOff === false && !stopping
        return isIdle && load !== undefined && load.running + load.queued < load.capacity
      }),

    async stop(drainMs, hurry) {
      stopping = true
      post({ type: 'draining' })
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, drainMs)
        hurry?.addEventListener('abort', () => resolve(), { once: true })
      })
      await Promise.race([drained.promise, late])
      clearTimeout(timer)
      await Promise.all([...models.values()].map(({ runtime }) => runtime.close()))
      timers.clear()
    },
  }
}

/** The fast one first. */
const LANES: readonly Lane[] = ['native', 'exact']

/** What the machine calls one lane of a model. */
function serviceOf(cid: string, lane: Lane): string {
  return lane === 'native' ? cid : `${cid}#${lane}`
}

/** Said to nobody. */
const HUNG_UP: InferenceAnswer = {
  kind: 'refused',
  code: 'stopping',
  message: 'the requester hung up',
  retryAfterMs: 0,
}

/** Before anything was measured: between a tiny model and a page's detection. */
const SERVICE_GUESS_MS = 50

function toRequest(request: IncomingInference, requestId: string, batching: boolean): ProviderRequest {
  const headers = decodeTensorHeaders(request.inputs)
  const rows = batching ? sharedRows(headers) : undefined
  return {
    requestId,
    jobId: Buffer.from(request.jobCommitment).toString('hex'),
    requester: request.job.requester,
    model: serviceOf(request.job.model, request.job.lane),
    inputBytes: request.inputs.byteLength,
    batchKey:
      rows === undefined
        ? ''
        : headers.map(({ name, dtype, dims }) => `${name}:${dtype}:${dims.slice(1)}`).join(';'),
    rows: rows ?? 1,
    // The requester's clock may be off; what it allowed counts from now.
    deadlineAtMs: now() + request.timeoutMs,
  }
}

/** What an execution took: once for all that shared a run, and once for each that did not. */
function serviceMsOf(executed: readonly (Executed | undefined)[]): number {
  const known = executed.filter((entry) => entry !== undefined)
  const shared = known.find(({ batched }) => batched)?.serviceMs ?? 0
  return known.reduce((total, { batched, serviceMs }) => total + (batched ? 0 : serviceMs), shared)
}

/** The first dimension that all inputs share, or undefined where they have none. */
function sharedRows(headers: readonly TensorHeader[]): number | undefined {
  const rows = headers[0]?.dims[0]
  return rows !== undefined && rows > 0 && headers.every(({ dims }) => dims[0] === rows) ? rows : undefined
}

/** The one map from what went wrong in a runtime to what the requester is told. */
function refusalOf(error: RuntimeError): ProviderRefusalCode {
  switch (error.code) {
    case 'input-mismatch':
    case 'digest-mismatch':
      return 'invalid-job'
    case 'backing-off':
      return 'busy'
    case 'closed':
      return 'stopping'
    case 'deadline':
    case 'aborted':
      return 'expired'
    case 'load-failed':
    case 'run-failed':
    case 'out-of-memory':
    case 'crashed':
      return 'failed'
    default:
      error.code satisfies never
      return 'failed'
  }
}
