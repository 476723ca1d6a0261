import type { IdentifyResult, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { type Clock, sleep } from '../clock/index.ts'
import { type Host, KAD_PROTOCOL, type Log } from '../host/index.ts'
import {
  ADDRESSES_PER_PROVIDER_MAX,
  FOLLOW_PAUSE_FACTOR,
  FOLLOW_PAUSE_MAX_MS,
  FOLLOW_PAUSE_MIN_MS,
  FOLLOWED_CONNECTIONS_MAX,
  JOIN_SETTLE_MS,
  PROVIDERS_MAX,
  QUERY_TIMEOUT_MS,
  RECORD_HOLDERS_WANTED,
  RECORDS_MAX,
  REPROVIDE_INTERVAL_MS,
  REPROVIDE_MIN_INTERVAL_MS,
  YIELD_DIAL_MS,
} from './constants.ts'
import { DiscoveryError } from './errors.ts'

export interface FoundProvider {
  readonly peerId: PeerId
  readonly multiaddrs: readonly Multiaddr[]
}

export interface DiscoveryOptions {
  readonly host: Host
  readonly clock: Clock
  readonly log: Log
  /** Called for each provider that any search saw, also for ones seen before. A record is a claim, up to 48 hours old. */
  readonly onProvider?: (model: string, provider: FoundProvider) => void
  /** Connects to a provider that was found; `onProvider` was told of it. In place of a dial to the record's addresses. */
  readonly connect?: (provider: FoundProvider, signal: AbortSignal) => Promise<unknown>
}

/** Who provides a model, by provider records in the DHT: how those who know nobody find the first ones. */
export interface Discovery {
  /**
   * Keeps a provider record of `model` (a CID) in the DHT until `withdraw`, and follows the model too. Returns at
   * once; a record that was published while alone is published again when peers arrive.
   */
  provide(model: string): void
  /** Stops publishing. Records that others hold die by themselves within 48 hours; an announcement says it at once. */
  withdraw(model: string): void
  /** Keeps looking for providers of `model` and stays connected to some, so that gossip about it reaches this node. */
  follow(model: string): void
  unfollow(model: string): void
  /** Each provider once, this node excepted, at most 20. Ends by itself; an aborted `signal` ends it early. */
  findProviders(model: string, signal: AbortSignal): AsyncIterable<FoundProvider>
  stop(): void
}

export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { host } = options
  const stopping = new AbortController()
  const tasks = new Map<string, RecordTask>()

  const onIdentify = (event: CustomEvent<IdentifyResult>) => {
    if (!event.detail.protocols.includes(KAD_PROTOCOL)) return
    for (const task of tasks.values()) task.peerArrived()
  }
  host.addEventListener('peer:identify', onIdentify)

  const taskOf = (model: string): RecordTask => {
    const existing = tasks.get(model)
    if (existing !== undefined) return existing
    if (tasks.size >= RECORDS_MAX) {
      throw new DiscoveryError(
        'too-many-records',
        `${RECORDS_MAX} models are provided or followed already. Stop to serve one of them first.`,
      )
    }
    const task = new RecordTask(options, model, parseCid(model), stopping.signal)
    tasks.set(model, task)
    return task
  }
  const update = (model: string, change: (task: RecordTask) => void) => {
    const task = tasks.get(model)
    if (task === undefined) return
    change(task)
    if (task.provided || task.followed) return
    task.stop()
    tasks.delete(model)
  }

  return {
    provide: (model) => taskOf(model).set({ provided: true }),
    follow: (model) => taskOf(model).set({ followed: true }),
    withdraw: (model) => update(model, (task) => task.set({ provided: false })),
    unfollow: (model) => update(model, (task) => task.set({ followed: false })),
    findProviders: (model, signal) =>
      findProviders(options, model, parseCid(model), AbortSignal.any([signal, stopping.signal])),
    stop() {
      host.removeEventListener('peer:identify', onIdentify)
      stopping.abort()
      tasks.clear()
    },
  }
}

/**
 * Publishes, then searches, over and over. In this order two nodes that join at the same moment through the same
 * bootstrap can't both miss each other: whoever publishes second finds the first.
 */
class RecordTask {
  provided = false
  followed = false
  readonly #options: DiscoveryOptions
  readonly #model: string
  readonly #cid: CID
  readonly #stopping = new AbortController()
  #publishedAtMs = Number.NEGATIVE_INFINITY
  #holders = 0
  #arrivals = 0
  #pauseMs = FOLLOW_PAUSE_MIN_MS
  /** Ends the present pause; replaced by each. */
  #wake = () => {}

  constructor(options: DiscoveryOptions, model: string, cid: CID, signal: AbortSignal) {
    this.#options = options
    this.#model = model
    this.#cid = cid
    const both = AbortSignal.any([signal, this.#stopping.signal])
    this.#run(both).catch((error: unknown) => {
      if (!both.aborted) options.log.warn(`discovery of ${model} ended: ${String(error)}`)
    })
  }

