import type { PeerId } from '@libp2p/interface'
import { Allowances, encodeFraudNotice } from '../../protocols/fraud/index.ts'
import type { Clock } from '../clock/index.ts'
import type { Log } from '../host/index.ts'
import {
  HEARTBEAT_JITTER,
  HEARTBEAT_MS,
  NEWCOMER_DELAY_MAX_MS,
  NEWCOMER_DELAY_MIN_MS,
  NEWCOMER_RETRIES_MAX,
  NEWCOMER_RETRY_MS,
  NEWCOMERS_MAX,
  PUBLISH_BURST,
  PUBLISH_PER_SECOND,
  TOLD_TO_NEWCOMER,
} from './constants.ts'
import type { Exposure } from './exposure.ts'

export interface TellerOptions {
  /** Hands a notice to the network. Resolves with whom it was sent to. */
  readonly publish: (notice: Uint8Array) => Promise<readonly PeerId[]>
  /** What this node stands for now: verified, held, and allowed to be shown. In the order of finding. */
  readonly tellable: () => readonly Exposure[]
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly log: Log
}

/**
 * Tells of the proofs that this node stands for: a new one at once, some of them when somebody begins to listen, and
 * one after the other on a slow heartbeat, for those who came or began to care later. One bucket limits all of it.
 */
export class Teller {
  readonly #options: TellerOptions
  readonly #bucket = new Allowances({ burst: PUBLISH_BURST, perSecond: PUBLISH_PER_SECOND, keysMax: 1 })
  /** Accused to tell of now, in order. */
  readonly #due = new Set<string>()
  /** Listeners that have not got a notice yet, and how often that failed. */
  readonly #newcomers = new Map<string, number>()
  #lastTold: string | undefined
  #nextAtMs = Number.POSITIVE_INFINITY
  #cancel = () => {}
  #stopped = false

  constructor(options: TellerOptions) {
    this.#options = options
    this.#tickWithin(this.#heartbeatMs())
  }

  /** Tells of a key as soon as the rate allows. */
  tell(accused: string): void {
    this.#due.add(accused)
    this.#tickWithin(0)
  }

  /** `peer` began to listen. */
  subscribed(peer: PeerId): void {
    if (this.#newcomers.size >= NEWCOMERS_MAX) return
    this.#newcomers.set(peer.toString(), 0)
    for (const { accused } of this.#forNewcomer()) this.#due.add(accused)
    const { random } = this.#options
    this.#tickWithin(NEWCOMER_DELAY_MIN_MS + random() * (NEWCOMER_DELAY_MAX_MS - NEWCOMER_DELAY_MIN_MS))
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  /** Own ones first; of the rest, each neighbour tells others, so that together they tell more. */
  #forNewcomer(): readonly Exposure[] {
    return this.#options
      .tellable()
      .map((exposure) => ({
        exposure,
        order: (exposure.origin === 'own' ? 0 : 1) + this.#options.random(),
      }))
      .sort((a, b) => a.order - b.order)
      .slice(0, TOLD_TO_NEWCOMER)
      .map(({ exposure }) => exposure)
  }

  #heartbeatMs(): number {
    return HEARTBEAT_MS * (1 + HEARTBEAT_JITTER * (2 * this.#options.random() - 1))
  }

  #tickWithin(delayMs: number): void {
    if (this.#stopped) return
    const { clock } = this.#options
    const nowMs = clock.now()
    const atMs = nowMs + Math.max(delayMs, this.#bucket.waitMs('', 1, nowMs))
    if (atMs >= this.#nextAtMs) return
    this.#cancel()
    this.#nextAtMs = atMs
    this.#cancel = clock.after(atMs - nowMs, () => {
      this.#tick().catch((error: unknown) => {
        this.#options.log.warn(`could not tell of a fraud proof: ${String(error)}`)
      })
    })
  }

  async #tick(): Promise<void> {
    this.#nextAtMs = Number.POSITIVE_INFINITY
    const exposure = this.#choose()
    try {
      if (exposure !== undefined) await this.#tell(exposure)
    } finally {
      this.#tickWithin(this.#heartbeatMs())
      const waited = Math.max(0, ...this.#newcomers.values())
      if (this.#due.size > 0) this.#tickWithin(waited === 0 ? 0 : NEWCOMER_RETRY_MS * 2 ** (waited - 1))
      else this.#newcomers.clear()
    }
  }

  /** What is due, else whose turn it is after the one told last. */
  #choose(): Exposure | undefined {
    const tellable = this.#options.tellable()
    for (const accused of this.#due) {
      const exposure = tellable.find((one) => one.accused === accused)
      if (exposure !== undefined) return exposure
      this.#due.delete(accused)
    }
    const last = tellable.findIndex(({ accused }) => accused === this.#lastTold)
    return tellable[(last + 1) % Math.max(1, tellable.length)]
  }

  async #tell(exposure: Exposure): Promise<void> {
    const { clock, publish } = this.#options
    const { accused } = exposure
    this.#due.delete(accused)
    const recipients = (await publish(encodeFraudNotice(exposure))).map(String)
    this.#lastTold = accused
    // What reached nobody cost nobody anything.
    if (recipients.length > 0) this.#bucket.take('', 1, clock.now())
    // Gossipsub skips a subscriber to which it has no stream yet, which is so for some ms after it connected.
    for (const [peer, failures] of this.#newcomers) {
      if (recipients.includes(peer)) continue
      if (failures >= NEWCOMER_RETRIES_MAX) this.#newcomers.delete(peer)
      else {
        this.#newcomers.set(peer, failures + 1)
        this.#due.add(accused)
      }
    }
  }
}
