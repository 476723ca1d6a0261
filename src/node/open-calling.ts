/**
 * Providers by open call: a call is made for the model, its offers are collected until the window closes, and each job
 * draws its own from them, at random and across owners. Only who was drawn is dialled, and only then is it known where it
 * is: addresses in offers are claims, and the groups that follow from them too.
 */
import { randomInt } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import type { Lane } from '../../models/runtime/index.ts'
import { addressGroup } from '../../peers/book/index.ts'
import type { Mesh } from '../../peers/mesh/index.ts'
import {
  type CallTerms,
  type OpenCalls,
  OpenCallsError,
  type ReceivedOffer,
} from '../../peers/open-calls/index.ts'
import { WINDOW_MS_MAX } from '../../protocols/open-call/index.ts'
import { type Candidate, createExclusion, drawAcrossGroups } from '../routing/index.ts'
import { now } from './clock.ts'
import {
  CALLED_MODELS_MAX,
  CALLS_UNANSWERED_MAX,
  OFFER_DIAL_MS,
  OFFER_DIALS_MAX,
  OFFER_DIALS_PARALLEL,
  OFFER_WINDOW_MS,
  OFFERS_FRESH_MS,
  OFFERS_REACH_MS,
  VAIN_OFFERS_MAX,
} from './constants.ts'
import { aborted, type Search } from './finding.ts'
import type { Log } from './log.ts'

export interface OpenSearch extends Search {
  /** Whose draw it is: searches of one job go on where the one before ended. Left out, it is a draw of its own. */
  readonly jobId?: string
  /** In which lane the model must be served; left out, any will do. */
  readonly lane?: Lane
  readonly terms?: Partial<Pick<CallTerms, 'replicas' | 'referee' | 'publicDisputes' | 'timeoutMs'>>
}

export interface OpenCalling {
  /**
   * `atLeast` providers that offered themselves, as far as there are: connected, in the order in which they were drawn,
   * each of another group as far as there are groups. The first search of a job takes as long as a window. Never rejects.
   */
  find(search: OpenSearch): Promise<readonly Candidate[]>
  /** As `find`, for one who has not asked anything yet: calls again, a few times, while nobody answers. Never rejects. */
  findAny(search: Search): Promise<readonly Candidate[]>
  /** It offered what it does not have: none of its offers is drawn any more. */
  disappointed(provider: string): void
  stop(): void
}

export interface OpenCallingComponents {
  readonly mesh: {
    readonly book: Pick<Mesh['book'], 'found'>
    connect(peerId: string, signal: AbortSignal): Promise<Pick<Connection, 'remoteAddr'>>
  }
  readonly calls: Pick<OpenCalls, 'call'>
  readonly isExposed: (peer: string) => boolean
  /** Whether addresses of private ranges say nothing about owners. */
  readonly exemptPrivate: boolean
  /** How long offers are taken at first; twice as long after a call that nobody answered. */
  readonly windowMs?: number
  /** Default: unpredictable. */
  readonly random?: { next(): number }
  readonly log: Log
}

/** What one call brought. */
interface Offers {
  readonly all: readonly ReceivedOffer[]
  readonly closedAtMs: number
  /** How long the next call for the model takes offers. */
  readonly nextWindowMs: number
}

/** How far one job has got in its draw. */
interface Draw {
  /** Still to be tried, in this order. */
  readonly order: ReceivedOffer[]
  /** Reached, each in a group of its own as far as there are groups, in the order drawn. */
  readonly found: Candidate[]
  /** Reached, and in a group of somebody that comes before it. */
  readonly spare: Candidate[]
  /** Every provider that this draw has seen. */
  readonly seen: Set<string>
}

