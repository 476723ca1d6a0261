/**
 * The exact lanes of a node: one process that answers for a model it provides, another that referees. They are apart since
 * what a referee runs comes from strangers, and may end its process. Referees are started when they are needed; what
 * answers for a provided model, ahead of that where there is memory for it, since whoever asks for a trace waits.
 */
import { checkExactLane, type LaneJudgement, warmExactLane } from '../../models/calibration/index.ts'
import { createExactRuntime, type ExactRuntime } from '../../models/runtime/index.ts'
import type { ModelStore, StoredModel } from '../../models/store/index.ts'
import { REFEREES_MAX, WARM_BYTES_MAX, WARM_FREE_BYTES_MIN, WARM_LANES_MAX } from './constants.ts'
import { untilIdle } from './idleness.ts'
import type { Log } from './log.ts'
import { readMeasurement, writeMeasurement } from './measurements.ts'

export interface ExactLanes {
  /**
   * Whether this machine may sign what the exact lane of a model says: the plan is the manifest's, and two fresh processes
   * traced alike, now or when it was last measured. Rejects only when the node stops.
   */
  judge(model: StoredModel): Promise<LaneJudgement>
  /** What answers and traces for a model that this node provides. */
  provider(model: StoredModel): ExactRuntime
  /**
   * Starts that and runs it once, one model after the other, for the first few, when the machine has time to spare and where
   * memory is free. It may be used meanwhile. Never rejects; resolves when there is nothing more to do about it.
   */
  warm(model: StoredModel): Promise<void>
  /** What judges disputes and proofs about a model of the store; undefined where it is not there or has no plan. */
  referee(cid: string): ExactRuntime | undefined
  /** Whether there is a referee for that model, without starting any. */
  holds(cid: string): boolean
  close(): Promise<void>
}

/**
 * Does what a node does before it first signs a trace of these models, and keeps what it finds beside them: nodes that
 * share the store need not do it again.
 */
export async function checkExactLanes(
  components: Omit<ExactLanesComponents, 'create'>,
  models: readonly StoredModel[],
): Promise<void> {
  const lanes = createExactLanes({
    ...components,
    create: ({ modelPath, manifest }) => createExactRuntime({ modelPath, signature: manifest.signature }),
  })
  try {
    for (const model of models) await lanes.judge(model)
  } finally {
    await lanes.close()
  }
}

export interface ExactLanesComponents {
  readonly store: ModelStore
  /** Where measurements lie. */
  readonly dataDirectory: string
  readonly create: (model: StoredModel, role: 'provider' | 'referee') => ExactRuntime
  readonly log: Log
  /** Memory that a process might still take, in bytes. Default: what the system says. */
  readonly freeBytes?: () => number
  /** Resolves when the machine has time to spare; rejects when the signal is aborted. */
  readonly idle?: (signal: AbortSignal) => Promise<void>
}

/** Whether a provider's process that has nothing to do stays: see `NativeRuntimeInit.isKept`. */
export function isKeptWarm(
  residentBytes: number | undefined,
  freeBytes = process.availableMemory(),
): boolean {
  return (residentBytes ?? 0) <= WARM_BYTES_MAX && freeBytes >= WARM_FREE_BYTES_MIN
}

export function createExactLanes(components: ExactLanesComponents): ExactLanes {
  const {
    store,
    dataDirectory,
    create,
    log,
    freeBytes = () => process.availableMemory(),
    idle = untilIdle,
  } = components
  const providers = new Map<string, ExactRuntime>()
  /** The one used longest ago comes first. */
  const referees = new Map<string, ExactRuntime>()
  const judgements = new Map<string, Promise<LaneJudgement>>()
  const stopping = new AbortController()
  /** Models whose process has run, or is to run ahead. */
  const warmed = new Set<string>()
  let warming: Promise<void> = Promise.resolve()

  function providerOf(model: StoredModel): ExactRuntime {
    let runtime = providers.get(model.cid)
    if (runtime === undefined) {
      runtime = create(model, 'provider')
      providers.set(model.cid, runtime)
    }
    return runtime
  }

  async function judge(model: StoredModel): Promise<LaneJudgement> {
    const { cid, manifest } = model
    const declared = manifest.plan
    if (declared === undefined) return { ok: false, reason: 'the model has no exact lane' }
    // One of the two fresh processes: it has run nothing before, and goes on to answer if all is well.
    const own = providerOf(model)
    let isOk = false
    try {
      const laneId = own.info.version
      const known = await readMeasurement(dataDirectory, cid, laneId)
      if (known !== undefined) {
        isOk = known.exactLane.ok
        return known.exactLane
      }
      const plan = await own.plan(stopping.signal)
      const root = Buffer.from(plan.root).toString('hex')
      if (root !== declared.root) {
        return {
          ok: false,
          reason: `the plan of its bytes is ${root}, its manifest says ${declared.root}: the manifest is wrong`,
        }
      }
      let fresh: ExactRuntime | undefined = { ...own, close: async () => {} }
      const next = (): ExactRuntime => {
        const given = fresh ?? create(model, 'provider')
        fresh = undefined
        return given
      }
      const exactLane = await checkExactLane(manifest, next, { signal: stopping.signal })
      isOk = exactLane.ok
      if (isOk) warmed.add(cid)
      await writeMeasurement(dataDirectory, cid, { laneId, exactLane }).catch((error: unknown) =>
        log.warn('a measurement could not be kept; it is made again at the next start', { cid, error }),
      )
      return exactLane
    } catch (error) {
      stopping.signal.throwIfAborted()
      return { ok: false, reason: error instanceof Error ? error.message : String(error) }
    } finally {
      if (!isOk) {
        providers.delete(cid)
        await own.close()
      }
    }
  }

  async function warmUp(model: StoredModel): Promise<void> {
    const { cid, manifest } = model
    if (stopping.signal.aborted || warmed.has(cid) || warmed.size >= WARM_LANES_MAX) return
    try {
      // What nobody has asked for yet must not slow what somebody has.
      await idle(stopping.signal)
      if (freeBytes() < WARM_FREE_BYTES_MIN) return
      warmed.add(cid)
      await warmExactLane(manifest, providerOf(model), stopping.signal)
    } catch (error) {
      // Whoever needs it is told then.
      log.debug('the exact lane was not run ahead', { model: manifest.name, error })
    }
  }

  return {
    judge(model) {
      let judgement = judgements.get(model.cid)
      if (judgement === undefined) {
        judgement = judge(model)
        judgements.set(model.cid, judgement)
      }
      return judgement
    },
    provider: providerOf,
    warm(model) {
      warming = warming.then(() => warmUp(model))
      return warming
    },
    referee(cid) {
      if (stopping.signal.aborted) return undefined
      const model = store.get(cid)
      if (model?.manifest.plan === undefined) return undefined
      const runtime = referees.get(cid) ?? create(model, 'referee')
      referees.delete(cid)
      referees.set(cid, runtime)
      for (const [oldest, unused] of referees) {
        if (referees.size <= REFEREES_MAX) break
        referees.delete(oldest)
        // What it is at fails with `closed`: undecided, and asked again.
        void unused.close()
      }
      return runtime
    },
    holds: (cid) => store.get(cid)?.manifest.plan !== undefined,
    async close() {
      stopping.abort(new Error('the node stops'))
      await Promise.all([...providers.values(), ...referees.values()].map((runtime) => runtime.close()))
    },
  }
}
