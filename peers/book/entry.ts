import {
  ADDRESSES_PER_PEER_MAX,
  RTT_SAMPLES,
  SERVICE_SAMPLES,
  SERVICE_TTL_MS,
  UNREACHABLE_PAUSE_MAX_MS,
  UNREACHABLE_PAUSE_MIN_MS,
} from './constants.ts'

/** What the book takes from an announcement. The announcement of `protocols/announcement` is one. */
export interface AnnouncedModel {
  readonly model: string
  readonly lanes: readonly string[]
  readonly instructionSet: string
  readonly running: number
  readonly queued: number
  readonly capacity: number
  readonly serviceMs: number
  readonly multiaddrs: readonly string[]
  /** Rises with every announcement of one author about one model. */
  readonly sequence: number
  readonly ttlMs: number
  /** The author stops to serve this model. */
  readonly leaving: boolean
}

/** What is known of one model at one peer. */
export interface ModelEntry {
  announced: AnnouncedModel | undefined
  /** By our own clock; the announcement counts for nothing from then on. */
  expiresAtMs: number
  /** The highest sequence seen; outlives the announcement, so that an old one can't be played again. */
  sequence: number
  /** A provider record counts until then. */
  foundUntilMs: number
  /** The newest service times that we measured, in order of arrival. */
  readonly serviceSamples: number[]
  /** When the latest of them was measured. */
  servedAtMs: number
  notBeforeMs: number
  outstanding: number
  touchedAtMs: number
}

export interface PeerEntry {
  readonly peerId: string
  /** Where the peer itself says that it listens, newest first. */
  ownAddresses: string[]
  /** Where others say so, newest first: anybody can say anything, so these come after its own. */
  hearsay: string[]
  /** Groups of all addresses, or of the one that we are or were connected to, which can't be invented. */
  group: string
  verified: boolean
  connected: boolean
  readonly models: Map<string, ModelEntry>
  /** The latest, oldest first. */
  readonly rttSamples: number[]
  outstanding: number
  notBeforeMs: number
  unreachableInARow: number
  results: number
  disagreed: number
  touchedAtMs: number
}

export function createPeerEntry(peerId: string, nowMs: number): PeerEntry {
  return {
    peerId,
    ownAddresses: [],
    hearsay: [],
    group: peerId,
    verified: false,
    connected: false,
    models: new Map(),
    rttSamples: [],
    outstanding: 0,
    notBeforeMs: 0,
    unreachableInARow: 0,
    results: 0,
    disagreed: 0,
    touchedAtMs: nowMs,
  }
}

export function createModelEntry(nowMs: number): ModelEntry {
  return {
    announced: undefined,
    expiresAtMs: 0,
    sequence: Number.NEGATIVE_INFINITY,
    foundUntilMs: 0,
    serviceSamples: [],
    servedAtMs: Number.NEGATIVE_INFINITY,
    notBeforeMs: 0,
    outstanding: 0,
    touchedAtMs: nowMs,
  }
}

export function isLive(entry: ModelEntry, nowMs: number): boolean {
  return entry.announced !== undefined && !entry.announced.leaving && nowMs < entry.expiresAtMs
}

/** Whether the peer said at some time that it stops, and has said nothing since. */
export function hasLeft(entry: ModelEntry): boolean {
  return entry.announced?.leaving === true
}

export function addRtt({ rttSamples }: PeerEntry, rttMs: number): void {
  rttSamples.push(rttMs)
  if (rttSamples.length > RTT_SAMPLES) rttSamples.shift()
}

/** The shortest of the latest; undefined where none was measured. */
export function rttMsOf({ rttSamples }: PeerEntry): number | undefined {
  return rttSamples.length === 0 ? undefined : Math.min(...rttSamples)
}

export function addServiceTime(entry: ModelEntry, serviceMs: number, nowMs: number): void {
  if (hasForgottenService(entry, nowMs)) entry.serviceSamples.length = 0
  entry.servedAtMs = nowMs
  entry.serviceSamples.push(serviceMs)
  if (entry.serviceSamples.length > SERVICE_SAMPLES) entry.serviceSamples.shift()
}

export function medianServiceMs(entry: ModelEntry, nowMs: number): number | undefined {
  if (hasForgottenService(entry, nowMs)) return
  const sorted = entry.serviceSamples.toSorted((left, right) => left - right)
  return sorted[sorted.length >> 1]
}

function hasForgottenService({ servedAtMs }: ModelEntry, nowMs: number): boolean {
  return nowMs - servedAtMs > SERVICE_TTL_MS
}

/** The peer did not answer the dial: what it announced is void, and it is left alone for a while. */
export function markUnreachable(entry: PeerEntry, nowMs: number): void {
  const pauseMs = Math.min(UNREACHABLE_PAUSE_MAX_MS, UNREACHABLE_PAUSE_MIN_MS * 2 ** entry.unreachableInARow)
  entry.unreachableInARow = Math.min(entry.unreachableInARow + 1, 16)
  entry.notBeforeMs = Math.max(entry.notBeforeMs, nowMs + pauseMs)
  entry.connected = false
  for (const model of entry.models.values()) {
    if (!hasLeft(model)) model.announced = undefined
    model.foundUntilMs = 0
  }
}

/** Multiaddresses to try, in this order. */
export function addressesOf({ ownAddresses, hearsay }: PeerEntry): string[] {
  return [...new Set([...ownAddresses, ...hearsay])].slice(0, ADDRESSES_PER_PEER_MAX)
}
