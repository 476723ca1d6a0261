export { offerableAddresses } from './addresses.ts'
export { CallGate, type CallVerdict, type GossipedCall } from './call-gate.ts'
export { OpenCallsError, type OpenCallsErrorCode } from './errors.ts'
export { OfferGate, type OfferVerdict, type Route, type SentOffer } from './offer-gate.ts'
export { OfferSender } from './sender.ts'
export {
  type CallTerms,
  createOpenCalls,
  type OpenCalls,
  type OpenCallsOptions,
  type ReceivedOffer,
} from './service.ts'
