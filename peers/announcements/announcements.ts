import { type SubscriptionChangeData, type TopicValidatorFn, TopicValidatorResult } from '@libp2p/gossipsub'
import type { PeerId } from '@libp2p/interface'
import type { Announcement } from '../../protocols/announcement/index.ts'
import type { Book } from '../book/index.ts'
import { DEMERIT_PER_INVALID_MESSAGE } from '../host/index.ts'
import { dialableAddresses } from './addresses.ts'
import { Channel, type ChannelOptions, type ModelOffer } from './channel.ts'
import { GOODBYE_PEERS_MAX, GOODBYE_TIMEOUT_MS } from './constants.ts'
import { AnnouncementGate } from './gate.ts'

export interface AnnouncementsOptions extends ChannelOptions {
  /** Gets every announcement that was accepted. */
  readonly book: Book
  /** Called after the book was told. */
  readonly onAnnouncement?: (author: string, announcement: Announcement) => void
}

/** Who serves a model and how busy it is, by one gossip topic a model. Nobody hears of models it does not care for. */
export interface Announcements {
  /** Listens to a model until `ignore`. Idempotent. */
  listen(model: string): void
  ignore(model: string): void
  /** Announces a model of this node, at first and whenever what it offers changes. Listens to it too. */
  offer(model: string, offer: ModelOffer): void
  /** Tells the listeners that this node stops to serve the model. Resolves when it was handed to the network. */
  withdraw(model: string): Promise<void>
  /** Withdraws everything and listens to nothing more. Call it before the host stops. */
  stop(): Promise<void>
}

/** The gossip topic of a model. */
export function modelTopic(model: string): string {
  return `/verimesh/model/${model}`
}

export function createAnnouncements(options: AnnouncementsOptions): Announcements {
  const { host, book, log } = options
  const { gossip } = host.services
  const gate = new AnnouncementGate(host.peerId.toString())
  const channels = new Map<string, Channel>()
  const listening = new Set<string>()

  const onSubscriptionChange = ({ detail }: CustomEvent<SubscriptionChangeData>) => {
    for (const { topic, subscribe } of detail.subscriptions) {
      if (subscribe) channels.get(topic)?.subscribed(detail.peerId)
    }
  }
  gossip.addEventListener('subscription-change', onSubscriptionChange)

  const join = (model: string) => {
    const topic = modelTopic(model)
    gossip.topicValidators.set(
      topic,
      validatorOf(options, gate, model, (nowMs) => {
        channels.get(topic)?.met(book.candidates(model, nowMs).length)
      }),
    )
    gossip.subscribe(topic)
  }
  const part = (model: string) => {
    const topic = modelTopic(model)
    if (listening.has(model) || channels.has(topic)) return
    gossip.unsubscribe(topic)
    gossip.topicValidators.delete(topic)
  }
  const withdraw = async (model: string): Promise<readonly PeerId[]> => {
    const topic = modelTopic(model)
    const channel = channels.get(topic)
    if (channel === undefined) return []
    channels.delete(topic)
    let told: readonly PeerId[] = []
    try {
      told = await channel.leave()
    } catch (error) {
      // Others notice by the missing heartbeat.
      log.debug(`could not say that ${model} is no longer served: ${String(error)}`)
    }
    part(model)
    return told
  }

  return {
    listen(model) {
      listening.add(model)
      join(model)
    },
    ignore(model) {
      if (listening.delete(model)) part(model)
    },
    offer(model, offer) {
      const topic = modelTopic(model)
      const channel = channels.get(topic)
      if (channel !== undefined) {
        channel.changed(offer)
        return
      }
      channels.set(topic, new Channel(options, model, topic, offer))
      join(model)
    },
    async withdraw(model) {
      await withdraw(model)
    },
    async stop() {
      gossip.removeEventListener('subscription-change', onSubscriptionChange)
      const models = [...listening]
      listening.clear()
      for (const model of models) part(model)
      const told = await Promise.all(
        [...channels.keys()].map((topic) => withdraw(topic.slice(modelTopic('').length))),
      )
      await delivered(options, told.flat())
    },
  }
}

function validatorOf(
  options: AnnouncementsOptions,
  gate: AnnouncementGate,
  model: string,
  onNewProvider: (nowMs: number) => void,
): TopicValidatorFn {
  const { host, clock, log } = options
  return (neighbour, message) => {
    if (message.type !== 'signed') return TopicValidatorResult.Reject
    const nowMs = clock.now()
    const author = message.from.toString()
    const verdict = gate.check({ model, author, neighbour: neighbour.toString(), data: message.data }, nowMs)
    switch (verdict.type) {
      case 'ignore':
        return TopicValidatorResult.Ignore
      case 'reject':
        log.debug(`refused an announcement from ${neighbour}: ${verdict.reason}`, { model, author })
        host.services.demerits.add(neighbour.toString(), DEMERIT_PER_INVALID_MESSAGE, nowMs)
        return TopicValidatorResult.Reject
      case 'accept':
        // Passed on even when this node's own book is full: others may have room.
        note(options, author, verdict.announcement, nowMs)
        if (verdict.first) onNewProvider(nowMs)
        return TopicValidatorResult.Accept
      default:
        return verdict satisfies never
    }
  }
}

function note(
  options: AnnouncementsOptions,
  author: string,
  announcement: Announcement,
  nowMs: number,
): void {
  const multiaddrs = dialableAddresses(author, announcement.multiaddrs)
  options.book.announced(author, { ...announcement, multiaddrs }, nowMs)
  options.onAnnouncement?.(author, announcement)
}

/**
 * Resolves when the neighbours have read what was just published. What is still on its way when a connection closes is
 * dropped at the far side, so a goodbye right before the end would be heard by nobody. A pong comes after it.
 */
async function delivered({ host, log }: AnnouncementsOptions, neighbours: readonly PeerId[]): Promise<void> {
  const signal = AbortSignal.timeout(GOODBYE_TIMEOUT_MS)
  const distinct = new Map(neighbours.map((peer) => [peer.toString(), peer]))
  await Promise.all(
    [...distinct.values()].slice(0, GOODBYE_PEERS_MAX).map(async (peer) => {
      try {
        await host.services.ping.ping(peer, { signal })
      } catch (error) {
        log.debug(`${peer} may not have heard the goodbye: ${String(error)}`)
      }
    }),
  )
}
