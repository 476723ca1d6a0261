import {
  ADDRESS_LENGTH_MAX,
  ADDRESSES_PER_PEER_MAX,
  FOUND_TTL_MS,
  MODELS_PER_PEER_MAX,
  TTL_MS_MAX,
} from './constants.ts'
import {
  type AnnouncedModel,
  addRtt,
  addressesOf,
  addServiceTime,
  createModelEntry,
  createPeerEntry,
  hasLeft,
  isLive,
  type ModelEntry,
  markUnreachable,
  medianServiceMs,
  type PeerEntry,
  rttMsOf,
} from './entry.ts'
import { makeRoom } from './eviction.ts'
import { addressGroup, type GroupOptions } from './group.ts'

/** A provider that could take a job, as the book knows it at one moment. Equal in shape to routing's `Candidate`. */
export interface ProviderCandidate {
  readonly provider: string
  /** Keys that are probably one owner's: an IPv4 /24, an IPv6 /48, or the key itself where addresses are exempt. */
  readonly group: string
  /** Announced; undefined when nothing was announced lately. */
  readonly load:
    | {
        readonly running: number
        readonly queued: number
        readonly capacity: number
        readonly serviceMs: number
      }
    | undefined
  /** Measured by ourselves. */
  readonly rttMs: number | undefined
  readonly serviceMs: number | undefined
  /** Requests of ours that it is working on, for any model. */
  readonly outstanding: number
  readonly notBeforeMs: number
  /** Announced; left out when nothing was announced lately. */
  readonly lanes?: readonly string[]
  readonly instructionSet?: string
}

/** One peer as `verimesh peers` shows it. */
export interface PeerView {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly group: string
  readonly connected: boolean
  readonly rttMs: number | undefined
  /** Announced and alive, by CID. */
  readonly models: readonly {
    readonly cid: string
    readonly lanes: readonly string[]
    readonly instructionSet: string
    readonly running: number
    readonly queued: number
    readonly capacity: number
    /** Measured by ourselves if it ever was, else announced. */
    readonly serviceMs: number
    readonly expiresAtMs: number
  }[]
  readonly results: number
  readonly disagreed: number
}

/** `full`: the book is full of peers that are worth more. `stale`: the sequence does not rise. */
export type NoteOutcome = 'noted' | 'stale' | 'full'

/**
 * What this node knows of other peers. It only remembers: it does no I/O, and time is an argument (milliseconds, any
 * one clock). Everything is bounded, and what others claim can't push out what this node has seen itself.
 */
export class Book {
  readonly #groups: GroupOptions
  readonly #peers = new Map<string, PeerEntry>()

  constructor(groups: GroupOptions = { exemptPrivate: true }) {
    this.#groups = groups
  }

  /** Takes an announcement whose author was verified. It lives for its own `ttlMs`, two minutes at most, from now. */
  announced(peerId: string, announcement: AnnouncedModel, nowMs: number): NoteOutcome {
    const known = this.#peers.get(peerId)?.models.get(announcement.model)
    if (known !== undefined && announcement.sequence <= known.sequence) return 'stale'
    const peer = this.#peer(peerId, nowMs)
    const model = peer === undefined ? undefined : this.#model(peer, announcement.model, nowMs)
    if (peer === undefined || model === undefined) return 'full'
    model.announced = announcement
    model.sequence = announcement.sequence
    model.expiresAtMs = nowMs + Math.min(announcement.ttlMs, TTL_MS_MAX)
    if (announcement.leaving) model.foundUntilMs = 0
    this.#addAddresses(peer, 'ownAddresses', announcement.multiaddrs)
    return 'noted'
  }

  /** A provider record of the DHT names this peer. Says nothing about whether it still lives. */
  found(peerId: string, model: string, multiaddrs: readonly string[], nowMs: number): NoteOutcome {
    const peer = this.#peer(peerId, nowMs)
    const entry = peer === undefined ? undefined : this.#model(peer, model, nowMs)
    if (peer === undefined || entry === undefined) return 'full'
    if (!hasLeft(entry)) entry.foundUntilMs = nowMs + FOUND_TTL_MS
    this.#addAddresses(peer, 'hearsay', multiaddrs)
    return 'noted'
  }

