/**
 * Signed envelopes of libp2p (RFC 0002): who says it, what kind of thing it is, the thing, the signature.
 *
 *     message Envelope {
 *       bytes public_key = 1;    // libp2p PublicKey, protobuf
 *       bytes payload_type = 2;
 *       bytes payload = 3;
 *       bytes signature = 5;     // over varint-prefixed domain, payload_type and payload
 *     }
 *
 * The signature covers the payload's bytes as they came; nothing is encoded again to verify it. The domain is not
 * in the envelope: whoever opens it must know what it was signed for. Ed25519 only: it is what this mesh's peer ids
 * are, and its verification leaves no choice of algorithm to a sender.
 */
import { verify } from 'node:crypto'
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { CodecError, MessageReader, MessageWriter } from '../codec/index.ts'
import { ENVELOPE_BYTES_MAX, PAYLOAD_TYPE_BYTES_MAX, SIGNATURE_BYTES } from './constants.ts'
import { EnvelopeError } from './errors.ts'
import { verifyingKey } from './key.ts'
import type { Signer } from './signer.ts'

export interface Envelope {
  /** libp2p's encoding. */
  readonly publicKey: Uint8Array
  readonly payloadType: Uint8Array
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

export interface OpenedEnvelope {
  /** Who signed, as a peer id. */
  readonly peerId: string
  readonly publicKey: Uint8Array
  /** Looks into the bytes that were opened. */
  readonly payload: Uint8Array
}

/** Signs `payload` for `domain` and returns the envelope's bytes. Throws EnvelopeError `too-large`. */
export function sealEnvelope(
  signer: Signer,
  domain: string,
  payloadType: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  const bytes = new MessageWriter()
    .bytes(1, signer.publicKey)
    .bytes(2, payloadType)
    .bytes(3, payload)
    .bytes(5, signer.sign(signedBytes(domain, payloadType, payload)))
    .finish()
  verifySize(bytes)
  return bytes
}

/**
 * Opens an envelope that must have been sealed for `domain` with this payload type.
 * Throws EnvelopeError; when it returns, the signature is good and the bytes are the envelope's only encoding.
 */
export function openEnvelope(bytes: Uint8Array, domain: string, payloadType: Uint8Array): OpenedEnvelope {
  const { verifySignature, ...opened } = readEnvelope(bytes, domain, payloadType)
  verifySignature()
  return opened
}

/** An envelope whose signature is still to be verified: until then `peerId` is only a claim. */
export interface ReadEnvelope extends OpenedEnvelope {
  /** Throws EnvelopeError `bad-signature`. */
  verifySignature(): void
}

/**
 * As `openEnvelope`, but leaves it to the caller when the signature is verified, which takes longer than all the rest:
 * what does not depend on it can begin before.
 */
export function readEnvelope(bytes: Uint8Array, domain: string, payloadType: Uint8Array): ReadEnvelope {
  const { publicKey, payload, signature, ...envelope } = decodeEnvelope(bytes)
  if (Buffer.compare(envelope.payloadType, payloadType) !== 0) {
    throw new EnvelopeError('wrong-type', 'the envelope holds another kind of payload')
  }
  const { keyObject, peerId } = verifyingKey(publicKey)
  return {
    peerId,
    publicKey,
    payload,
    verifySignature() {
      if (verify(null, signedBytes(domain, payloadType, payload), keyObject, signature)) return
      throw new EnvelopeError('bad-signature', `the signature is not ${peerId}'s over these bytes`)
    },
  }
}

/** Takes an envelope apart without verifying its signature. Throws EnvelopeError `malformed` or `too-large`. */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  verifySize(bytes)
  try {
    const reader = new MessageReader(bytes, 'envelope')
    const envelope = {
      publicKey: reader.bytes(1, { min: 1, max: ENVELOPE_BYTES_MAX }),
      payloadType: reader.bytes(2, { min: 1, max: PAYLOAD_TYPE_BYTES_MAX }),
      payload: reader.bytes(3, { min: 1, max: ENVELOPE_BYTES_MAX }),
      signature: reader.bytes(5, { min: SIGNATURE_BYTES, max: SIGNATURE_BYTES }),
    }
    reader.end()
    return envelope
  } catch (cause) {
    if (!(cause instanceof CodecError)) throw cause
    throw new EnvelopeError('malformed', cause.message, { cause })
  }
}

/** RFC 0002: domain, type and payload, each behind its length as an unsigned varint. */
function signedBytes(domain: string, payloadType: Uint8Array, payload: Uint8Array): Uint8Array {
  return new BinaryWriter().string(domain).bytes(payloadType).bytes(payload).finish()
}

function verifySize(bytes: Uint8Array): void {
  if (bytes.byteLength > ENVELOPE_BYTES_MAX) {
    throw new EnvelopeError('too-large', `an envelope may have ${ENVELOPE_BYTES_MAX} bytes at most`)
  }
}
