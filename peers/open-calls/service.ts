/**
 * Open calls at this node: hears them, passes them on, offers what it serves, carries the offers of others towards the
 * caller, and makes calls of its own.
 *
 * A call travels by gossip; an offer travels back the way that its call came, from neighbour to neighbour, over
 * connections that are there. So a caller need not be reachable by strangers, nor say where it is, and nobody can have a
 * whole mesh dial an address of its choice. Whoever does not serve the model pays for one short message a call, and for
 * a bounded number of offers where it lies on their way.
 */
import { randomBytes } from 'node:crypto'
import { type TopicValidatorFn, TopicValidatorResult } from '@libp2p/gossipsub'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Lane } from '../../models/runtime/index.ts'
import { Allowances } from '../../protocols/fraud/index.ts'
import {
  CALL_NONCE_BYTES,
  createOfferReceiver,
  encodeOpenCall,
  OPEN_CALL_TOPIC,
  type OpenCall,
  openCallId,
} from '../../protocols/open-call/index.ts'
import { dialableAddresses } from '../announcements/index.ts'
import { sleep } from '../clock/index.ts'
import { DEMERIT_PER_INVALID_MESSAGE } from '../host/index.ts'
import { CallGate } from './call-gate.ts'
import {
  OTHER_WAYS,
  OWN_BURST,
  OWN_CALLS_MAX,
  OWN_PER_SECOND,
  REACH_MS,
  REACH_RETRY_MS,
} from './constants.ts'
import { OpenCallsError } from './errors.ts'
import { OfferGate, type Route } from './offer-gate.ts'
import { createOffering, type OfferingOptions } from './offering.ts'
import { OfferSender } from './sender.ts'

export interface OpenCallsOptions extends OfferingOptions {
  /** Whether it hears calls and passes them on. Whoever leaves in a minute only makes calls of its own. */
  readonly hears: boolean
}

/** What a call says, but for what is the same for all of this node's. */
export type CallTerms = Omit<OpenCall, 'nonce' | 'issuedAtMs'>

/** An offer for a call of this node's own, signed by its provider. What it says is still a claim. */
export interface ReceivedOffer {
  readonly provider: string
  readonly lanes: readonly Lane[]
  /** Where the provider says that it can be dialled, each ending in its peer id. */
  readonly multiaddrs: readonly string[]
}

export interface OpenCalls {
  /** Before the host dials anybody. */
  start(): Promise<void>
  /**
   * Makes a call and resolves when its window has closed, with one offer a provider, in the order in which they came.
   * Rejects with OpenCallsError `unheard` when no neighbour listens to calls, `too-many-calls`, or the signal's reason.
   */
  call(terms: CallTerms, signal: AbortSignal): Promise<readonly ReceivedOffer[]>
  /** Before the host stops. Idempotent. */
  stop(): Promise<void>
}

