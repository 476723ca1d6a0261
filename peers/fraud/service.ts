/**
 * How fraud proofs spread. A notice goes from a node to its neighbours and no further: gossipsub is told to ignore
 * each, whatever it says. Whom it concerns fetches the proof from who told of it, verifies it, and then tells its own
 * neighbours in its own name. So a proof is verified by everybody who passes it on, nobody waits inside gossipsub
 * for it, and who tells of a false one is the only one to blame.
 */
import { type SubscriptionChangeData, type TopicValidatorFn, TopicValidatorResult } from '@libp2p/gossipsub'
import { createProofServer, type FraudNotice, type FraudVerdict } from '../../protocols/fraud/index.ts'
import { DEMERIT_PER_INVALID_MESSAGE, type Host } from '../host/index.ts'
import { FRAUD_TOPIC } from './constants.ts'
import type { Exposure } from './exposure.ts'
import { Follower, type FollowerOptions } from './follower.ts'
import { NoticeGate } from './gate.ts'
import { Teller } from './teller.ts'

export interface FraudServiceOptions extends Omit<FollowerOptions, 'libp2p' | 'demerits'> {
  readonly host: Host
  /** Whether this node knows the accused, or serves or uses the model. What concerns nobody here costs nothing. */
  readonly concerns: (notice: FraudNotice) => boolean
  /** Whether this node's owner wants a proof to be shown. Proofs about private jobs never are. Default: yes. */
  readonly publishable?: (exposure: Exposure) => boolean
  /** In [0, 1). */
  readonly random: () => number
}

export interface FraudService {
  /** Serves proofs, and tells and hears of them. Before the host dials anybody. */
  start(): Promise<void>
  /**
   * Verifies a proof that this node made, keeps it, and tells of it if that is allowed. What is not valid is not kept:
   * our own mistake must not become a slander. `onExposed` is not called.
   */
  publish(proof: Uint8Array, signal: AbortSignal): Promise<Publication>
  /** Before the host stops. Idempotent. */
  stop(): Promise<void>
}

export interface Publication {
  readonly verdict: FraudVerdict
  /** What is known of the key now; undefined unless the proof is valid. An older proof of the same key stays. */
  readonly exposure: Exposure | undefined
  /** Whether others are told. */
  readonly told: boolean
}

export function createFraudService(options: FraudServiceOptions): FraudService {
  const { host, store, concerns, clock, random, log, publishable = () => true } = options
  const { gossip, demerits } = host.services
  const gate = new NoticeGate(host.peerId.toString())
  const isShown = (exposure: Exposure) =>
    exposure.publishable && store.isHeld(exposure.accused) && publishable(exposure)
  const server = createProofServer({
    libp2p: host,
    proofOf: (id) => {
      const exposure = store.findHeld(id)
      if (exposure === undefined || !isShown(exposure)) return undefined
      return { bytes: exposure.bytes, read: () => store.get(exposure.accused) }
    },
    onError: (peer, error) => log.debug(`${peer} did not get a fraud proof: ${error.message}`),
  })
  let teller: Teller | undefined
  const tell = (exposure: Exposure): boolean => {
    if (teller === undefined || !isShown(exposure)) return false
    teller.tell(exposure.accused)
    return true
  }
  const follower = new Follower({
    ...options,
    libp2p: host,
    demerits,
    onExposed: (exposure) => {
      log.info(`${exposure.accused} is exposed: it contradicts itself (${exposure.kind})`, { ...exposure })
      options.onExposed(exposure)
      tell(exposure)
    },
  })

  const validate: TopicValidatorFn = (neighbour, message) => {
    if (message.type !== 'signed') return TopicValidatorResult.Reject
    const nowMs = clock.now()
    const from = { author: message.from.toString(), neighbour: neighbour.toString() }
    const verdict = gate.check({ ...from, data: message.data }, nowMs)
    switch (verdict.type) {
      case 'ignore':
        return TopicValidatorResult.Ignore
      case 'reject':
        log.debug(`refused a notice of a fraud proof from ${from.neighbour}: ${verdict.reason}`)
        demerits.add(from.neighbour, DEMERIT_PER_INVALID_MESSAGE, nowMs)
        return TopicValidatorResult.Reject
      case 'consider':
        if (!store.has(verdict.notice.accused) && concerns(verdict.notice))
          follower.follow({ neighbour: from.neighbour, notice: verdict.notice })
        return TopicValidatorResult.Ignore
      default:
        return verdict satisfies never
    }
  }
  const onSubscriptionChange = ({ detail }: CustomEvent<SubscriptionChangeData>) => {
    const isNew = detail.subscriptions.some(({ topic, subscribe }) => topic === FRAUD_TOPIC && subscribe)
    if (isNew) teller?.subscribed(detail.peerId)
  }

  return {
    async start() {
      await server.start()
      teller = new Teller({
        publish: async (notice) => (await gossip.publish(FRAUD_TOPIC, notice)).recipients,
        // What concerns nobody here any more may be forgotten by others too.
        tellable: () => store.list().filter((one) => isShown(one) && (one.origin === 'own' || concerns(one))),
        ...{ clock, random, log },
      })
      gossip.addEventListener('subscription-change', onSubscriptionChange)
      gossip.topicValidators.set(FRAUD_TOPIC, validate)
      gossip.subscribe(FRAUD_TOPIC)
    },
    async publish(proof, signal) {
      const verdict = await options.verify(proof, signal)
      if (verdict.status !== 'valid') return { verdict, exposure: undefined, told: false }
      const exposure = await store.add(verdict, proof, 'own')
      const told = exposure !== undefined && tell(exposure)
      return { verdict, exposure: exposure ?? store.find(verdict.accused), told }
    },
    async stop() {
      if (teller === undefined) return
      teller.stop()
      teller = undefined
      gossip.removeEventListener('subscription-change', onSubscriptionChange)
      gossip.unsubscribe(FRAUD_TOPIC)
      gossip.topicValidators.delete(FRAUD_TOPIC)
      await server.stop()
      await follower.stop()
    },
  }
}
