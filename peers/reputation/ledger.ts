/**
 * What this node has seen of providers, kept as a few numbers each: evidence in, track records out. Pure: it only
 * remembers, and time is an argument.
 *
 * What speaks for a provider is kept for each class of models, what speaks against it counts for all of them, and forfeits
 * what was earned. Both are forgotten with time; what was proved is not.
 */
import type { Evidence, EvidenceKind } from './evidence.ts'
import { REPUTATION_PARAMS, type ReputationParams } from './params.ts'
import type { TrackRecord } from './posterior.ts'

export interface Ledger {
  /** Takes in an observation. `atMs` never goes back by more than clocks do. */
  record(evidence: Evidence): void
  trackRecord(provider: string, modelClass: string, nowMs: number): TrackRecord
  /** Share of the jobs that it took which it answered, from 0 to 1, newest first; 1 where nothing is known. */
  reliability(provider: string): number
  /** Everything about one provider; undefined where nothing is known. */
  entry(provider: string): LedgerEntry | undefined
  /** All, in the order in which they were first met. For the store and for exports. */
  entries(): IterableIterator<LedgerEntry>
  /** Puts back what `entries` gave; replaces what is known of that provider. */
  restore(entry: LedgerEntry): void
  readonly size: number
}

/** Plain data. */
export interface LedgerEntry {
  readonly provider: string
  /** Natural logarithm, see `TrackRecord`; as of `atMs`: it has been halving since. */
  readonly suspicion: number
  /** When something last spoke against it; where nothing did, when it was met. */
  readonly atMs: number
  /** What condemned it for good. */
  readonly condemned: Pick<Evidence, 'kind' | 'jobId' | 'atMs'> | undefined
  readonly reliability: number
  readonly classes: readonly ClassEntry[]
  /** How often each kind was seen, without forgetting. */
  readonly counts: Readonly<Partial<Record<EvidenceKind, number>>>
  /** The newest observations, oldest first. */
  readonly recent: readonly Evidence[]
}

export interface ClassEntry {
  readonly modelClass: string
  readonly checked: number
  readonly streak: number
  readonly atMs: number
}

interface Entry {
  readonly provider: string
  suspicion: number
  atMs: number
  condemned: LedgerEntry['condemned']
  reliability: number
  readonly classes: Map<string, { checked: number; streak: number; atMs: number }>
  readonly counts: Map<EvidenceKind, number>
  recent: Evidence[]
}

/** Weight of the newest job in the share that was answered: the last twenty or so count. */
export const RELIABILITY_WEIGHT = 0.05

