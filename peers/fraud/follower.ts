/**
 * Follows notices: fetches the proof, has it verified, keeps it. Nothing of this happens while gossipsub waits: it
 * hears the messages of one neighbour one after the other, so a validator that fetched would hold up all topics.
 */
import type { Libp2p } from '@libp2p/interface'
import {
  type FraudNotice,
  type FraudVerdict,
  fetchFraudProof,
  ProofExchangeError,
} from '../../protocols/fraud/index.ts'
import { type Clock, sleep } from '../clock/index.ts'
import type { Demerits, Log } from '../host/index.ts'
import {
  DEMERIT_PER_FALSE_NOTICE,
  FALSE_NOTICE_REST_MS,
  FETCH_BYTES_PER_MS,
  FETCH_MS,
  JUDGED_MAX,
  JUDGED_MS,
  UNSERVED_REST_MS,
  VERIFY_MS,
  VERIFY_REST_FACTOR,
} from './constants.ts'
import type { Exposure, ProofSummary } from './exposure.ts'
import { NoticeQueue, type PendingNotice } from './queue.ts'
import type { ProofStore } from './store.ts'

export interface FollowerOptions {
  readonly libp2p: Pick<Libp2p, 'dialProtocol'>
  readonly demerits: Demerits
  readonly store: ProofStore
  /** `verifyFraudProof`, with the models that this node has. May execute one operator. */
  readonly verify: (bytes: Uint8Array, signal: AbortSignal) => Promise<FraudVerdict>
  /** Called when a proof of others was verified and kept, once a key. */
  readonly onExposed: (exposure: Exposure) => void
  readonly clock: Clock
  readonly log: Log
}

