import { Allowances } from '../../protocols/fraud/index.ts'
import {
  type Offer,
  OpenCallError,
  type ReadOffer,
  readOffer,
  SEALED_OFFER_BYTES_MAX,
} from '../../protocols/open-call/index.ts'
import {
  NEIGHBOURS_MAX,
  OFFERS_BURST,
  OFFERS_PER_CALL_AND_NEIGHBOUR_MAX,
  OFFERS_PER_CALL_MAX,
  OFFERS_PER_SECOND,
  OWN_NAME_OFFERS_PER_CALL_MAX,
  ROUTE_SLACK_MS,
  ROUTES_MAX,
} from './constants.ts'

/** A call that was heard, or made. */
export interface Route {
  readonly id: string
  readonly caller: string
  /** Where offers for it go next: the neighbour from which the call came. Undefined for calls of this node's own. */
  readonly towards: string | undefined
  readonly windowMs: number
}

/** What a neighbour has sent. */
export interface SentOffer {
  readonly neighbour: string
  readonly sealed: Uint8Array
}

export type OfferVerdict =
  /** For a call of this node's own. */
  | { readonly type: 'take'; readonly provider: string; readonly offer: Offer }
  | { readonly type: 'pass'; readonly route: Route }
  /** Nobody is to blame: it comes late, twice, or there are enough. */
  | { readonly type: 'ignore'; readonly reason: 'unknown-call' | 'late' | 'known' | 'enough' }
  /** The neighbour says more than it may. Nothing more is read of it for now. */
  | { readonly type: 'ignore'; readonly reason: 'too-many' }
  /** No honest neighbour passes this on. */
  | { readonly type: 'reject'; readonly reason: 'too-long' | 'malformed' | 'forged' }

interface OpenRoute extends Route {
  readonly closesAtMs: number
  readonly providers: Set<string>
  /** How many of those came from the provider itself. */
  ofThemselves: number
  /** How many of the others came from each neighbour. */
  readonly byNeighbour: Map<string, number>
}

/**
 * Decides which offers are taken and where the others go. An offer is for a call that was heard here lately, signed by
 * its provider, and one of a bounded number; it goes towards the caller and never back. Pure: time is an argument.
 */
export class OfferGate {
  /** By id, in the order of hearing. */
  readonly #routes = new Map<string, OpenRoute>()
  readonly #read = new Allowances({
    burst: OFFERS_BURST,
    perSecond: OFFERS_PER_SECOND,
    keysMax: NEIGHBOURS_MAX,
  })

  /** Offers for this call may come from now on. */
  open(route: Route, nowMs: number): void {
    for (const [id, { closesAtMs }] of this.#routes) if (closesAtMs <= nowMs) this.#routes.delete(id)
    const oldest = this.#routes.keys().next()
    if (this.#routes.size >= ROUTES_MAX && !oldest.done) this.#routes.delete(oldest.value)
    // The caller's own window closes when it says so; others do not know when it began there.
    const closesAtMs = nowMs + route.windowMs + (route.towards === undefined ? 0 : ROUTE_SLACK_MS)
    this.#routes.set(route.id, {
      ...route,
      closesAtMs,
      providers: new Set(),
      ofThemselves: 0,
      byNeighbour: new Map(),
    })
  }

  /** The window has closed. */
  close(id: string): void {
    this.#routes.delete(id)
  }

  check({ neighbour, sealed }: SentOffer, nowMs: number): OfferVerdict {
    if (sealed.byteLength > SEALED_OFFER_BYTES_MAX) return { type: 'reject', reason: 'too-long' }
    if (!this.#read.take(neighbour, 1, nowMs)) return { type: 'ignore', reason: 'too-many' }
    let read: ReadOffer
    try {
      read = readOffer(sealed)
    } catch (error) {
      if (!(error instanceof OpenCallError)) throw error
      return { type: 'reject', reason: 'malformed' }
    }
    const { offer, provider } = read
    const route = this.#routes.get(offer.call)
    if (route === undefined) return { type: 'ignore', reason: 'unknown-call' }
    if (route.closesAtMs <= nowMs) return { type: 'ignore', reason: 'late' }
    // Its own caller, or it came from where it would go.
    if (provider === route.caller || neighbour === route.towards) return { type: 'ignore', reason: 'known' }
    if (route.providers.has(provider)) return { type: 'ignore', reason: 'known' }
    const ofNeighbour = route.byNeighbour.get(neighbour) ?? 0
    // A neighbour that offers itself is one key behind one connection: there is always room for it.
    const isItself = provider === neighbour
    const isFull = isItself
      ? route.ofThemselves >= OWN_NAME_OFFERS_PER_CALL_MAX
      : route.providers.size - route.ofThemselves >= OFFERS_PER_CALL_MAX ||
        ofNeighbour >= OFFERS_PER_CALL_AND_NEIGHBOUR_MAX
    if (isFull) return { type: 'ignore', reason: 'enough' }
    try {
      read.verifySignature()
    } catch (error) {
      if (!(error instanceof OpenCallError)) throw error
      return { type: 'reject', reason: 'forged' }
    }
    route.providers.add(provider)
    if (isItself) route.ofThemselves++
    else route.byNeighbour.set(neighbour, ofNeighbour + 1)
    return route.towards === undefined ? { type: 'take', provider, offer } : { type: 'pass', route }
  }
}
