/**
 * The exact lanes of a node: one process that answers for a model it provides, another that referees. They are apart since
 * what a referee runs comes from strangers, and may end its process. None is started before it is needed.
 */
import { checkExactLane, type LaneJudgement } from '../../models/calibration/index.ts'
import { createExactRuntime, type ExactRuntime } from '../../models/runtime/index.ts'
import type { ModelStore, StoredModel } from '../../models/store/index.ts'
import { REFEREES_MAX } from './constants.ts'
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
}

export function createExactLanes({ store, dataDirectory, create, log }: ExactLanesComponents): ExactLanes {
  const providers = new Map<string, ExactRuntime>()
  /** The one used longest ago comes first. */
  const referees = new Map<string, ExactRuntime>()
  const judgements = new Map<string, Promise<LaneJudgement>>()
  const stopping = new AbortController()

  async function judge(model: StoredModel): Promise<LaneJudgement> {
    const { cid, manifest } = model
    const declared = manifest.plan
    if (declared === undefined) return { ok: false, reason: 'the model has no exact lane' }
    const probe = create(model, 'provider')
    try {
      const laneId = probe.info.version
      const known = await readMeasurement(dataDirectory, cid, laneId)
      if (known !== undefined) return known.exactLane
      const plan = await probe.plan(stopping.signal)
      const root = Buffer.from(plan.root).toString('hex')
      if (root !== declared.root) {
        return {
          ok: false,
          reason: `the plan of its bytes is ${root}, its manifest says ${declared.root}: the manifest is wrong`,
        }
      }
      const exactLane = await checkExactLane(manifest, () => create(model, 'provider'), {
        signal: stopping.signal,
      })
      await writeMeasurement(dataDirectory, cid, { laneId, exactLane }).catch((error: unknown) =>
        log.warn('a measurement could not be kept; it is made again at the next start', { cid, error }),
      )
      return exactLane
    } catch (error) {
      stopping.signal.throwIfAborted()
      return { ok: false, reason: error instanceof Error ? error.message : String(error) }
    } finally {
      await probe.close()
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
    provider(model) {
      let runtime = providers.get(model.cid)
      if (runtime === undefined) {
        runtime = create(model, 'provider')
        providers.set(model.cid, runtime)
      }
      return runtime
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