  /** A connection to `peerId` is open; `remoteAddress` is where it comes from, which decides its group from now on. */
  connected(peerId: string, remoteAddress: string, nowMs: number): NoteOutcome {
    const entry = this.#peers.get(peerId) ?? createPeerEntry(peerId, nowMs)
    const isNew = !entry.verified
    entry.group = addressGroup(remoteAddress, this.#groups) ?? peerId
    entry.connected = true
    entry.verified = true
    entry.unreachableInARow = 0
    entry.notBeforeMs = 0
    entry.touchedAtMs = nowMs
    if (isNew && !this.#admit(entry, nowMs)) {
      this.#peers.delete(peerId)
      return 'full'
    }
    this.#peers.set(peerId, entry)
    return 'noted'
  }

  /** The connected peer says where it listens. Ignored for peers that the book does not know. */
  addressed(peerId: string, multiaddrs: readonly string[]): void {
    const entry = this.#peers.get(peerId)
    if (entry !== undefined) this.#addAddresses(entry, 'ownAddresses', multiaddrs)
  }

  /** The last connection closed. What it announced stays until it expires: it may be dialled again. */
  disconnected(peerId: string): void {
    const entry = this.#peers.get(peerId)
    if (entry !== undefined) entry.connected = false
  }

  /** It could not be dialled: it is no candidate until it announces itself again, and gets a growing pause. */
  unreachable(peerId: string, nowMs: number): void {
    const entry = this.#peers.get(peerId)
    if (entry !== undefined) markUnreachable(entry, nowMs)
  }

  /** It refused as busy: not before `untilMs`, for this model. */
  busy(peerId: string, model: string, untilMs: number): void {
    const entry = this.#peers.get(peerId)?.models.get(model)
    if (entry !== undefined) entry.notBeforeMs = Math.max(entry.notBeforeMs, untilMs)
  }

  rttMeasured(peerId: string, rttMs: number): void {
    const entry = this.#peers.get(peerId)
    if (entry !== undefined) addRtt(entry, rttMs)
  }

  /**
   * A request goes out. Call the returned function once it has ended, however it ended; more calls do nothing. With
   * `elapsedMs`, from sending to receiving, where it brought an answer: less the round trip, and shared by those of
   * our requests that were there before, that is how long the peer takes for one. Its own word would be a claim.
   */
  dispatched(peerId: string, model: string, nowMs: number): (elapsedMs?: number) => void {
    const peer = this.#peer(peerId, nowMs)
    const entry = peer === undefined ? undefined : this.#model(peer, model, nowMs)
    if (peer === undefined || entry === undefined) return () => {}
    let open = true
    const ahead = peer.outstanding
    peer.outstanding++
    entry.outstanding++
    return (elapsedMs) => {
      if (!open) return
      open = false
      peer.outstanding--
      entry.outstanding--
      if (elapsedMs === undefined) return
      // No way is longer than the way and the work together.
      if (elapsedMs < (rttMsOf(peer) ?? 0)) addRtt(peer, elapsedMs)
      addServiceTime(entry, (elapsedMs - (rttMsOf(peer) ?? 0)) / (ahead + 1), nowMs + elapsedMs)
    }
  }

  /** It gave a result, which agreed with the accepted one or not. */
  resulted(peerId: string, agreed: boolean, nowMs: number): void {
    const entry = this.#peers.get(peerId)
    if (entry === undefined) return
    entry.results++
    if (!agreed) entry.disagreed++
    entry.touchedAtMs = nowMs
  }

  /** Whoever announced `model` lately or was found as its provider, in order of peer id. */
  candidates(model: string, nowMs: number): ProviderCandidate[] {
    const candidates: ProviderCandidate[] = []
    for (const peer of this.#peers.values()) {
      const entry = peer.models.get(model)
      if (entry === undefined) continue
      const live = isLive(entry, nowMs)
      if (!live && nowMs >= entry.foundUntilMs) continue
      candidates.push({
        provider: peer.peerId,
        group: peer.group,
        ...(live ? announcedOf(entry) : { load: undefined }),
        rttMs: rttMsOf(peer),
        serviceMs: medianServiceMs(entry, nowMs),
        outstanding: peer.outstanding,
        notBeforeMs: Math.max(peer.notBeforeMs, entry.notBeforeMs),
      })
    }
    return candidates.sort((left, right) => (left.provider < right.provider ? -1 : 1))
  }

  /** Everybody, in order of peer id. */
  peers(nowMs: number): PeerView[] {
    return [...this.#peers.values()]
      .map((peer) => viewOf(peer, nowMs))
      .sort((left, right) => (left.peerId < right.peerId ? -1 : 1))
  }

  /** The address group that a connection to `peerId` showed; undefined while there was none: announced ones can be invented. */
  verifiedGroup(peerId: string): string | undefined {
    const entry = this.#peers.get(peerId)
    return entry?.verified ? entry.group : undefined
  }

  /** Multiaddresses at which `peerId` may be dialled, its own ones first; empty when nothing is known. */
  addresses(peerId: string): readonly string[] {
    const entry = this.#peers.get(peerId)
    return entry === undefined ? [] : addressesOf(entry)
  }

  #peer(peerId: string, nowMs: number): PeerEntry | undefined {
    const known = this.#peers.get(peerId)
    if (known !== undefined) {
      known.touchedAtMs = nowMs
      return known
    }
    const entry = createPeerEntry(peerId, nowMs)
    if (!this.#admit(entry, nowMs)) return undefined
    this.#peers.set(peerId, entry)
    return entry
  }

  #admit(entry: PeerEntry, nowMs: number): boolean {
    const { admit, evict } = makeRoom(this.#peers, entry, (other) => other.group === other.peerId, nowMs)
    if (evict !== undefined) this.#peers.delete(evict.peerId)
    return admit
  }

  #model(peer: PeerEntry, model: string, nowMs: number): ModelEntry | undefined {
    const known = peer.models.get(model)
    if (known !== undefined) {
      known.touchedAtMs = nowMs
      return known
    }
    if (peer.models.size >= MODELS_PER_PEER_MAX) {
      // A peer competes with itself only: its own oldest model that is neither alive nor in use makes room.
      const victim = [...peer.models]
        .filter(
          ([, entry]) => entry.outstanding === 0 && !isLive(entry, nowMs) && nowMs >= entry.foundUntilMs,
        )
        .sort(([, left], [, right]) => left.touchedAtMs - right.touchedAtMs)[0]
      if (victim === undefined) return undefined
      peer.models.delete(victim[0])
    }
    const entry = createModelEntry(nowMs)
    peer.models.set(model, entry)
    return entry
  }

  #addAddresses(peer: PeerEntry, from: 'ownAddresses' | 'hearsay', multiaddrs: readonly string[]): void {
    const usable = multiaddrs.filter((address) => address.length <= ADDRESS_LENGTH_MAX)
    peer[from] = [...new Set([...usable, ...peer[from]])].slice(0, ADDRESSES_PER_PEER_MAX)
    if (peer.verified) return
    const groups = addressesOf(peer).map((address) => addressGroup(address, this.#groups))
    peer.group = groups.find((group) => group !== undefined) ?? peer.peerId
  }
}

function announcedOf({
  announced,
}: ModelEntry): Pick<ProviderCandidate, 'load' | 'lanes' | 'instructionSet'> {
  if (announced === undefined) return { load: undefined }
  const { running, queued, capacity, serviceMs, lanes, instructionSet } = announced
  return { load: { running, queued, capacity, serviceMs }, lanes, instructionSet }
}

function viewOf(peer: PeerEntry, nowMs: number): PeerView {
  const models: PeerView['models'][number][] = []
  for (const [cid, entry] of peer.models) {
    const { announced } = entry
    if (announced === undefined || !isLive(entry, nowMs)) continue
    models.push({
      cid,
      lanes: announced.lanes,
      instructionSet: announced.instructionSet,
      running: announced.running,
      queued: announced.queued,
      capacity: announced.capacity,
      serviceMs: medianServiceMs(entry, nowMs) ?? announced.serviceMs,
      expiresAtMs: entry.expiresAtMs,
    })
  }
  models.sort((left, right) => (left.cid < right.cid ? -1 : 1))
  const { peerId, group, connected, results, disagreed } = peer
  const rttMs = rttMsOf(peer)
  return { peerId, addresses: addressesOf(peer), group, connected, rttMs, models, results, disagreed }
}
