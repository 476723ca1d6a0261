export { ENVELOPE_BYTES_MAX } from './constants.ts'
export {
  decodeEnvelope,
  type Envelope,
  type OpenedEnvelope,
  openEnvelope,
  type ReadEnvelope,
  readEnvelope,
  sealEnvelope,
} from './envelope.ts'
export { EnvelopeError, type EnvelopeErrorCode } from './errors.ts'
export { PUBLIC_KEY_BYTES, peerIdOfKey } from './key.ts'
export { createSigner, type Signer } from './signer.ts'
