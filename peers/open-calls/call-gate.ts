import { Allowances } from '../../protocols/fraud/index.ts'
import { CALL_BYTES_MAX, decodeOpenCall, type OpenCall, openCallId } from '../../protocols/open-call/index.ts'
import {
  ASSURED_BURST,
  ASSURED_PER_SECOND,
  AUTHOR_BURST,
  AUTHOR_PER_SECOND,
  AUTHORS_MAX,
  CALLS_KNOWN_MAX,
  CLOCK_SKEW_MAX_MS,
  NEIGHBOUR_BURST,
  NEIGHBOUR_PER_SECOND,
  NEIGHBOURS_MAX,
  NODE_BURST,
  NODE_PER_SECOND,
} from './constants.ts'

/** A message on the topic of calls. Gossipsub has verified its author's signature. */
export interface GossipedCall {
  /** Peer id of who signed it. */
  readonly author: string
  /** Peer id of the neighbour that passed it on. */
  readonly neighbour: string
  readonly data: Uint8Array
}

export type CallVerdict =
  | { readonly type: 'accept'; readonly id: string; readonly call: OpenCall }
  /** Nobody is to blame: it is known, from another time, or too much of it. Not passed on. */
  | { readonly type: 'ignore'; readonly reason: 'own' | 'known' | 'stale' | 'too-many' }
  /** No honest neighbour passes this on. */
  | { readonly type: 'reject'; readonly reason: 'too-long' | 'malformed' }

/** Decides which calls are heard and passed on. Pure: time is an argument. */
export class CallGate {
  readonly #self: string
  /** By id, in the order of hearing. */
  readonly #known = new Set<string>()
  readonly #authors = new Allowances({
    burst: AUTHOR_BURST,
    perSecond: AUTHOR_PER_SECOND,
    keysMax: AUTHORS_MAX,
  })
  readonly #neighbours = new Allowances({
    burst: NEIGHBOUR_BURST,
    perSecond: NEIGHBOUR_PER_SECOND,
    keysMax: NEIGHBOURS_MAX,
  })
  readonly #node = new Allowances({ burst: NODE_BURST, perSecond: NODE_PER_SECOND, keysMax: 1 })
  readonly #assured = new Allowances({
    burst: ASSURED_BURST,
    perSecond: ASSURED_PER_SECOND,
    keysMax: NEIGHBOURS_MAX,
  })

  constructor(self: string) {
    this.#self = self
  }

  /** `nowMs` is wall time: a call says when it was issued. */
  check({ author, neighbour, data }: GossipedCall, nowMs: number): CallVerdict {
    if (data.byteLength > CALL_BYTES_MAX) return { type: 'reject', reason: 'too-long' }
    if (author === this.#self) return { type: 'ignore', reason: 'own' }
    if (!this.#neighbours.take(neighbour, 1, nowMs)) return { type: 'ignore', reason: 'too-many' }
    let call: OpenCall
    try {
      call = decodeOpenCall(data)
    } catch {
      // Whatever is wrong with it, the neighbour should have seen it too.
      return { type: 'reject', reason: 'malformed' }
    }
    // Clocks differ, so a wrong one is nobody's fault; but what is old may be played again.
    if (Math.abs(call.issuedAtMs - nowMs) > CLOCK_SKEW_MAX_MS) return { type: 'ignore', reason: 'stale' }
    const id = openCallId(author, data)
    if (this.#known.has(id)) return { type: 'ignore', reason: 'known' }
    if (!this.#authors.take(author, 1, nowMs)) return { type: 'ignore', reason: 'too-many' }
    // A flood that comes by some neighbours leaves the others what each is assured of.
    if (!this.#node.take('', 1, nowMs) && !this.#assured.take(neighbour, 1, nowMs)) {
      return { type: 'ignore', reason: 'too-many' }
    }
    this.#remember(id)
    return { type: 'accept', id, call }
  }

  #remember(id: string): void {
    this.#known.add(id)
    if (this.#known.size <= CALLS_KNOWN_MAX) return
    const oldest = this.#known.keys().next()
    if (!oldest.done) this.#known.delete(oldest.value)
  }
}
