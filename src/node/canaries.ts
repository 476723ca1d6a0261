/**
 * Canaries: jobs with inputs that are nobody's, so that a proof of fraud about them may be published. A provider that lies
 * to strangers can be shown to all of them, without anybody's data.
 *
 * On the wire a canary is a job like any other: who answers it is drawn as always, and what comes of it is evidence and
 * proofs as always. What tells it from a private job is that it allows publication (`publicDisputes`) and has a referee, and
 * that its content is noise; what does not, its shape, lane, replicas, tolerance and time, and whether it is called out, which
 * are those of the job in whose wake it is sent. So it is hidden best among jobs of a person who lets proofs be published anyway.
 *
 * It is sent after that job has closed, one at a time for each model, and holds nothing up. Nothing is sent that the model
 * refuses or on which this machine's own two lanes part: honest providers would be held to blame.
 */

import { setImmediate as turn } from 'node:timers/promises'
import { sourceOf } from '../../models/catalogue/index.ts'
import type { Manifest } from '../../models/manifest/index.ts'
import type { Lane } from '../../models/runtime/index.ts'
import { encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import type { Random } from '../routing/index.ts'
import { compareTensorsGradually } from '../verification/index.ts'
import { createRecentShapes, drawCanary } from './canary-inputs.ts'
import { CANARIES_MAX, CANARY_CHECK_MS_MAX, CANARY_CHECKS_MAX, REFEREE_REPLICAS } from './constants.ts'
import type { Log } from './log.ts'
import { type CanaryReport, JobError, type JobResult, type ProbeRequest, type SubmitRequest } from './node.ts'

export interface Canaries {
  /** The share of a job's like that are canaries: its own, or this node's. Throws JobError `invalid-job`. */
  rateOf(request: SubmitRequest): number
  /** A person's job has closed with an answer; perhaps a canary follows it. */
  followed(request: SubmitRequest, manifest: Manifest, rate: number): void
  /**
   * Sends one now, after any that is under way for the model. Throws JobError: `invalid-job` where this node cannot judge
   * it or finds no inputs, or what became of the job.
   */
  probe(request: ProbeRequest, manifest: Manifest): Promise<JobResult>
  /** Canaries under way. */
  waiting(): number
  /** Resolves when none is under way. */
  idle(): Promise<void>
  stop(): void
}

export interface CanariesComponents {
  /** Of jobs that say nothing. */
  readonly rate: number
  readonly submit: (request: SubmitRequest, manifest: Manifest) => Promise<JobResult>
  /** Whether this node can judge disputes about the model. */
  readonly holds: (model: string) => boolean
  /** What this machine's own lane of a model gives; undefined where it has none. Rejects with what went wrong. */
  readonly run: (
    model: string,
    lane: Lane,
    inputs: Uint8Array,
    signal: AbortSignal,
  ) => Promise<Uint8Array | undefined>
  /** Unpredictable. */
  readonly random: Random
  /** 32 unpredictable bytes. */
  readonly newKey: () => Uint8Array
  readonly onCanary: (report: CanaryReport) => void
  readonly log: Log
  /** A signal that fires after so long; for tests. */
  readonly timeout?: (ms: number) => AbortSignal
}

export function createCanaries(components: CanariesComponents): Canaries {
  const { rate: nodeRate, submit, holds, run, random, newKey, onCanary, log } = components
  const { timeout = (ms) => AbortSignal.timeout(ms) } = components
  const recent = createRecentShapes()
  /** Whether a model takes noise of that shape; the oldest goes first. */
  const checked = new Map<string, boolean>()
  /** By model. */
  const running = new Map<string, Promise<unknown>>()
  const stopping = new AbortController()

  async function send(request: ProbeRequest, manifest: Manifest): Promise<JobResult> {
    const { model, recomputeRate, ...terms } = request
    if (!holds(model) || manifest.plan === undefined) {
      refuse(
        manifest.plan === undefined
          ? `a canary is for whoever can judge and prove, and ${manifest.name} has no exact lane to do it in`
          : `a canary is for whoever can judge and prove, and this node does not hold ${model}: verimesh models add ${sourceOf(model)}`,
      )
    }
    const signal =
      request.signal === undefined ? stopping.signal : AbortSignal.any([request.signal, stopping.signal])
    const lane = request.lane ?? manifest.lanes[0] ?? 'native'
    const tau = request.tau ?? manifest.tolerance.tau
    const inputs = await inputsFor(model, manifest, { lane, tau }, signal)
    if (inputs === undefined) {
      refuse(
        `no inputs could be drawn that ${manifest.name} takes and on which the lanes of this machine agree: its canaries would blame the honest`,
      )
    }
    return submit(
      {
        ...terms,
        model,
        inputs,
        lane,
        policy: 'referee',
        publicDisputes: true,
        replicas: Math.max(REFEREE_REPLICAS, request.replicas ?? REFEREE_REPLICAS),
        ...(recomputeRate === undefined ? {} : { recomputeRate }),
        signal,
      },
      manifest,
    )
  }

  async function inputsFor(
    model: string,
    { signature }: Manifest,
    { lane, tau }: { readonly lane: Lane; readonly tau: number },
    signal: AbortSignal,
  ): Promise<readonly Tensor[] | undefined> {
    for (const shapes of recent.draw(model, signature, random)) {
      const kind = `${model} ${lane} ${tau} ${JSON.stringify(shapes)}`
      if (checked.get(kind) === false) continue
      const inputs = await drawCanary(signature, shapes, newKey())
      signal.throwIfAborted()
      if (inputs === undefined) continue
      if (!checked.has(kind)) remember(kind, await isHarmless(model, lane, inputs, tau, signal))
      if (checked.get(kind)) return inputs
    }
    return undefined
  }

  /** Whether honest providers will answer alike: the model takes it, and this machine's own lanes agree about it. */
  async function isHarmless(
    model: string,
    lane: Lane,
    inputs: readonly Tensor[],
    tau: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const payload = encodeTensors(inputs)
    const bounded = AbortSignal.any([signal, timeout(CANARY_CHECK_MS_MAX)])
    try {
      const exact = await run(model, 'exact', payload, bounded)
      if (exact === undefined || lane === 'exact') return exact !== undefined
      const native = await run(model, 'native', payload, bounded)
      return native !== undefined && (await compareTensorsGradually(native, exact, tau, () => turn()))
    } catch (error) {
      signal.throwIfAborted()
      log.debug('a canary would not run here, and is not sent', { model, error })
      return false
    }
  }

  function remember(kind: string, isGood: boolean): void {
    checked.set(kind, isGood)
    const [oldest] = checked.keys()
    if (checked.size > CANARY_CHECKS_MAX && oldest !== undefined) checked.delete(oldest)
  }

  /** One at a time for each model. */
  async function inTurn(request: ProbeRequest, manifest: Manifest): Promise<JobResult> {
    const { model } = request
    while (running.has(model)) await running.get(model)
    stopping.signal.throwIfAborted()
    const sent = Promise.withResolvers<void>()
    running.set(model, sent.promise)
    const done = (): void => {
      running.delete(model)
      sent.resolve()
    }
    try {
      const result = await send(request, manifest)
      result.closed.then(done)
      return result
    } catch (error) {
      done()
      throw error
    }
  }

  async function follow(request: ProbeRequest, manifest: Manifest): Promise<void> {
    try {
      const { jobId, model, closed } = await inTurn(request, manifest)
      const { verdict, disputes } = await closed
      const { label, agreed, asked } = verdict
      log.info('a canary came back', {
        jobId,
        model,
        label,
        agreed: agreed.length,
        asked,
        disputes: disputes.length,
      })
      onCanary({ model, jobId, verdict, disputes })
    } catch (error) {
      if (stopping.signal.aborted) return
      log.info('a canary had no answer', { model: request.model, error })
    }
  }

  return {
    rateOf({ canaryRate = nodeRate }) {
      if (canaryRate >= 0 && canaryRate <= 1) return canaryRate
      return refuse(`the share of canaries must be from 0 to 1; got ${canaryRate}`)
    },
    followed(request, manifest, rate) {
      const { model, inputs } = request
      recent.add(model, manifest.signature, inputs)
      if (!(random.next() < rate) || stopping.signal.aborted || !holds(model)) return
      if (running.has(model) || running.size >= CANARIES_MAX) return
      void follow(likeOf(request), manifest)
    },
    probe: inTurn,
    waiting: () => running.size,
    async idle() {
      while (running.size > 0) await Promise.all(running.values())
    },
    stop: () => stopping.abort(new Error('the node stops')),
  }
}

/** The terms of a job, for a canary in its wake. */
function likeOf(request: SubmitRequest): ProbeRequest {
  const { model, lane, replicas, recomputeRate, timeoutMs, tau, openCall } = request
  return {
    model,
    ...(lane === undefined ? {} : { lane }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(recomputeRate === undefined ? {} : { recomputeRate }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(tau === undefined ? {} : { tau }),
    ...(openCall === undefined ? {} : { openCall }),
  }
}

function refuse(message: string): never {
  throw new JobError({ code: 'invalid-job', message, found: 0, needed: 0, attempts: [] })
}
