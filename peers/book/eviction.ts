import { PEERS_MAX, PEERS_PER_GROUP_MAX, UNVERIFIED_PEERS_MAX } from './constants.ts'
import { isLive, type PeerEntry } from './entry.ts'

/**
 * Who goes when the book is full. Keys are free, so nothing that only a key says may push out anything that costs
 * more than a key. From cheap to dear, a peer is
 * - *unverified*: it was announced by gossip, its address may be invented;
 * - *verified*: we are or were connected to it, so its address group is real;
 * - *proven*: it gave results, or works for us now.
 * A newcomer takes the place of somebody cheaper, or of somebody as cheap who is no longer alive. Among the living of
 * one class the one who came first stays. Verified peers of one group are limited, so one owner of many keys can
 * only push out its own.
 */
export function makeRoom(
  peers: ReadonlyMap<string, PeerEntry>,
  newcomer: PeerEntry,
  exemptGroup: (entry: PeerEntry) => boolean,
  nowMs: number,
): { readonly admit: boolean; readonly evict: PeerEntry | undefined } {
  const others = [...peers.values()].filter((entry) => entry !== newcomer)
  if (newcomer.verified && !isProven(newcomer) && !exemptGroup(newcomer)) {
    const sameGroup = others.filter((entry) => entry.verified && entry.group === newcomer.group)
    if (sameGroup.length >= PEERS_PER_GROUP_MAX) {
      const victim = leastUseful(sameGroup, newcomer, nowMs)
      return { admit: victim !== undefined, evict: victim }
    }
  }
  if (!newcomer.verified) {
    const unverified = others.filter((entry) => !entry.verified)
    if (unverified.length >= UNVERIFIED_PEERS_MAX) {
      const victim = leastUseful(unverified, newcomer, nowMs)
      return { admit: victim !== undefined, evict: victim }
    }
  }
  if (others.length < PEERS_MAX) return { admit: true, evict: undefined }
  const victim = leastUseful(others, newcomer, nowMs)
  return { admit: victim !== undefined, evict: victim }
}

function leastUseful(
  entries: readonly PeerEntry[],
  newcomer: PeerEntry,
  nowMs: number,
): PeerEntry | undefined {
  const limit = classOf(newcomer)
  let victim: PeerEntry | undefined
  for (const entry of entries) {
    if (entry.outstanding > 0) continue
    const rank = classOf(entry)
    if (rank > limit || (rank === limit && isAlive(entry, nowMs))) continue
    if (victim === undefined || compareUse(entry, victim, nowMs) < 0) victim = entry
  }
  return victim
}

function compareUse(left: PeerEntry, right: PeerEntry, nowMs: number): number {
  return (
    classOf(left) - classOf(right) ||
    Number(isAlive(left, nowMs)) - Number(isAlive(right, nowMs)) ||
    left.touchedAtMs - right.touchedAtMs ||
    (left.peerId < right.peerId ? -1 : 1)
  )
}

function classOf(entry: PeerEntry): 0 | 1 | 2 {
  if (isProven(entry)) return 2
  return entry.verified ? 1 : 0
}

function isProven(entry: PeerEntry): boolean {
  return entry.results > entry.disagreed || entry.outstanding > 0
}

function isAlive(entry: PeerEntry, nowMs: number): boolean {
  if (entry.connected) return true
  for (const model of entry.models.values()) {
    if (isLive(model, nowMs) || nowMs < model.foundUntilMs) return true
  }
  return false
}