export function createOpenCalls(options: OpenCallsOptions): OpenCalls {
  const { host, clock, log } = options
  const { gossip, demerits } = host.services
  const self = host.peerId.toString()
  const calls = new CallGate(self)
  const offers = new OfferGate()
  const sender = new OfferSender({ connectionTo, log })
  const own = new Map<string, ReceivedOffer[]>()
  const ownCalls = new Allowances({ burst: OWN_BURST, perSecond: OWN_PER_SECOND, keysMax: 1 })
  let isStopped = false
  const offering = createOffering(options, (route, sealed) => {
    for (const neighbour of ways(route)) sender.send(neighbour, sealed)
  })

  function connectionTo(neighbour: string) {
    const usable = host.getConnections(peerIdFromString(neighbour))
    return usable.find(({ status, limits }) => status === 'open' && limits === undefined)
  }

  /** Straight to the caller where there is a connection to it, else by the neighbour from which its call came. */
  function nextOn({ caller, towards }: Route): string {
    return towards === undefined || connectionTo(caller) !== undefined ? caller : towards
  }

  function ways(route: Route): readonly string[] {
    const first = nextOn(route)
    if (first === route.caller) return [first]
    const others = gossip.getSubscribers(OPEN_CALL_TOPIC).map(String)
    return [first, ...drawn(others, OTHER_WAYS, first, options.random)]
  }

  function blame(neighbour: string, why: string): void {
    log.debug(`${neighbour} sent what no honest node passes on: ${why}`)
    demerits.add(neighbour, DEMERIT_PER_INVALID_MESSAGE, clock.now())
  }

  const validate: TopicValidatorFn = (neighbour, message) => {
    if (message.type !== 'signed') return TopicValidatorResult.Reject
    const nowMs = clock.now()
    const from = { author: message.from.toString(), neighbour: neighbour.toString() }
    const verdict = calls.check({ ...from, data: message.data }, nowMs)
    switch (verdict.type) {
      case 'ignore':
        return TopicValidatorResult.Ignore
      case 'reject':
        blame(from.neighbour, `a call that is ${verdict.reason}`)
        return TopicValidatorResult.Reject
      case 'accept': {
        const { id, call } = verdict
        const route = { id, caller: from.author, towards: from.neighbour, windowMs: call.windowMs }
        offers.open(route, nowMs)
        offering.heard(route, call)
        return TopicValidatorResult.Accept
      }
      default:
        return verdict satisfies never
    }
  }

  /** False where no more is to be read from this neighbour for now. */
  function onOffer(neighbour: string, sealed: Uint8Array): boolean {
    const verdict = offers.check({ neighbour, sealed }, clock.now())
    switch (verdict.type) {
      case 'take': {
        const { provider, offer } = verdict
        const { lanes } = offer
        log.debug(`${provider} offers itself`, { provider, call: offer.call })
        own
          .get(offer.call)
          ?.push({ provider, lanes, multiaddrs: dialableAddresses(provider, offer.multiaddrs) })
        return true
      }
      case 'pass':
        sender.send(nextOn(verdict.route), sealed)
        return true
      case 'ignore':
        return verdict.reason !== 'too-many'
      case 'reject':
        blame(neighbour, `an offer that is ${verdict.reason}`)
        return false
      default:
        return verdict satisfies never
    }
  }

  const receiver = createOfferReceiver({
    libp2p: host,
    onOffer,
    onViolation: (neighbour, error) => blame(neighbour, error.message),
  })

  /** Resolves when some neighbour was handed the call. */
  async function publish(data: Uint8Array, signal: AbortSignal): Promise<void> {
    const untilMs = clock.now() + REACH_MS
    for (;;) {
      // Gossipsub skips a subscriber to which it has no stream yet, and a node that has just started has no neighbour.
      const { recipients } = await gossip.publish(OPEN_CALL_TOPIC, data)
      if (recipients.length > 0) return
      if (clock.now() >= untilMs) {
        throw new OpenCallsError(
          'unheard',
          'no neighbour of this node listens to open calls: begin with a node of a mesh that does, --bootstrap MULTIADDR',
        )
      }
      await sleep(clock, REACH_RETRY_MS, signal)
    }
  }

  return {
    async start() {
      await receiver.start()
      if (!options.hears) return
      gossip.topicValidators.set(OPEN_CALL_TOPIC, validate)
      gossip.subscribe(OPEN_CALL_TOPIC)
    },
    async call(terms, signal) {
      signal.throwIfAborted()
      if (own.size >= OWN_CALLS_MAX || !ownCalls.take('', 1, clock.now())) {
        throw new OpenCallsError(
          'too-many-calls',
          'this node has made as many open calls as others listen to: wait',
        )
      }
      const issuedAtMs = Math.floor(clock.now())
      const data = encodeOpenCall({ ...terms, nonce: randomBytes(CALL_NONCE_BYTES), issuedAtMs })
      const id = openCallId(self, data)
      const taken: ReceivedOffer[] = []
      own.set(id, taken)
      try {
        offers.open(
          { id, caller: self, towards: undefined, windowMs: terms.windowMs + REACH_MS },
          clock.now(),
        )
        await publish(data, signal)
        await sleep(clock, terms.windowMs, signal)
        return taken
      } finally {
        own.delete(id)
        offers.close(id)
      }
    },
    async stop() {
      if (isStopped) return
      isStopped = true
      offering.stop()
      if (options.hears) {
        gossip.unsubscribe(OPEN_CALL_TOPIC)
        gossip.topicValidators.delete(OPEN_CALL_TOPIC)
      }
      await receiver.stop()
    },
  }
}

/** Up to `count` of `values` other than `not`, at random. */
function drawn(
  values: readonly string[],
  count: number,
  not: string,
  random: () => number,
): readonly string[] {
  const left = values.filter((value) => value !== not)
  const chosen: string[] = []
  while (chosen.length < count && left.length > 0) {
    chosen.push(...left.splice(Math.floor(random() * left.length), 1))
  }
  return chosen
}