export class Follower {
  readonly #options: FollowerOptions
  readonly #queue = new NoticeQueue()
  /** By id: proofs that were looked at in vain, until when that is remembered. */
  readonly #judged = new Map<string, { readonly status: 'invalid' | 'undecided'; readonly untilMs: number }>()
  readonly #stopping = new AbortController()
  readonly #working = new Set<Promise<void>>()
  /** One verification at a time. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  /** Follows a notice when its turn comes. Costs nothing when the neighbour tells too much. */
  follow(pending: PendingNotice): void {
    if (this.#queue.offer(pending, this.#options.clock.now())) this.#pump()
  }

  /** Resolves when nothing is being fetched or verified any more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#working)
  }

  #pump(): void {
    while (!this.#stopping.signal.aborted) {
      const pending = this.#queue.next()
      if (pending === undefined) return
      const work = this.#work(pending)
        .catch((error: unknown) => {
          if (!this.#stopping.signal.aborted)
            this.#options.log.warn(`could not look at a fraud proof: ${String(error)}`)
        })
        .finally(() => {
          this.#working.delete(work)
          this.#queue.done(pending.neighbour)
          this.#pump()
        })
      this.#working.add(work)
    }
  }

  async #work({ neighbour, notice }: PendingNotice): Promise<void> {
    const { store } = this.#options
    if (store.has(notice.accused)) return
    const before = this.#judgedBefore(notice.id)
    if (before === 'invalid') this.#blame(neighbour, notice, 'its proof is known to be invalid')
    if (before !== undefined) return
    const bytes = await this.#fetch(neighbour, notice)
    if (bytes === undefined) return
    await this.#inTurn(() => this.#judge(neighbour, notice, bytes))
  }

  async #fetch(neighbour: string, notice: FraudNotice): Promise<Uint8Array | undefined> {
    const { libp2p, clock, log } = this.#options
    const limit = this.#limited(FETCH_MS + notice.bytes / FETCH_BYTES_PER_MS)
    try {
      return await fetchFraudProof(libp2p, neighbour, notice, limit.signal)
    } catch (error) {
      if (!(error instanceof ProofExchangeError)) throw error
      if (error.peerIsToBlame) this.#blame(neighbour, notice, error.message)
      else {
        log.debug(`could not fetch a fraud proof from ${neighbour}: ${error.message}`, {
          accused: notice.accused,
        })
        this.#queue.rest(neighbour, clock.now() + UNSERVED_REST_MS)
      }
      return undefined
    } finally {
      limit.cancel()
    }
  }

  async #judge(neighbour: string, notice: FraudNotice, bytes: Uint8Array): Promise<void> {
    const { store, verify, clock } = this.#options
    // Another neighbour's proof of the same key, or of the same bytes, may have had its turn before.
    if (store.has(notice.accused) || this.#judgedBefore(notice.id) === 'undecided') return
    const limit = this.#limited(VERIFY_MS)
    const startedAtMs = clock.now()
    const verdict = await orUndecided(verify(bytes, limit.signal), limit.signal).finally(limit.cancel)
    await this.#settle(neighbour, notice, bytes, verdict)
    const restMs = Math.min(VERIFY_MS, VERIFY_REST_FACTOR * (clock.now() - startedAtMs))
    if (restMs > 0) await sleep(clock, restMs, this.#stopping.signal)
  }

  async #settle(
    neighbour: string,
    notice: FraudNotice,
    bytes: Uint8Array,
    verdict: FraudVerdict,
  ): Promise<void> {
    const { store, log, onExposed } = this.#options
    const { accused } = notice
    switch (verdict.status) {
      case 'valid': {
        // Perhaps a good proof of something else; then somebody will say so truly.
        if (!isOf(notice, verdict)) return this.#blame(neighbour, notice, 'the proof is about something else')
        if (!verdict.publishable)
          return this.#blame(neighbour, notice, 'its job does not allow that it is shown')
        const exposure = await store.add(verdict, bytes, 'gossip')
        if (exposure !== undefined) onExposed(exposure)
        return
      }
      case 'invalid':
        this.#remember(notice.id, verdict.status)
        return this.#blame(neighbour, notice, verdict.message)
      case 'undecided':
        this.#remember(notice.id, verdict.status)
        log.debug(`a fraud proof is undecided: ${verdict.message}`, { accused })
        return
      default:
        return verdict satisfies never
    }
  }

  #inTurn(task: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(() => (this.#stopping.signal.aborted ? undefined : task()))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  #blame(neighbour: string, { accused }: FraudNotice, why: string): void {
    const { demerits, clock, log } = this.#options
    log.debug(`${neighbour} told of a false fraud proof: ${why}`, { accused })
    const nowMs = clock.now()
    demerits.add(neighbour, DEMERIT_PER_FALSE_NOTICE, nowMs)
    this.#queue.rest(neighbour, nowMs + FALSE_NOTICE_REST_MS)
  }

  #judgedBefore(id: string): 'invalid' | 'undecided' | undefined {
    const judged = this.#judged.get(id)
    return judged !== undefined && judged.untilMs > this.#options.clock.now() ? judged.status : undefined
  }

  #remember(id: string, status: 'invalid' | 'undecided'): void {
    this.#judged.delete(id)
    this.#judged.set(id, { status, untilMs: this.#options.clock.now() + JUDGED_MS })
    if (this.#judged.size <= JUDGED_MAX) return
    const oldest = this.#judged.keys().next()
    if (!oldest.done) this.#judged.delete(oldest.value)
  }

  #limited(withinMs: number): { readonly signal: AbortSignal; readonly cancel: () => void } {
    const limit = new AbortController()
    const cancel = this.#options.clock.after(withinMs, () => limit.abort())
    return { signal: AbortSignal.any([limit.signal, this.#stopping.signal]), cancel }
  }
}

/** Does not wait longer than `signal` allows, whether or not the verification heeds it. */
function orUndecided(judgement: Promise<FraudVerdict>, signal: AbortSignal): Promise<FraudVerdict> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve({ status: 'undecided', code: 'aborted', message: 'it took too long' })
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    judgement.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function isOf(notice: FraudNotice, { accused, kind, model }: ProofSummary): boolean {
  return notice.accused === accused && notice.kind === kind && notice.model === model
}
