export { decodeOpenCall, encodeOpenCall, type OpenCall, openCallId } from './call.ts'
export {
  CALL_BYTES_MAX,
  CALL_NONCE_BYTES,
  OFFER_MULTIADDR_BYTES_MAX,
  OFFER_MULTIADDRS_MAX,
  OFFER_PROTOCOL,
  OPEN_CALL_TOPIC,
  SEALED_OFFER_BYTES_MAX,
  WINDOW_MS_MAX,
  WINDOW_MS_MIN,
} from './constants.ts'
export {
  createOfferReceiver,
  type OfferReceiver,
  type OfferReceiverComponents,
  sendOffers,
} from './delivery.ts'
export { OpenCallError, type OpenCallErrorCode } from './errors.ts'
export { type Offer, type ReadOffer, readOffer, sealOffer } from './offer.ts'
