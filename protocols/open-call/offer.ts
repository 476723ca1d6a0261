import type { Lane } from '../../models/runtime/index.ts'
import { MessageReader, MessageWriter } from '../codec/index.ts'
import { EnvelopeError, readEnvelope, type Signer, sealEnvelope } from '../envelope/index.ts'
import { asOpenCallErrors } from './call.ts'
import {
  CALL_ID_BYTES,
  OFFER_BYTES_MAX,
  OFFER_MULTIADDR_BYTES_MAX,
  OFFER_MULTIADDRS_MAX,
  SEALED_OFFER_BYTES_MAX,
} from './constants.ts'
import { OpenCallError } from './errors.ts'

/**
 * What a provider of the model answers to a call. It travels over others, so it is signed by itself and not by the
 * connection on which it comes. It promises nothing: whoever is asked may still refuse.
 */
export interface Offer {
  /** Id of the call, 64 hexadecimal digits. */
  readonly call: string
  /** In which lanes the model is served; at least one, `native` before `exact`. */
  readonly lanes: readonly Lane[]
  /** Where the provider can be reached, as text; at most four. Not parsed here. */
  readonly multiaddrs: readonly string[]
}

/** Signs an offer as `signer`. Throws OpenCallError when a value is outside its limits. */
export function sealOffer(signer: Signer, offer: Offer): Uint8Array {
  return asOpenCallErrors(() => {
    const payload = new MessageWriter()
      .uint(1, VERSION)
      .bytes(2, Buffer.from(offer.call, 'hex'))
      .uint(3, (offer.lanes.includes('native') ? 1 : 0) + (offer.lanes.includes('exact') ? 2 : 0))
      .repeatedText(4, offer.multiaddrs)
      .finish()
    decodeOffer(payload)
    return sealEnvelope(signer, OFFER_DOMAIN, OFFER_TYPE, payload)
  })
}

/** An offer whose signature is still to be verified: until then `provider` is only a claim. */
export interface ReadOffer {
  readonly offer: Offer
  /** Peer id of whoever is said to have signed it. */
  readonly provider: string
  /** Throws OpenCallError `bad-signature`. */
  verifySignature(): void
}

/** Throws OpenCallError unless `bytes` are the one encoding of a sealed offer within its limits. */
export function readOffer(bytes: Uint8Array): ReadOffer {
  if (bytes.byteLength > SEALED_OFFER_BYTES_MAX) {
    throw new OpenCallError('too-large', `an offer may have ${SEALED_OFFER_BYTES_MAX} bytes at most`)
  }
  return asOpenCallErrors(() => {
    const { peerId, payload, verifySignature } = asSealErrors(() =>
      readEnvelope(bytes, OFFER_DOMAIN, OFFER_TYPE),
    )
    const offer = decodeOffer(payload)
    return { offer, provider: peerId, verifySignature: () => asSealErrors(verifySignature) }
  })
}

function decodeOffer(payload: Uint8Array): Offer {
  if (payload.byteLength > OFFER_BYTES_MAX) {
    throw new OpenCallError('too-large', `an offer may have ${OFFER_BYTES_MAX} bytes at most, unsigned`)
  }
  const reader = new MessageReader(payload, 'offer')
  reader.uint(1, { min: VERSION, max: VERSION })
  const offer = {
    call: Buffer.from(reader.bytes(2, { min: CALL_ID_BYTES, max: CALL_ID_BYTES })).toString('hex'),
    lanes: LANE_SETS[reader.uint(3, { min: 1, max: LANE_SETS.length }) - 1]!,
    multiaddrs: reader.repeatedText(4, { max: OFFER_MULTIADDR_BYTES_MAX, countMax: OFFER_MULTIADDRS_MAX }),
  }
  reader.end()
  return offer
}

function asSealErrors<Value>(act: () => Value): Value {
  try {
    return act()
  } catch (cause) {
    if (!(cause instanceof EnvelopeError)) throw cause
    const code = cause.code === 'bad-signature' ? 'bad-signature' : 'malformed'
    throw new OpenCallError(code, cause.message, { cause })
  }
}

const VERSION = 1
/** A bit for each lane: 1 is native, 2 is exact. */
const LANE_SETS: readonly (readonly Lane[])[] = [['native'], ['exact'], ['native', 'exact']]
const OFFER_DOMAIN = 'verimesh/offer/1'
const OFFER_TYPE = new TextEncoder().encode('/verimesh/offer/1')