export function createLedger(params: ReputationParams = REPUTATION_PARAMS): Ledger {
  const entries = new Map<string, Entry>()
  const { trustHalfLifeMs, suspicionHalfLifeMs } = params

  const suspicionAt = ({ condemned, suspicion, atMs }: Entry, nowMs: number): number =>
    condemned === undefined ? suspicion * halved(nowMs - atMs, suspicionHalfLifeMs) : Number.POSITIVE_INFINITY

  function open(provider: string, nowMs: number): Entry {
    const known = entries.get(provider)
    if (known !== undefined) return known
    if (entries.size >= params.providersMax) entries.delete(leastKnown(entries.values()))
    const entry: Entry = {
      provider,
      suspicion: 0,
      atMs: nowMs,
      condemned: undefined,
      reliability: 1,
      classes: new Map(),
      counts: new Map(),
      recent: [],
    }
    entries.set(provider, entry)
    return entry
  }

  function agree(entry: Entry, { modelClass, strength, atMs }: Evidence): void {
    const known = entry.classes.get(modelClass)
    if (known === undefined) {
      if (entry.classes.size >= params.classesMax) entry.classes.delete(oldest(entry.classes))
      entry.classes.set(modelClass, { checked: strength, streak: strength > 0 ? 1 : 0, atMs })
      return
    }
    known.checked = known.checked * halved(atMs - known.atMs, trustHalfLifeMs) + strength
    if (strength > 0) known.streak += 1
    known.atMs = Math.max(known.atMs, atMs)
  }

  function suspect(entry: Entry, { kind, jobId, strength, atMs }: Evidence, weight: number): void {
    // `atMs` tells since when something speaks against it: what weighs nothing leaves it.
    if (!(weight * strength > 0)) return
    if (weight === Number.POSITIVE_INFINITY) entry.condemned ??= { kind, jobId, atMs }
    else entry.suspicion = suspicionAt(entry, atMs) + weight * strength
    entry.atMs = Math.max(entry.atMs, atMs)
    // Trust that was built to be spent is worth nothing once it was.
    entry.classes.clear()
  }

  return {
    record(evidence) {
      const entry = open(evidence.provider, evidence.atMs)
      entry.counts.set(evidence.kind, (entry.counts.get(evidence.kind) ?? 0) + 1)
      entry.recent.push(evidence)
      if (entry.recent.length > params.recentMax) entry.recent.shift()
      const answered = evidence.kind === 'timed-out' || evidence.kind === 'failed' ? 0 : 1
      entry.reliability += (answered - entry.reliability) * RELIABILITY_WEIGHT
      if (evidence.kind === 'agreed') agree(entry, evidence)
      else suspect(entry, evidence, params.suspicion[evidence.kind])
    },
    trackRecord(provider, modelClass, nowMs) {
      const entry = entries.get(provider)
      if (entry === undefined) return { checked: 0, streak: 0, suspicion: 0 }
      const known = entry.classes.get(modelClass)
      return {
        checked: known === undefined ? 0 : known.checked * halved(nowMs - known.atMs, trustHalfLifeMs),
        streak: known?.streak ?? 0,
        suspicion: suspicionAt(entry, nowMs),
      }
    },
    reliability: (provider) => entries.get(provider)?.reliability ?? 1,
    entry: (provider) => {
      const entry = entries.get(provider)
      return entry && describe(entry)
    },
    *entries() {
      for (const entry of entries.values()) yield describe(entry)
    },
    restore(entry) {
      const { provider, suspicion, atMs, condemned, reliability, classes, counts, recent } = entry
      entries.delete(provider)
      const opened = open(provider, atMs)
      Object.assign(opened, { suspicion, atMs, condemned, reliability })
      opened.recent = recent.slice(-params.recentMax)
      for (const { modelClass, ...known } of classes.slice(0, params.classesMax))
        opened.classes.set(modelClass, { ...known })
      for (const [kind, count] of Object.entries(counts)) opened.counts.set(kind as EvidenceKind, count)
    },
    get size() {
      return entries.size
    },
  }
}

function describe(entry: Entry): LedgerEntry {
  const { provider, suspicion, atMs, condemned, reliability, classes, counts, recent } = entry
  return {
    provider,
    suspicion,
    atMs,
    condemned,
    reliability,
    classes: [...classes].map(([modelClass, known]) => ({ modelClass, ...known })),
    counts: Object.fromEntries(counts),
    recent: [...recent],
  }
}

/** What is left after a time. A clock that was set back forgets nothing, and doubles nothing. */
export function halved(elapsedMs: number, halfLifeMs: number): number {
  return elapsedMs <= 0 ? 1 : 2 ** (-elapsedMs / halfLifeMs)
}

/**
 * Who makes room: those of whom nothing but little good is known before those against whom something is, and the least
 * known of them first. Whoever makes keys by the thousand pushes out its own.
 */
function leastKnown(entries: Iterable<Entry>): string {
  let victim: Entry | undefined
  let least = Number.POSITIVE_INFINITY
  for (const entry of entries) {
    const worth = worthOf(entry, entry.classes.values())
    if (victim === undefined || worth < least) [victim, least] = [entry, worth]
  }
  return victim!.provider
}

/** What would be lost with it; infinite where it was proved to lie. */
export function worthOf(
  { condemned, suspicion }: Pick<LedgerEntry, 'condemned' | 'suspicion'>,
  classes: Iterable<Pick<ClassEntry, 'checked'>>,
): number {
  if (condemned !== undefined) return Number.POSITIVE_INFINITY
  let checked = 0
  for (const known of classes) checked += known.checked
  return checked + suspicion * 10
}

function oldest(classes: ReadonlyMap<string, { readonly atMs: number }>): string {
  let [victim, least] = ['', Number.POSITIVE_INFINITY]
  for (const [modelClass, { atMs }] of classes) {
    if (atMs < least) [victim, least] = [modelClass, atMs]
  }
  return victim
}
