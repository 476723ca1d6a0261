/** Proofs of fraud as a node has them: kept, verified with the models that it holds, told of and heard of. */
import { join } from 'node:path'
import { exactRuntimeInfo } from '../../models/runtime/index.ts'
import { systemClock } from '../../peers/clock/index.ts'
import {
  createFraudService,
  createProofStore,
  type FraudService,
  type ProofSummary,
} from '../../peers/fraud/index.ts'
import type { Host } from '../../peers/host/index.ts'
import {
  type FraudNotice,
  type FraudVerifier,
  type ProvenFraud,
  verifyFraudProof,
} from '../../protocols/fraud/index.ts'
import { now } from './clock.ts'
import { PROOF_VERIFY_MS } from './constants.ts'
import type { ExactLanes } from './exact-lanes.ts'
import type { Log } from './log.ts'
import { proofsDirectory } from './places.ts'

export interface Proofs {
  /** Serves, tells and hears of proofs; before the host dials anybody. */
  start(host: Host): Promise<void>
  isExposed(peer: string): boolean
  /** What was proved, in earlier runs too. */
  exposed(): readonly ProvenKey[]
  /** Keeps a proof of this node's own, and tells others if the job allows it. */
  publish(proof: ProvenFraud): Promise<void>
  pathOf(accused: string): string
  stop(): Promise<void>
}

/** Whose key was exposed, and by which job. */
export type ProvenKey = Pick<ProofSummary, 'accused' | 'model' | 'jobId'>

export interface ProofsComponents {
  readonly dataDirectory: string
  readonly lanes: ExactLanes
  readonly log: Log
  /** Whether a notice is about something of this node's. */
  readonly concerns: (notice: Pick<FraudNotice, 'model'>) => boolean
  /** A key was exposed, by a proof of this node's own or by another's that it verified. Once a key. */
  readonly onExposed: (proven: ProvenKey) => void
}

export async function openProofs(components: ProofsComponents): Promise<Proofs> {
  const { dataDirectory, lanes, log, concerns, onExposed } = components
  const clock = { ...systemClock, now }
  const directory = proofsDirectory(dataDirectory)
  const store = await createProofStore(directory, { clock, log })
  let service: FraudService | undefined

  return {
    async start(host) {
      service = createFraudService({
        host,
        store,
        verify: (bytes, signal) => verifyFraudProof(bytes, verifierOf(lanes, signal), signal),
        concerns,
        onExposed,
        clock,
        // Spreads what is told; nothing is decided by it.
        random: Math.random,
        log,
      })
      await service.start()
    },
    isExposed: (peer) => store.has(peer),
    exposed: () => store.list(),
    async publish({ bytes, verdict }) {
      // It was verified when it was made: nobody need wait until others are told.
      if (!store.has(verdict.accused)) onExposed(verdict)
      await service?.publish(bytes, AbortSignal.timeout(PROOF_VERIFY_MS))
    },
    pathOf: (accused) => join(directory, `${accused}.proof`),
    stop: async () => service?.stop(),
  }
}

/** With the models that this node holds. */
function verifierOf(lanes: ExactLanes, signal: AbortSignal): FraudVerifier {
  const laneId = exactRuntimeInfo().version
  return {
    laneId,
    modelOf: async (cid) => {
      const runtime = lanes.referee(cid)
      if (runtime === undefined) return undefined
      return { plan: await runtime.plan(signal), laneId, runStep: (...step) => runtime.runStep(...step) }
    },
  }
}
