/**
 * What a node knows of others, as a file that it takes along to another machine. The node's own key signs it, and only a node
 * with that key takes it in: what a node has not seen itself counts for nothing, and this is what it has seen.
 *
 *     message Export {
 *       bytes header = 1;           // sealed envelope over Header
 *       bytes body = 2;             // Entries
 *     }
 *     message Header {
 *       uint32 version = 1;
 *       uint64 exported_at_ms = 2;
 *       uint32 entries = 3;
 *       bytes body_digest = 4;      // SHA-256
 *     }
 *     message Entries { repeated Entry entries = 1; } // ascending by provider
 *
 * The header is signed and the body is named by its digest, since an envelope holds a mebibyte at most.
 */
import { createHash } from 'node:crypto'
import { CodecError, MessageReader, MessageWriter } from '../../protocols/codec/index.ts'
import {
  EnvelopeError,
  type OpenedEnvelope,
  openEnvelope,
  type Signer,
  sealEnvelope,
} from '../../protocols/envelope/index.ts'
import { ENTRY_BYTES_MAX, EXPORT_BYTES_MAX, EXPORT_ENTRIES_MAX } from './constants.ts'
import { decodeEntry, encodeEntry } from './entry-codec.ts'
import { ReputationError } from './errors.ts'
import type { LedgerEntry } from './ledger.ts'

/** The bytes of an export: the same for the same entries, in whatever order. Throws ReputationError `too-large`. */
export function sealExport(signer: Signer, entries: Iterable<LedgerEntry>, exportedAtMs: number): Uint8Array {
  const sorted = [...entries].sort((a, b) => (a.provider < b.provider ? -1 : 1))
  const body = new MessageWriter().repeatedBytes(1, sorted.map(encodeEntry)).finish()
  const header = new MessageWriter()
    .uint(1, VERSION)
    .uint(2, Math.floor(exportedAtMs))
    .uint(3, sorted.length)
    .bytes(4, digest(body))
    .finish()
  const sealed = sealEnvelope(signer, DOMAIN, TYPE, header)
  const bytes = new MessageWriter().bytes(1, sealed).bytes(2, body).finish()
  if (bytes.byteLength > EXPORT_BYTES_MAX || sorted.length > EXPORT_ENTRIES_MAX) {
    throw new ReputationError(
      'too-large',
      `an export of ${sorted.length} providers has ${bytes.byteLength} bytes; at most ${EXPORT_ENTRIES_MAX} and ${EXPORT_BYTES_MAX} are taken in again`,
    )
  }
  return bytes
}

export interface OpenedExport {
  readonly exportedAtMs: number
  /** Ascending by provider, each once. */
  readonly entries: readonly LedgerEntry[]
}

/** Opens an export that `peerId` must have signed. Throws ReputationError. */
export function openExport(bytes: Uint8Array, peerId: string): OpenedExport {
  if (bytes.byteLength > EXPORT_BYTES_MAX)
    throw new ReputationError('too-large', `an export has ${EXPORT_BYTES_MAX} bytes at most`)
  try {
    return open(bytes, peerId)
  } catch (cause) {
    if (!(cause instanceof CodecError) && !(cause instanceof EnvelopeError)) throw cause
    throw new ReputationError(
      'damaged',
      `this is no export of what a node knows of others, or it was changed: ${cause.message}. Export it again`,
      { cause },
    )
  }
}

/** Of the header. What comes later is read by whoever knows it. */
const VERSION = 1
const DOMAIN = 'verimesh/reputation-export'
const TYPE = new TextEncoder().encode('/verimesh/reputation-export')

function open(bytes: Uint8Array, peerId: string): OpenedExport {
  const reader = new MessageReader(bytes, 'export')
  const opened = openEnvelope(reader.bytes(1, { min: 1, max: EXPORT_BYTES_MAX }), DOMAIN, TYPE)
  if (opened.peerId !== peerId) {
    throw new ReputationError(
      'wrong-key',
      `this is what ${opened.peerId} knows of others, and this node is ${peerId}: what it has not seen itself counts for nothing. To move a node, take its identity.key along`,
    )
  }
  const { exportedAtMs, count, bodyDigest } = readHeader(opened)
  const body = reader.bytes(2, { max: EXPORT_BYTES_MAX })
  reader.end()
  if (Buffer.compare(digest(body), bodyDigest) !== 0) throw new CodecError('its content was changed')
  const entries = readEntries(body)
  if (entries.length !== count) throw new CodecError('it holds another number of providers than it says')
  return { exportedAtMs, entries }
}

function readHeader({ payload }: OpenedEnvelope) {
  const reader = new MessageReader(payload, 'header of an export')
  const version = reader.uint(1, { min: 1, max: Number.MAX_SAFE_INTEGER })
  if (version > VERSION) {
    throw new ReputationError(
      'newer-version',
      'this export was written by a newer version of verimesh, in a form that this one does not know: update it here',
    )
  }
  const header = {
    exportedAtMs: reader.uint(2, { max: Number.MAX_SAFE_INTEGER }),
    count: reader.uint(3, { max: EXPORT_ENTRIES_MAX }),
    bodyDigest: reader.bytes(4, { min: 32, max: 32 }),
  }
  reader.end()
  return header
}

function readEntries(body: Uint8Array): LedgerEntry[] {
  const reader = new MessageReader(body, 'entries')
  const entries = reader
    .repeatedBytes(1, { max: ENTRY_BYTES_MAX, countMax: EXPORT_ENTRIES_MAX })
    .map(decodeEntry)
  reader.end()
  for (const [index, { provider }] of entries.entries()) {
    const before = entries[index - 1]
    if (before !== undefined && before.provider >= provider)
      throw new CodecError('providers are not in ascending order')
  }
  return entries
}

function digest(body: Uint8Array): Uint8Array {
  return createHash('sha256').update(body).digest()
}
