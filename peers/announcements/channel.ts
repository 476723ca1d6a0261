import type { PeerId } from '@libp2p/interface'
import { type Announcement, encodeAnnouncement } from '../../protocols/announcement/index.ts'
import type { Clock } from '../clock/index.ts'
import type { Host, Log } from '../host/index.ts'
import { announceableAddresses } from './addresses.ts'
import {
  ANNOUNCEMENT_TTL_MS,
  ANSWERS_TO_NEWCOMER,
  CHANGE_SETTLE_MS,
  HEARTBEAT_JITTER,
  HEARTBEAT_MS,
  NEWCOMER_DELAY_MAX_MS,
  NEWCOMER_DELAY_MIN_MS,
  NEWCOMER_RETRIES_MAX,
  NEWCOMER_RETRY_MS,
  NEWCOMERS_MAX,
  PUBLISH_BURST,
  PUBLISH_PER_SECOND,
} from './constants.ts'
import { TokenBucket } from './rate.ts'

/** What a provider tells about a model of its own. */
export interface ModelOffer {
  readonly lanes: Announcement['lanes']
  /** Instruction-set class, for example `x64-avx512`. */
  readonly instructionSet: string
  readonly running: number
  readonly queued: number
  readonly capacity: number
  readonly serviceMs: number
}

export interface ChannelOptions {
  readonly host: Host
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly log: Log
}

/**
 * Announces one model of this node: when its load changes, when somebody new listens, and on a slow heartbeat. All of
 * these only move the next publication forward; one bucket limits how often that is.
 */
export class Channel {
  readonly #options: ChannelOptions
  readonly #model: string
  readonly #topic: string
  readonly #bucket: TokenBucket
  /** Listeners that have not got an announcement yet, and how often that failed. */
  readonly #newcomers = new Map<string, number>()
  #offer: ModelOffer
  #sequence = 0
  #nextAtMs = Number.POSITIVE_INFINITY
  #cancel = () => {}
  #closed = false

  constructor(options: ChannelOptions, model: string, topic: string, offer: ModelOffer) {
    this.#options = options
    this.#model = model
    this.#topic = topic
    this.#offer = offer
    this.#bucket = new TokenBucket(PUBLISH_BURST, PUBLISH_PER_SECOND, options.clock.now())
    this.#publishWithin(CHANGE_SETTLE_MS)
  }

  changed(offer: ModelOffer): void {
    this.#offer = offer
    this.#publishWithin(CHANGE_SETTLE_MS)
  }

  /** `peer` began to listen to the topic. */
  subscribed(peer: PeerId): void {
    if (this.#newcomers.size >= NEWCOMERS_MAX) return
    this.#newcomers.set(peer.toString(), 0)
    this.#publishWithin(this.#newcomerDelayMs())
  }

  /**
   * A provider of the model was heard for the first time. It joined after this node's last announcement, so perhaps it
   * has not heard of this node; gossip carries the answer to it also where no connection does. Of many providers only
   * some answer: a newcomer need not know all at once.
   */
  met(providersKnown: number): void {
    const { random } = this.#options
    if (random() * providersKnown < ANSWERS_TO_NEWCOMER) this.#publishWithin(this.#newcomerDelayMs())
  }

  /** Says that this node stops to serve the model. Nothing is announced any more. Resolves with who was told. */
  async leave(): Promise<readonly PeerId[]> {
    if (this.#closed) return []
    this.close()
    return this.#send(true)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  #newcomerDelayMs(): number {
    return NEWCOMER_DELAY_MIN_MS + this.#options.random() * (NEWCOMER_DELAY_MAX_MS - NEWCOMER_DELAY_MIN_MS)
  }

  #publishWithin(delayMs: number): void {
    if (this.#closed) return
    const { clock } = this.#options
    const nowMs = clock.now()
    const atMs = nowMs + Math.max(delayMs, this.#bucket.waitMs(nowMs))
    if (atMs >= this.#nextAtMs) return
    this.#cancel()
    this.#nextAtMs = atMs
    this.#cancel = clock.after(atMs - nowMs, () => {
      this.#publish().catch((error: unknown) => {
        this.#options.log.warn(`could not announce ${this.#model}: ${String(error)}`, { model: this.#model })
      })
    })
  }

  async #publish(): Promise<void> {
    const { clock, random } = this.#options
    this.#nextAtMs = Number.POSITIVE_INFINITY
    if (this.#bucket.waitMs(clock.now()) === 0) await this.#send(false)
    this.#publishWithin(HEARTBEAT_MS * (1 + HEARTBEAT_JITTER * (2 * random() - 1)))
    const waiting = Math.min(...this.#newcomers.values())
    if (Number.isFinite(waiting)) this.#publishWithin(NEWCOMER_RETRY_MS * 2 ** waiting)
  }

  async #send(leaving: boolean): Promise<readonly PeerId[]> {
    const { host, clock } = this.#options
    const nowMs = clock.now()
    // Rises also over a restart of this node, as long as its clock is not set back.
    this.#sequence = Math.max(this.#sequence + 1, Math.floor(nowMs))
    const bytes = encodeAnnouncement({
      ...this.#offer,
      model: this.#model,
      multiaddrs: announceableAddresses(host.getMultiaddrs().map(String)),
      sequence: this.#sequence,
      issuedAtMs: Math.floor(nowMs),
      ttlMs: ANNOUNCEMENT_TTL_MS,
      leaving,
    })
    const { recipients } = await host.services.gossip.publish(this.#topic, bytes)
    // What reached nobody cost nobody anything.
    if (recipients.length > 0) this.#bucket.take(nowMs)
    for (const recipient of recipients) this.#newcomers.delete(recipient.toString())
    // Gossipsub skips a subscriber to which it has no stream yet, which is so for some ms after it connected.
    for (const [peer, failures] of this.#newcomers) {
      if (failures >= NEWCOMER_RETRIES_MAX) this.#newcomers.delete(peer)
      else this.#newcomers.set(peer, failures + 1)
    }
    return recipients
  }
}
