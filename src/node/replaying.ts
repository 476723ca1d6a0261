/**
 * Runs a job again on the native lane, to tell a lie from honest hardware: onnxruntime gives the same bits within one
 * version and one instruction-set class, where a run is shared with no other. A native answer that contradicts its own
 * exact run either is what this machine gives too, or is not what its giver says that it is.
 */
import type { Plan } from '../../models/plan/index.ts'
import type { Executed, ModelRuntime, RuntimeInfo } from '../../models/runtime/index.ts'
import type { ModelStore, StoredModel } from '../../models/store/index.ts'
import { NO_STEPS_DIGEST, type Receipt } from '../../protocols/receipt/index.ts'
import type { Replay } from '../requester/index.ts'
import { REPLAY_MS_MAX, REPLAYERS_MAX, REPLAYS_MAX } from './constants.ts'
import type { SignedJob } from './job.ts'
import type { Log } from './log.ts'

export interface Replaying {
  /**
   * What running the job again gives, against the answer that `receipt` is about. Undefined where nothing can be said: this
   * machine is not what the receipt declares, it does not hold the model, the run failed, or took too long. Rejects with
   * the signal's reason only.
   */
  replay(
    job: Pick<SignedJob, 'inputs' | 'inputDigest' | 'salt'>,
    model: { readonly cid: string; readonly plan: Plan },
    receipt: Receipt,
    signal: AbortSignal,
  ): Promise<Replay | undefined>
  /**
   * What this machine's native lane of a model gives for inputs; undefined where it has none. Rejects with RuntimeError, or
   * with the signal's reason.
   */
  run(
    cid: string,
    job: Pick<SignedJob, 'inputs' | 'inputDigest' | 'salt'>,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>
  close(): Promise<void>
}

export interface ReplayingComponents {
  readonly store: Pick<ModelStore, 'get'>
  /**
   * Starts nothing before its first execution. Not the process in which this node provides the model: a replay whose
   * dispute ends is ended with its process.
   */
  readonly create: (model: StoredModel) => ModelRuntime
  readonly log: Log
  /** A signal that fires after so long; for tests. */
  readonly timeout?: (ms: number) => AbortSignal
}

export function createReplaying(components: ReplayingComponents): Replaying {
  const { store, create, log, timeout = (ms) => AbortSignal.timeout(ms) } = components
  /** The one used longest ago comes first. */
  const runtimes = new Map<string, ModelRuntime>()
  let running = 0
  let isClosed = false

  function runtimeOf(cid: string): ModelRuntime | undefined {
    const model = store.get(cid)
    if (isClosed || !model?.manifest.lanes.includes('native')) return undefined
    const runtime = runtimes.get(cid) ?? create(model)
    runtimes.delete(cid)
    runtimes.set(cid, runtime)
    for (const [oldest, unused] of runtimes) {
      if (runtimes.size <= REPLAYERS_MAX) break
      runtimes.delete(oldest)
      // What it is at fails with `closed`, and nothing is said.
      void unused.close()
    }
    return runtime
  }

  async function replay(
    job: Pick<SignedJob, 'inputs' | 'inputDigest' | 'salt'>,
    { cid, plan }: { readonly cid: string; readonly plan: Plan },
    receipt: Receipt,
    signal: AbortSignal,
  ): Promise<Replay | undefined> {
    signal.throwIfAborted()
    if (running >= REPLAYS_MAX || !isFloating(plan)) return undefined
    const runtime = runtimeOf(cid)
    if (runtime === undefined || !isReplayable(receipt, runtime.info)) return undefined
    const bounded = AbortSignal.any([signal, timeout(REPLAY_MS_MAX)])
    running += 1
    try {
      const first = await runAlone(runtime, job, bounded)
      if (same(first.outputDigest, receipt.outputDigest)) return 'same'
      // What is held against somebody else was seen twice: memory fails on this side too.
      const second = await runAlone(runtime, job, bounded)
      if (same(first.outputDigest, second.outputDigest)) return 'elsewhere'
      throw new Error('two runs of one job gave different bits on this machine')
    } catch (error) {
      signal.throwIfAborted()
      log.warn('a native answer could not be replayed, and nothing is held against its giver for that', {
        model: cid,
        error,
      })
      return undefined
    } finally {
      running -= 1
    }
  }

  return {
    replay,
    async run(cid, job, signal) {
      const runtime = runtimeOf(cid)
      return runtime && (await runAlone(runtime, job, signal)).outputs
    },
    async close() {
      isClosed = true
      await Promise.all([...runtimes.values()].map((runtime) => runtime.close()))
    },
  }
}

/** Shared with no other run. Rejects with what went wrong. */
export async function runAlone(
  runtime: Pick<ModelRuntime, 'execute'>,
  { inputs, inputDigest, salt }: Pick<SignedJob, 'inputs' | 'inputDigest' | 'salt'>,
  signal: AbortSignal,
): Promise<Executed> {
  const [outcome] = await runtime.execute([{ inputs, inputDigest, salt }], signal)
  if (outcome === undefined) throw new Error('the runtime gave no outcome')
  if (!outcome.ok) throw outcome.error
  return outcome.value
}

/**
 * Whether a run on `own` has to give the very bits of a receipt. The class has to name a set of kernels, as `x64-avx2` does:
 * `x64` and `arm64` alone stand for whatever processor was not looked at more closely.
 */
export function isReplayable({ runtime, stepsDigest }: Receipt, own: RuntimeInfo): boolean {
  return (
    runtime.lane === 'native' &&
    own.lane === 'native' &&
    !runtime.batched &&
    same(stepsDigest, NO_STEPS_DIGEST) &&
    runtime.engine === own.engine &&
    runtime.version === own.version &&
    runtime.instructionSet === own.instructionSet &&
    own.instructionSet.includes('-')
  )
}

/**
 * Whether a model computes in floating point alone. Products of small integers depend on instructions that processors of one
 * class may or may not have (VNNI); what a `Scan` holds is not looked at.
 */
export function isFloating({ blocks }: Plan): boolean {
  return !blocks.some(({ steps }) => steps.some(({ type }) => NOT_FLOATING.test(type)))
}

const NOT_FLOATING = /quant|QLinear|QAttention|QGemm|Integer|NBits|^Scan$/i

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
