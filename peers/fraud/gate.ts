import {
  Allowances,
  decodeFraudNotice,
  type FraudNotice,
  NOTICE_BYTES_MAX,
} from '../../protocols/fraud/index.ts'
import { NEIGHBOURS_MAX, NOTICE_BURST, NOTICES_PER_SECOND } from './constants.ts'

/** A message on the topic of notices. Gossipsub has verified its author's signature. */
export interface GossipedNotice {
  /** Peer id of who signed it. */
  readonly author: string
  /** Peer id of the neighbour that it came from. */
  readonly neighbour: string
  readonly data: Uint8Array
}

export type NoticeVerdict =
  | { readonly type: 'consider'; readonly notice: FraudNotice }
  /** Nobody is to blame. */
  | { readonly type: 'ignore'; readonly reason: 'own' | 'relayed' | 'too-many' }
  /** No honest neighbour says this. */
  | { readonly type: 'reject'; readonly reason: 'too-long' | 'malformed' }

/** Decides which notices are looked at, before anything is known of what they say. Pure: time is an argument. */
export class NoticeGate {
  readonly #self: string
  readonly #notices = new Allowances({
    burst: NOTICE_BURST,
    perSecond: NOTICES_PER_SECOND,
    keysMax: NEIGHBOURS_MAX,
  })

  constructor(self: string) {
    this.#self = self
  }

  check({ author, neighbour, data }: GossipedNotice, nowMs: number): NoticeVerdict {
    if (data.byteLength > NOTICE_BYTES_MAX) return { type: 'reject', reason: 'too-long' }
    if (author === this.#self) return { type: 'ignore', reason: 'own' }
    if (!this.#notices.take(neighbour, 1, nowMs)) return { type: 'ignore', reason: 'too-many' }
    // A notice goes one hop: who has verified a proof says so in its own name, and is to blame if that is false.
    if (author !== neighbour) return { type: 'ignore', reason: 'relayed' }
    try {
      return { type: 'consider', notice: decodeFraudNotice(data) }
    } catch {
      return { type: 'reject', reason: 'malformed' }
    }
  }
}
