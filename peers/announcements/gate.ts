import {
  ANNOUNCEMENT_BYTES_MAX,
  type Announcement,
  decodeAnnouncement,
} from '../../protocols/announcement/index.ts'
import {
  AUTHOR_BURST,
  AUTHOR_PER_SECOND,
  AUTHORS_MAX,
  NEIGHBOUR_BURST,
  NEIGHBOUR_PER_SECOND,
  NEIGHBOURS_MAX,
} from './constants.ts'
import { TokenBucket } from './rate.ts'

/** A message on a model's topic. Gossipsub has verified its author's signature. */
export interface GossipedBytes {
  /** CID that the topic names. */
  readonly model: string
  /** Peer id of who signed it. */
  readonly author: string
  /** Peer id of the neighbour that passed it on. */
  readonly neighbour: string
  readonly data: Uint8Array
}

export type GateVerdict =
  /** `first`: nothing was heard before of this author about this model. */
  | { readonly type: 'accept'; readonly announcement: Announcement; readonly first: boolean }
  /** Nobody is to blame: it is old, or too much of it. Not passed on. */
  | { readonly type: 'ignore'; readonly reason: 'own' | 'stale' | 'too-many' }
  /** No honest neighbour passes this on. */
  | { readonly type: 'reject'; readonly reason: 'too-long' | 'malformed' | 'wrong-model' }

/** Decides which announcements are believed and passed on. Pure: time is an argument. */
export class AnnouncementGate {
  readonly #self: string
  readonly #authors = new Map<string, { readonly bucket: TokenBucket; sequence: number }>()
  readonly #neighbours = new Map<string, TokenBucket>()

  constructor(self: string) {
    this.#self = self
  }

  check({ model, author, neighbour, data }: GossipedBytes, nowMs: number): GateVerdict {
    if (data.byteLength > ANNOUNCEMENT_BYTES_MAX) return { type: 'reject', reason: 'too-long' }
    if (author === this.#self) return { type: 'ignore', reason: 'own' }
    if (!this.#neighbour(neighbour, nowMs).take(nowMs)) return { type: 'ignore', reason: 'too-many' }
    let announcement: Announcement
    try {
      announcement = decodeAnnouncement(data)
    } catch {
      // Whatever is wrong with it, the neighbour should have seen it too.
      return { type: 'reject', reason: 'malformed' }
    }
    if (announcement.model !== model) return { type: 'reject', reason: 'wrong-model' }
    const known = this.#author(`${author} ${model}`, nowMs)
    // Honest neighbours may deliver late or twice, so what is old is nobody's fault.
    if (announcement.sequence <= known.sequence) return { type: 'ignore', reason: 'stale' }
    if (!known.bucket.take(nowMs)) return { type: 'ignore', reason: 'too-many' }
    const first = known.sequence === Number.NEGATIVE_INFINITY
    known.sequence = announcement.sequence
    return { type: 'accept', announcement, first }
  }

  #author(key: string, nowMs: number) {
    const known = this.#authors.get(key) ?? {
      bucket: new TokenBucket(AUTHOR_BURST, AUTHOR_PER_SECOND, nowMs),
      sequence: Number.NEGATIVE_INFINITY,
    }
    touch(this.#authors, key, known, AUTHORS_MAX)
    return known
  }

  #neighbour(peerId: string, nowMs: number): TokenBucket {
    const bucket =
      this.#neighbours.get(peerId) ?? new TokenBucket(NEIGHBOUR_BURST, NEIGHBOUR_PER_SECOND, nowMs)
    touch(this.#neighbours, peerId, bucket, NEIGHBOURS_MAX)
    return bucket
  }
}

/** Puts `key` last; forgets the first when there are more than `max`. */
function touch<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= max) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
