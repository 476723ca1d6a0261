/**
 * What this node makes of what it sees of others: evidence goes in, records for routing and standings for people come out, and
 * whoever is found out is told of once.
 */

import { systemClock } from '../../peers/clock/index.ts'
import {
  createPosterior,
  type Evidence,
  type LedgerEntry,
  openReputation,
  REPUTATION_PARAMS,
  type ReputationParams,
  type Standing,
  standingOf,
  type TrackRecord,
  worthOf,
} from '../../peers/reputation/index.ts'
import { now } from './clock.ts'
import { FOUND_OUT_MAX, RECHECKED_JOBS_MAX } from './constants.ts'
import type { Log } from './log.ts'
import type { ExplainedStanding } from './node.ts'

export interface NodeReputation {
  readonly params: ReputationParams
  /** Takes in what this node has seen itself; `atMs` is now. Never waits. */
  record(evidence: Omit<Evidence, 'atMs'>): void
  /** A proof against a key was verified, wherever it came from. It counts once. */
  proved(proof: Pick<Evidence, 'provider' | 'modelClass' | 'jobId'>): void
  trackRecord(provider: string, model: string): TrackRecord
  /** See `Ledger`. */
  reliability(provider: string): number
  /** Undefined of whom nothing is known. */
  standing(provider: string): ExplainedStanding | undefined
  /** Of at most `max` of those who are remembered: first those against whom something speaks, then the best known. */
  remembered(max: number): readonly Standing[]
  /** Keys that were proved to have lied, in earlier runs too. */
  condemned(): readonly string[]
  /** Whoever was found out, in whatever run, and is not forgotten. */
  foundOut(): readonly string[]
  /** An answer was served whose owner accepts that risk: what may be left of it when somebody is found out. */
  served(jobId: string, risk: number): void
  /** Whether the word of these, without those who were found out, is enough for the risk that the job's owner accepts. */
  suffices(jobId: string, model: string, providers: readonly string[]): boolean
  /** Writes what is left. */
  close(): Promise<void>
}

export interface ReputationComponents {
  readonly dataDirectory: string
  readonly log: Log
  /** Default `REPUTATION_PARAMS`. */
  readonly params?: ReputationParams
  /**
   * Somebody was found out: proved to have lied (`isProved`), or so doubtful that it is shunned. Once a key for each, also
   * where another process of this node saw it.
   */
  readonly onFoundOut: (provider: string, isProved: boolean) => void
}

/** Rejects with ReputationError `newer-version`. */
export async function openNodeReputation(components: ReputationComponents): Promise<NodeReputation> {
  const { dataDirectory, log, params = REPUTATION_PARAMS, onFoundOut } = components
  const clock = { ...systemClock, now }
  const posterior = createPosterior(params)
  /** By provider, whether it was proved. */
  const foundOut = new Map<string, boolean>()
  const risks = new Map<string, number>()
  let isOpen = false
  const store = await openReputation(dataDirectory, { clock, log, params, onTaken: look })
  const { ledger } = store
  for (const entry of ledger.entries()) look(entry)
  isOpen = true

  function isShunned({ provider, condemned, classes }: LedgerEntry): boolean {
    if (condemned !== undefined) return true
    // What speaks against somebody counts for all classes, and has forfeited what spoke for it in any.
    const modelClass = classes[0]?.modelClass ?? ''
    return posterior.saboteur(ledger.trackRecord(provider, modelClass, now())) >= params.shunnedAt
  }

  /** Who was found out before this process began is known, and told to nobody. */
  function look(entry: LedgerEntry): void {
    const { provider, condemned } = entry
    const isProved = condemned !== undefined
    const known = foundOut.get(provider)
    if (known === true || known === isProved || !isShunned(entry)) return
    foundOut.delete(provider)
    foundOut.set(provider, isProved)
    const [oldest] = foundOut.keys()
    if (foundOut.size > FOUND_OUT_MAX && oldest !== undefined) foundOut.delete(oldest)
    if (isOpen) onFoundOut(provider, isProved)
  }

  function record(evidence: Omit<Evidence, 'atMs'>): void {
    store.record({ ...evidence, atMs: now() })
    if (evidence.kind === 'agreed') return
    const entry = ledger.entry(evidence.provider)
    if (entry !== undefined) look(entry)
  }

  function standing(entry: LedgerEntry): Standing {
    const nowMs = now()
    return standingOf(entry, (model) => ledger.trackRecord(entry.provider, model, nowMs), params)
  }

  return {
    params,
    record,
    proved(proof) {
      const known = ledger.entry(proof.provider)?.counts['fraud-proof'] ?? 0
      if (known === 0) record({ ...proof, kind: 'fraud-proof', strength: 1 })
    },
    trackRecord: (provider, model) => ledger.trackRecord(provider, model, now()),
    reliability: (provider) => ledger.reliability(provider),
    standing(provider) {
      const entry = ledger.entry(provider)
      return entry && { ...standing(entry), recent: entry.recent }
    },
    remembered: (max) =>
      [...ledger.entries()]
        .sort((a, b) => rankOf(a) - rankOf(b) || worthOf(b, b.classes) - worthOf(a, a.classes))
        .slice(0, max)
        .map(standing),
    condemned: () =>
      [...ledger.entries()].flatMap(({ provider, condemned }) => (condemned === undefined ? [] : provider)),
    foundOut: () => [...foundOut.keys()],
    served(jobId, risk) {
      risks.set(jobId, risk)
      const [oldest] = risks.keys()
      if (risks.size > RECHECKED_JOBS_MAX && oldest !== undefined) risks.delete(oldest)
    },
    suffices(jobId, model, providers) {
      const risk = risks.get(jobId)
      if (risk === undefined) return false
      const left = providers.filter((provider) => !foundOut.has(provider))
      return posterior.wrong(left.map((provider) => ledger.trackRecord(provider, model, now()))) <= risk
    },
    close: () => store.close(),
  }
}

/** Who was proved to lie, whoever else something speaks against, the others. */
function rankOf({ condemned, suspicion }: LedgerEntry): number {
  return condemned !== undefined ? 0 : suspicion > 0 ? 1 : 2
}