export function createOpenCalling(components: OpenCallingComponents): OpenCalling {
  const { mesh, calls, isExposed, exemptPrivate, random = UNPREDICTABLE, log } = components
  const { windowMs: firstWindowMs = OFFER_WINDOW_MS } = components
  /** By model, the latest last. */
  const offers = new Map<string, Promise<Offers>>()
  const draws = new Map<string, Draw>()
  const vain = createExclusion(VAIN_OFFERS_MAX)
  const stopping = new AbortController()

  /** The offers for a model: those at hand if they are fresh, else those of a new call, which all who wait for it share. */
  async function offersFor(search: OpenSearch, isUsedUp: (offers: Offers) => boolean): Promise<Offers> {
    const { model } = search
    const known = offers.get(model)
    const held = await known
    const isFresh = held !== undefined && now() - held.closedAtMs < OFFERS_FRESH_MS
    if (isFresh && !isUsedUp(held)) return held
    // Somebody else may have made a call meanwhile.
    if (offers.get(model) !== known) return offersFor(search, isUsedUp)
    const calling = call(search, held?.nextWindowMs ?? firstWindowMs)
    offers.delete(model)
    offers.set(model, calling)
    const [oldest] = offers.keys()
    if (offers.size > CALLED_MODELS_MAX && oldest !== undefined) offers.delete(oldest)
    return calling
  }

  /** Others may wait for it too, so it goes on where the search that began it is given up. */
  async function call({ model, lane, terms }: OpenSearch, windowMs: number): Promise<Offers> {
    const { replicas = 0, referee = false, publicDisputes = false, timeoutMs = 0 } = terms ?? {}
    const call = { model, lane, replicas, referee, publicDisputes, timeoutMs, windowMs }
    try {
      const all = await calls.call(call, stopping.signal)
      log.info(`${all.length} offers for an open call`, { model, offers: all.length })
      // Nobody answered: perhaps the way there and back takes longer here.
      const nextWindowMs = all.length > 0 ? firstWindowMs : Math.min(WINDOW_MS_MAX, 2 * windowMs)
      return { all, closedAtMs: now(), nextWindowMs }
    } catch (error) {
      if (error instanceof OpenCallsError) log.info(error.message, { model })
      else if (!stopping.signal.aborted) log.error('an open call failed', { model, error })
      // Not fresh: whoever asks next makes another call.
      return { all: [], closedAtMs: Number.NEGATIVE_INFINITY, nextWindowMs: windowMs }
    }
  }

  function drawOf({ jobId, signal }: OpenSearch): Draw {
    const known = jobId === undefined ? undefined : draws.get(jobId)
    if (known !== undefined || jobId === undefined) return known ?? newDraw()
    const draw = newDraw()
    draws.set(jobId, draw)
    signal.addEventListener('abort', () => draws.delete(jobId), { once: true })
    return draw
  }

  /** Draws the order of those that the draw has not seen. */
  function extend(draw: Draw, { all }: Offers, { lane }: OpenSearch): void {
    const news = all.filter(({ provider }) => !draw.seen.has(provider))
    for (const { provider } of news) draw.seen.add(provider)
    const grouped = news
      .filter(({ lanes }) => lane === undefined || lanes.includes(lane))
      .map((offer) => ({ ...offer, group: claimedGroup(offer) }))
    draw.order.push(...drawAcrossGroups(grouped, random))
  }

  function claimedGroup({ provider, multiaddrs }: ReceivedOffer): string {
    return multiaddrs.map((address) => addressGroup(address, { exemptPrivate })).find(Boolean) ?? provider
  }

  /**
   * Dials those that come next, until as many as are wanted were reached in groups of their own. Which group somebody is
   * in is known only then, so an owner who claims another address for each of its keys makes this longer, and gets no
   * second place before all offers were tried. A search that has used up its dials or its time is continued by the next.
   */
  async function reach(draw: Draw, { model, atLeast, signal }: OpenSearch): Promise<void> {
    const untilMs = now() + OFFERS_REACH_MS
    let parallel = 1
    for (let dials = 0; draw.found.length < atLeast && !signal.aborted; ) {
      const missing = Math.max(parallel, atLeast - draw.found.length)
      const next = takeNext(draw, missing)
      if (next.length === 0) {
        draw.found.push(...draw.spare.splice(0, atLeast - draw.found.length))
        return
      }
      const reached = await Promise.all(next.map((offer) => connect(model, offer, signal)))
      // In the order drawn, not in that of answering: who answers first gains nothing.
      for (const candidate of reached) if (candidate !== undefined) place(draw, candidate)
      dials += next.length
      if (dials >= OFFER_DIALS_MAX || now() >= untilMs) return
      parallel = OFFER_DIALS_PARALLEL
    }
  }

  function takeNext({ order }: Draw, count: number): ReceivedOffer[] {
    const next: ReceivedOffer[] = []
    while (next.length < count) {
      const offer = order.shift()
      if (offer === undefined) break
      if (!isExposed(offer.provider) && !vain.has(offer.provider)) next.push(offer)
    }
    return next
  }

  function place(draw: Draw, candidate: Candidate): void {
    const isOfKnownGroup = draw.found.some(({ group }) => group === candidate.group)
    ;(isOfKnownGroup ? draw.spare : draw.found).push(candidate)
  }

  async function connect(
    model: string,
    { provider, multiaddrs }: ReceivedOffer,
    signal: AbortSignal,
  ): Promise<Candidate | undefined> {
    mesh.book.found(provider, model, multiaddrs, now())
    let group: string | undefined
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(OFFER_DIAL_MS)])
      const { remoteAddr } = await mesh.connect(provider, bounded)
      // Not by the book, which forgets those of an owner that has too many.
      group = addressGroup(remoteAddr.toString(), { exemptPrivate })
    } catch (error) {
      log.debug('who offered itself cannot be reached', { provider, error })
      return undefined
    }
    return {
      provider,
      group: group ?? provider,
      // Nobody is preferred for what it says of itself: the draw has decided.
      load: undefined,
      rttMs: undefined,
      serviceMs: undefined,
      outstanding: 0,
      notBeforeMs: 0,
    }
  }

  async function find(search: OpenSearch): Promise<readonly Candidate[]> {
    const draw = drawOf(search)
    const told = () => draw.found.slice(0, search.atLeast)
    if (draw.found.length >= search.atLeast) return told()
    const isUsedUp = ({ all }: Offers) =>
      draw.order.length === 0 && all.every(({ provider }) => draw.seen.has(provider))
    const heard = await Promise.race([offersFor(search, isUsedUp), aborted(search.signal)])
    if (heard === undefined) return []
    extend(draw, heard, search)
    await reach(draw, search)
    return told()
  }

  return {
    find,
    async findAny(search) {
      for (let calls = 1; ; calls++) {
        const found = await find(search)
        if (found.length > 0 || calls >= CALLS_UNANSWERED_MAX || search.signal.aborted) return found
      }
    },
    disappointed: (provider) => void vain.add(provider),
    stop: () => stopping.abort(),
  }
}

function newDraw(): Draw {
  return { order: [], spare: [], found: [], seen: new Set() }
}

/** 32 bits of the system's randomness at a time: what was drawn before tells nothing of what is drawn next. */
const UNPREDICTABLE = { next: () => randomInt(2 ** 32) / 2 ** 32 }
