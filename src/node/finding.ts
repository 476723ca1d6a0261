import type { Mesh } from '../../peers/mesh/index.ts'
import type { Candidate } from '../routing/index.ts'
import { now } from './clock.ts'
import {
  ANNOUNCEMENT_GRACE_MS,
  FIND_DIAL_MAX,
  FIND_TIMEOUT_MS,
  INTERESTS_MAX,
  SEARCHES_MAX,
} from './constants.ts'
import type { Log } from './log.ts'
import type { NodeReputation } from './reputation.ts'

export interface Search {
  readonly model: string
  readonly atLeast: number
  readonly signal: AbortSignal
}

export interface Finder {
  /**
   * Candidates for a model, from the book if it knows enough, else by asking the DHT and connecting to whom it names.
   * Tells what is known so far through `onFound`. Never rejects; ends within FIND_TIMEOUT_MS and a grace.
   */
  find(search: Search, onFound: (candidates: readonly Candidate[]) => void): Promise<readonly Candidate[]>
  /** Listens to what is announced of a model, and keeps looking for providers. */
  seek(model: string): void
  stop(): void
}

export interface FinderComponents {
  readonly mesh: Mesh
  /** What this node has seen of a provider. */
  readonly reputation: Pick<NodeReputation, 'trackRecord' | 'reliability'>
  /** Who was exposed is no candidate, and finding it is no success. */
  readonly isExposed: (peer: string) => boolean
  readonly log: Log
}

export function createFinder({ mesh, reputation, isExposed, log }: FinderComponents): Finder {
  const { book, discovery } = mesh
  /** Models that jobs were about lately, the latest last: gossip about them is listened to. */
  const interests = new Set<string>()
  /** One search a model at a time, whoever asks: thirty lines of a page look for the same providers. */
  const searches = new Map<string, Promise<void>>()
  const stopping = new AbortController()

  function candidates(model: string): Candidate[] {
    return book
      .candidates(model, now())
      .filter(({ provider }) => !isExposed(provider))
      .map((candidate) => ({
        ...candidate,
        record: reputation.trackRecord(candidate.provider, model),
        reliability: reputation.reliability(candidate.provider),
      }))
  }

  function follow(model: string): void {
    if (interests.delete(model)) {
      interests.add(model)
      return
    }
    interests.add(model)
    mesh.seek(model)
    const [oldest] = interests
    if (interests.size <= INTERESTS_MAX || oldest === undefined) return
    interests.delete(oldest)
    mesh.unseek(oldest)
  }

  async function search(model: string, onConnected: () => void): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(FIND_TIMEOUT_MS)])
    const dials: Promise<void>[] = []
    try {
      for await (const provider of discovery.findProviders(model, signal)) {
        if (dials.length >= FIND_DIAL_MAX) break
        dials.push(
          connect(provider.peerId.toString(), signal).then((connected) => void (connected && onConnected())),
        )
      }
    } catch (error) {
      log.debug('the DHT did not answer', { model, error })
    }
    await Promise.all(dials)
    await untilAnnounced(model)
  }

  async function connect(peerId: string, signal: AbortSignal): Promise<boolean> {
    try {
      await mesh.connect(peerId, signal)
      return true
    } catch (error) {
      log.debug('a provider of the DHT cannot be reached', { peer: peerId, error })
      return false
    }
  }

  /** Freshly connected providers announce themselves within milliseconds; their load decides who is asked. */
  async function untilAnnounced(model: string): Promise<void> {
    const untilMs = now() + ANNOUNCEMENT_GRACE_MS
    while (now() < untilMs && !stopping.signal.aborted) {
      const found = candidates(model)
      if (found.length > 0 && found.every(({ load }) => load !== undefined)) return
      await new Promise((resolve) => setTimeout(resolve, ANNOUNCEMENT_GRACE_MS / 20))
    }
  }

  return {
    async find({ model, atLeast, signal }, onFound) {
      follow(model)
      const known = candidates(model)
      const announced = known.filter(({ load }) => load !== undefined).length
      if (announced >= atLeast || searches.size >= SEARCHES_MAX) return known
      if (known.length > 0) onFound(known)
      let running = searches.get(model)
      if (running === undefined) {
        running = search(model, () => onFound(candidates(model))).finally(() => searches.delete(model))
        searches.set(model, running)
      }
      await Promise.race([running, aborted(signal)])
      return candidates(model)
    },
    seek: follow,
    stop() {
      stopping.abort()
      interests.clear()
    },
  }
}

/** Resolves, and never rejects, when `signal` is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
