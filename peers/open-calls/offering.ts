import type { Lane } from '../../models/runtime/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import { Allowances } from '../../protocols/fraud/index.ts'
import { type OpenCall, sealOffer } from '../../protocols/open-call/index.ts'
import type { Clock } from '../clock/index.ts'
import type { Host, Log } from '../host/index.ts'
import { offerableAddresses } from './addresses.ts'
import {
  OWN_OFFER_DELAY_PART,
  OWN_OFFERS_BURST,
  OWN_OFFERS_PER_SECOND,
  OWN_OFFERS_WAITING_MAX,
} from './constants.ts'
import type { Route } from './offer-gate.ts'

export interface OfferingOptions {
  readonly host: Host
  readonly signer: Signer
  /** In which lanes this node would run jobs of the call now; undefined or none: it offers nothing. */
  readonly lanesFor: (call: OpenCall, caller: string) => readonly Lane[] | undefined
  readonly clock: Clock
  /** In [0, 1). Spreads offers; nobody gains by guessing it. */
  readonly random: () => number
  readonly log: Log
}

export interface Offering {
  /** A call was heard. Returns at once: gossipsub waits for whoever judges its messages. */
  heard(route: Route, call: OpenCall): void
  stop(): void
}

/** Answers calls that this node wants, each a little later, so that not all providers of a model answer at once. */
export function createOffering(
  { host, signer, lanesFor, clock, random, log }: OfferingOptions,
  send: (route: Route, sealed: Uint8Array) => void,
): Offering {
  const allowance = new Allowances({
    burst: OWN_OFFERS_BURST,
    perSecond: OWN_OFFERS_PER_SECOND,
    keysMax: 1,
  })
  const waiting = new Set<() => void>()

  const offer = (route: Route, call: OpenCall): void => {
    const lanes = lanesFor(call, route.caller)
    if (lanes === undefined || lanes.length === 0 || !allowance.take('', 1, clock.now())) return
    const multiaddrs = offerableAddresses(host.getMultiaddrs().map(String))
    send(route, sealOffer(signer, { call: route.id, lanes, multiaddrs }))
    log.debug(`offered to run ${call.model} for ${route.caller}`, { model: call.model, call: route.id })
  }

  return {
    heard(route, call) {
      // Asked again when its moment has come: by then it may be busy.
      const lanes = lanesFor(call, route.caller)
      if (lanes === undefined || lanes.length === 0 || waiting.size >= OWN_OFFERS_WAITING_MAX) return
      const cancel = clock.after(random() * OWN_OFFER_DELAY_PART * route.windowMs, () => {
        waiting.delete(cancel)
        offer(route, call)
      })
      waiting.add(cancel)
    },
    stop() {
      for (const cancel of waiting) cancel()
      waiting.clear()
    },
  }
}
