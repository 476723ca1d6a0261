/**
 * What several processes of one node have seen, made one. Pure.
 *
 * `mergeEntries` adds what one process saw since it last told to what is kept: nothing is lost, and nothing counts twice as
 * long as each observation is told once. `joinEntries` takes two states that may hold the same observations, as an import
 * and what is there, and keeps of each number the weightier: joining twice changes nothing.
 */
import type { Evidence, EvidenceKind } from './evidence.ts'
import { type ClassEntry, halved, type LedgerEntry, RELIABILITY_WEIGHT } from './ledger.ts'
import { REPUTATION_PARAMS, type ReputationParams } from './params.ts'

/**
 * What is kept of a provider with what was seen of it since, which a ledger that began empty holds: as if one ledger had
 * seen it all, up to which of two processes was first. Both are about one provider.
 */
export function mergeEntries(
  kept: LedgerEntry,
  since: LedgerEntry,
  params: ReputationParams = REPUTATION_PARAMS,
): LedgerEntry {
  const counts = new Map<EvidenceKind, number>()
  for (const [kind, count] of [...countsOf(kept), ...countsOf(since)])
    counts.set(kind, (counts.get(kind) ?? 0) + count)
  let seen = 0
  for (const [, count] of countsOf(since)) seen += count
  // The share of answered jobs is a moving average, and `since` began at 1.
  const left = (1 - RELIABILITY_WEIGHT) ** seen
  return {
    provider: kept.provider,
    ...suspicionOf(kept, since, (left, right) => left + right, params),
    condemned: earlier(kept.condemned, since.condemned),
    reliability: Math.min(1, Math.max(0, kept.reliability * left + since.reliability - left)),
    classes: bounded(mergeClasses(kept, since, params), params),
    counts: Object.fromEntries(counts),
    recent: newest([...kept.recent, ...since.recent], params),
  }
}

/** Two states of one provider that may rest on the same observations: of each number the one that says more. */
export function joinEntries(
  left: LedgerEntry,
  right: LedgerEntry,
  params: ReputationParams = REPUTATION_PARAMS,
): LedgerEntry {
  const counts = new Map<EvidenceKind, number>()
  for (const [kind, count] of [...countsOf(left), ...countsOf(right)])
    counts.set(kind, Math.max(counts.get(kind) ?? 0, count))
  const classes = new Map<string, ClassEntry>()
  for (const entry of [...trusted(left, right), ...trusted(right, left)]) {
    const known = classes.get(entry.modelClass)
    classes.set(entry.modelClass, known === undefined ? entry : weightier(known, entry, params))
  }
  return {
    provider: left.provider,
    ...suspicionOf(left, right, Math.max, params),
    condemned: earlier(left.condemned, right.condemned),
    reliability: Math.min(left.reliability, right.reliability),
    classes: bounded([...classes.values()], params),
    counts: Object.fromEntries(counts),
    recent: newest(distinct([...left.recent, ...right.recent]), params),
  }
}

/** What was earned before something spoke against the provider is forfeited, whichever process saw which. */
function mergeClasses(
  kept: LedgerEntry,
  since: LedgerEntry,
  { trustHalfLifeMs }: ReputationParams,
): ClassEntry[] {
  const classes = new Map<string, ClassEntry>()
  // A class that was kept tells only when its last run was: earlier ones cannot be taken out of it.
  if (!isSuspected(since)) for (const entry of kept.classes) classes.set(entry.modelClass, entry)
  for (const entry of trusted(since, kept)) {
    const { modelClass, streak } = entry
    const known = classes.get(modelClass)
    if (known === undefined) {
      classes.set(modelClass, entry)
      continue
    }
    const atMs = Math.max(known.atMs, entry.atMs)
    const checkedOf = (one: ClassEntry): number => one.checked * halved(atMs - one.atMs, trustHalfLifeMs)
    classes.set(modelClass, {
      modelClass,
      checked: checkedOf(known) + checkedOf(entry),
      streak: known.streak + streak,
      atMs,
    })
  }
  return [...classes.values()]
}

/** Classes of `entry` but those that are older than what `other` holds against the provider. */
function trusted(entry: LedgerEntry, other: LedgerEntry): readonly ClassEntry[] {
  return isSuspected(other) ? entry.classes.filter(({ atMs }) => atMs >= other.atMs) : entry.classes
}

/** What speaks against it, and since when: who has nothing to say of that does not make it younger. */
function suspicionOf(
  left: LedgerEntry,
  right: LedgerEntry,
  both: (left: number, right: number) => number,
  { suspicionHalfLifeMs }: ReputationParams,
): Pick<LedgerEntry, 'suspicion' | 'atMs'> {
  if (!isSuspected(right)) return { suspicion: left.suspicion, atMs: left.atMs }
  if (!isSuspected(left)) return { suspicion: right.suspicion, atMs: right.atMs }
  const atMs = Math.max(left.atMs, right.atMs)
  const at = (entry: LedgerEntry) => entry.suspicion * halved(atMs - entry.atMs, suspicionHalfLifeMs)
  return { suspicion: both(at(left), at(right)), atMs }
}

function isSuspected({ suspicion, condemned }: LedgerEntry): boolean {
  return suspicion > 0 || condemned !== undefined
}

function weightier(left: ClassEntry, right: ClassEntry, { trustHalfLifeMs }: ReputationParams): ClassEntry {
  const atMs = Math.max(left.atMs, right.atMs)
  const checkedOf = (one: ClassEntry): number => one.checked * halved(atMs - one.atMs, trustHalfLifeMs)
  return {
    modelClass: left.modelClass,
    checked: Math.max(checkedOf(left), checkedOf(right)),
    streak: Math.max(left.streak, right.streak),
    atMs,
  }
}

function earlier(left: LedgerEntry['condemned'], right: LedgerEntry['condemned']): LedgerEntry['condemned'] {
  if (left === undefined || right === undefined) return left ?? right
  return right.atMs < left.atMs ? right : left
}

/** In the order in which they came, without those of longest ago where they are too many. */
function bounded(classes: readonly ClassEntry[], { classesMax }: ReputationParams): readonly ClassEntry[] {
  if (classes.length <= classesMax) return classes
  const kept = new Set(classes.toSorted((a, b) => b.atMs - a.atMs).slice(0, classesMax))
  return classes.filter((entry) => kept.has(entry))
}

function newest(recent: readonly Evidence[], { recentMax }: ReputationParams): readonly Evidence[] {
  return recent.toSorted((a, b) => a.atMs - b.atMs).slice(-recentMax)
}

function distinct(recent: readonly Evidence[]): readonly Evidence[] {
  const known = new Map(recent.map((evidence) => [JSON.stringify(Object.entries(evidence).sort()), evidence]))
  return [...known.values()]
}

function countsOf({ counts }: LedgerEntry): [EvidenceKind, number][] {
  return Object.entries(counts) as [EvidenceKind, number][]
}
