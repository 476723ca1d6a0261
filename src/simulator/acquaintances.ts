/** Whom a simulated requester knows, and what it makes of them for routing. */
import type { Ledger } from '../../peers/reputation/index.ts'
import type { Candidate, Random } from '../routing/index.ts'
import type { Clock } from './clock.ts'
import type { Metrics } from './metrics.ts'
import type { Board, SimProvider } from './provider.ts'

export interface Acquaintances {
  /** Who serves this model, as far as is known, but for `except`: filled up at random. */
  candidates(modelClass: string, except: readonly string[]): Candidate[]
  /** It has answered a request for this model after `tookMs`. */
  served(key: string, modelClass: string, tookMs: number): void
  /** It is not to be asked before. */
  busy(key: string, untilMs: number): void
  /** What is on record of it has changed. */
  changed(key: string): void
  /** It could not be reached. */
  forget(key: string): void
  /** Whoever had `formerKey` announces itself under a new one. */
  renamed(provider: SimProvider, formerKey: string): void
  knows(key: string): boolean
}

export interface AcquaintancesInit {
  /** Of the requester, which does not ask itself. */
  readonly node: number
  readonly world: {
    readonly clock: Clock
    readonly metrics: Metrics
    provider(key: string): SimProvider | undefined
    draw(model: string, random: Random): SimProvider | undefined
  }
  readonly ledger: Ledger
  /** Providers of each model that are remembered at once. */
  readonly knownMax: number
  readonly random: Random
}

/** What is known of a provider; `candidate` is what was made of it last. */
interface Known {
  readonly group: string
  readonly board: Board
  serviceMs: number | undefined
  notBeforeMs: number
  candidate: Candidate | undefined
}

/** Weight of the newest service time. */
const SERVICE_WEIGHT = 0.25

export function createAcquaintances(init: AcquaintancesInit): Acquaintances {
  const { node, world, ledger, knownMax, random } = init
  const { clock, metrics } = world
  /** By model, since what is known of a provider is about what it serves. */
  const known = new Map<string, Map<string, Known>>()

  function meet(modelClass: string): ReadonlyMap<string, Known> {
    const met = known.get(modelClass) ?? new Map<string, Known>()
    known.set(modelClass, met)
    for (let tries = 0; met.size < knownMax && tries < 4 * knownMax; tries++) {
      const drawn = world.draw(modelClass, random)
      if (drawn === undefined || drawn.node === node || met.has(drawn.key)) continue
      acquaint(met, drawn, modelClass)
    }
    return met
  }

  function acquaint(met: Map<string, Known>, { key, group, board }: SimProvider, modelClass: string): void {
    met.set(key, {
      group,
      board: board(modelClass),
      serviceMs: undefined,
      notBeforeMs: 0,
      candidate: undefined,
    })
    metrics.met(key)
  }

  /** Whichever of its models it is about. */
  function* entriesOf(key: string): Generator<Known> {
    for (const modelClass of world.provider(key)?.models ?? []) {
      const entry = known.get(modelClass)?.get(key)
      if (entry !== undefined) yield entry
    }
  }

  function makeCandidate(key: string, entry: Known, modelClass: string): Candidate {
    entry.candidate = {
      provider: key,
      group: entry.group,
      load: entry.board.load,
      rttMs: undefined,
      serviceMs: entry.serviceMs,
      outstanding: 0,
      notBeforeMs: entry.notBeforeMs,
      record: ledger.trackRecord(key, modelClass, clock.nowMs),
      reliability: ledger.reliability(key),
    }
    return entry.candidate
  }

  return {
    candidates(modelClass, except) {
      const candidates: Candidate[] = []
      for (const [key, entry] of meet(modelClass)) {
        if (except.includes(key)) continue
        const { candidate, board } = entry
        // Made anew only where something has changed: every question asks for all that are known.
        const isMade = candidate !== undefined && candidate.load === board.load
        candidates.push(isMade ? candidate : makeCandidate(key, entry, modelClass))
      }
      return candidates
    },
    served(key, modelClass, tookMs) {
      const entry = known.get(modelClass)?.get(key)
      if (entry === undefined) return
      const { serviceMs = tookMs } = entry
      entry.serviceMs = serviceMs + (tookMs - serviceMs) * SERVICE_WEIGHT
    },
    busy(key, untilMs) {
      for (const entry of entriesOf(key)) {
        entry.notBeforeMs = untilMs
        entry.candidate = undefined
      }
    },
    changed(key) {
      for (const entry of entriesOf(key)) entry.candidate = undefined
    },
    forget(key) {
      for (const modelClass of world.provider(key)?.models ?? []) known.get(modelClass)?.delete(key)
    },
    renamed(provider, formerKey) {
      for (const modelClass of provider.models) {
        const met = known.get(modelClass)
        if (met?.delete(formerKey)) acquaint(met, provider, modelClass)
      }
    },
    knows: (key) => !entriesOf(key).next().done,
  }
}