  set(change: { provided?: boolean; followed?: boolean }): void {
    const providesNow = change.provided === true && !this.provided
    Object.assign(this, change)
    if (!providesNow) return
    this.#publishedAtMs = Number.NEGATIVE_INFINITY
    this.#wake()
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** A peer that keeps records was identified. */
  peerArrived(): void {
    this.#arrivals++
    const unsettled = this.#holders < RECORD_HOLDERS_WANTED || this.#pauseMs < FOLLOW_PAUSE_MAX_MS
    if (unsettled) this.#wake()
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    // Whoever made this task says in the same breath whether it provides.
    await Promise.resolve()
    while (!signal.aborted) {
      const arrivals = this.#arrivals
      try {
        if (this.#mustPublish()) await this.#publish(signal)
        await this.#search(signal)
      } catch (error) {
        if (signal.aborted) return
        log.debug(`no answer from the DHT about ${this.#model}: ${String(error)}`)
      }
      if (this.#arrivals === arrivals) await this.#pause(this.#pauseMs, signal)
      this.#pauseMs = Math.min(FOLLOW_PAUSE_MAX_MS, this.#pauseMs * FOLLOW_PAUSE_FACTOR)
      if (this.#arrivals !== arrivals) await sleep(clock, JOIN_SETTLE_MS, signal)
    }
  }

  #mustPublish(): boolean {
    if (!this.provided) return false
    const ageMs = this.#options.clock.now() - this.#publishedAtMs
    if (ageMs >= REPROVIDE_INTERVAL_MS) return true
    const grown = this.#options.host.getPeers().length > this.#holders
    return this.#holders < RECORD_HOLDERS_WANTED && grown && ageMs >= REPROVIDE_MIN_INTERVAL_MS
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { host, clock, log } = this.#options
    let holders = 0
    for await (const event of host.services.dht.provide(this.#cid, { signal: withTimeout(signal) })) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') holders++
    }
    this.#holders = holders
    this.#publishedAtMs = clock.now()
    log.debug(`provider record of ${this.#model} is held by ${holders} peers`, {
      model: this.#model,
      holders,
    })
  }

  async #search(signal: AbortSignal): Promise<void> {
    const { host, log } = this.#options
    const dials: Promise<unknown>[] = []
    for await (const provider of findProviders(this.#options, this.#model, this.#cid, signal)) {
      if (host.getConnections(provider.peerId).length > 0 || dials.length >= FOLLOWED_CONNECTIONS_MAX)
        continue
      dials.push(
        this.#connect(provider, signal).catch((error: unknown) => {
          if (signal.aborted) return
          log.debug(`provider ${provider.peerId} can't be reached: ${String(error)}`)
        }),
      )
    }
    await Promise.all(dials)
  }

  async #connect(provider: FoundProvider, signal: AbortSignal): Promise<void> {
    const { host, clock, connect } = this.#options
    const { peerId, multiaddrs } = provider
    // Two that find each other at once would both dial, and pay two handshakes: one of them lets the other begin.
    if (host.peerId.toString() > peerId.toString()) {
      await sleep(clock, YIELD_DIAL_MS, signal)
      if (host.getConnections(peerId).length > 0) return
    }
    const bounded = withTimeout(signal)
    if (connect !== undefined) {
      await connect(provider, bounded)
      return
    }
    if (multiaddrs.length > 0) {
      await host.peerStore.merge(peerId, { multiaddrs: [...multiaddrs] }, { signal: bounded })
    }
    await host.dial(peerId, { signal: bounded })
  }

  #pause(pauseMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (done: () => void) => {
        cancel()
        signal.removeEventListener('abort', onAbort)
        this.#wake = () => {}
        done()
      }
      const onAbort = () => finish(() => reject(signal.reason))
      const cancel = this.#options.clock.after(pauseMs, () => finish(resolve))
      this.#wake = () => finish(resolve)
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
    })
  }
}

async function* findProviders(
  { host, onProvider }: DiscoveryOptions,
  model: string,
  cid: CID,
  signal: AbortSignal,
): AsyncGenerator<FoundProvider> {
  const seen = new Set<string>([host.peerId.toString()])
  const bounded = withTimeout(signal)
  try {
    for await (const event of host.services.dht.findProviders(cid, { signal: bounded })) {
      if (event.name !== 'PROVIDER') continue
      for (const { id, multiaddrs } of event.providers) {
        const key = id.toString()
        if (seen.has(key)) continue
        seen.add(key)
        const provider = { peerId: id, multiaddrs: multiaddrs.slice(0, ADDRESSES_PER_PROVIDER_MAX) }
        onProvider?.(model, provider)
        yield provider
        if (seen.size > PROVIDERS_MAX) return
      }
    }
  } catch (error) {
    // The end of the time for a search is the end of the search: what was found stands.
    if (!bounded.aborted) throw error
  }
}

function withTimeout(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(QUERY_TIMEOUT_MS)])
}

function parseCid(model: string): CID {
  try {
    return CID.parse(model)
  } catch (error) {
    throw new DiscoveryError('invalid-cid', `"${model}" is no CID, so it is no model's address.`, {
      cause: error,
    })
  }
}
