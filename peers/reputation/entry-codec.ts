/**
 * What is known of one provider, as bytes: exactly one encoding for each value, as the messages of `protocols/receipt`. It is
 * what the store keeps and what an export holds.
 *
 *     message Entry {
 *       string provider = 1;
 *       double suspicion = 2;
 *       double at_ms = 3;
 *       Condemned condemned = 4;
 *       double reliability = 5;
 *       repeated Class classes = 6;
 *       repeated Count counts = 7;       // ascending by kind
 *       repeated Observation recent = 8; // of this provider
 *     }
 *     message Condemned { uint32 kind = 1; string job = 2; double at_ms = 3; }
 *     message Class { string model_class = 1; double checked = 2; uint64 streak = 3; double at_ms = 4; }
 *     message Count { uint32 kind = 1; uint64 count = 2; }
 *     message Observation { uint32 kind = 1; string model_class = 2; string job = 3; double at_ms = 4; double strength = 5; }
 */
import { CodecError, MessageReader, MessageWriter } from '../../protocols/codec/index.ts'
import { ENTRY_BYTES_MAX, ENTRY_CLASSES_MAX, ENTRY_RECENT_MAX, TEXT_BYTES_MAX } from './constants.ts'
import type { Evidence, EvidenceKind } from './evidence.ts'
import type { ClassEntry, LedgerEntry } from './ledger.ts'

/** Throws CodecError where a value is outside its limits. */
export function encodeEntry(entry: LedgerEntry): Uint8Array {
  const { provider, suspicion, atMs, condemned, reliability, classes, counts, recent } = entry
  const encoded = new MessageWriter()
    .text(1, provider)
    .double(2, suspicion)
    .double(3, atMs)
    .bytes(4, condemned === undefined ? NOTHING : encodeCondemned(condemned))
    .double(5, reliability)
    .repeatedBytes(6, classes.map(encodeClass))
    .repeatedBytes(7, encodeCounts(counts))
    .repeatedBytes(8, recent.map(encodeObservation))
    .finish()
  decodeEntry(encoded)
  return encoded
}

/** Strict inverse of `encodeEntry`. Throws CodecError. */
export function decodeEntry(bytes: Uint8Array): LedgerEntry {
  if (bytes.byteLength > ENTRY_BYTES_MAX) throw new CodecError('the entry is too long')
  const reader = new MessageReader(bytes, 'entry')
  const provider = reader.text(1, NAME)
  const suspicion = reader.double(2, ANY)
  const atMs = reader.double(3, ANY)
  const condemned = decodeCondemned(reader.message(4, 'condemnation'))
  const reliability = reader.double(5, { max: 1 })
  const classes = parts(reader, 6, ENTRY_CLASSES_MAX).map(decodeClass)
  const counts = parts(reader, 7, KINDS.length).map(decodeCount)
  const recent = parts(reader, 8, ENTRY_RECENT_MAX).map((part) => decodeObservation(part, provider))
  reader.end()
  if (new Set(classes.map(({ modelClass }) => modelClass)).size < classes.length)
    throw new CodecError('a class of models occurs twice')
  for (const [index, [kind]] of counts.entries()) {
    const before = counts[index - 1]?.[0]
    if (before !== undefined && KINDS.indexOf(before) >= KINDS.indexOf(kind))
      throw new CodecError('counts are not in ascending order')
  }
  return {
    provider,
    suspicion,
    atMs,
    condemned,
    reliability,
    classes,
    counts: Object.fromEntries(counts),
    recent,
  }
}

/** A kind's number is its place, from 1. One more, at the end, makes a new version of store and export. */
const NUMBERS: Readonly<Record<EvidenceKind, number>> = {
  agreed: 1,
  disagreed: 2,
  'timed-out': 3,
  failed: 4,
  'violated-protocol': 5,
  'contradicted-exact': 6,
  'lost-dispute': 7,
  withheld: 8,
  'fraud-proof': 9,
  'contradicted-replay': 10,
}
const KINDS = (Object.keys(NUMBERS) as EvidenceKind[]).sort((a, b) => NUMBERS[a] - NUMBERS[b])

const NOTHING = new Uint8Array(0)
const ANY = { max: Number.MAX_VALUE }
const COUNT = { max: Number.MAX_SAFE_INTEGER }
const NAME = { min: 1, max: TEXT_BYTES_MAX }
const TEXT = { max: TEXT_BYTES_MAX }

function parts(reader: MessageReader, field: number, countMax: number): Uint8Array[] {
  return reader.repeatedBytes(field, { max: ENTRY_BYTES_MAX, countMax })
}

function readKind(reader: MessageReader): EvidenceKind {
  return KINDS[reader.uint(1, { min: 1, max: KINDS.length }) - 1]!
}

function encodeCondemned({ kind, jobId, atMs }: NonNullable<LedgerEntry['condemned']>): Uint8Array {
  return new MessageWriter().uint(1, NUMBERS[kind]).text(2, jobId).double(3, atMs).finish()
}

function decodeCondemned(reader: MessageReader | undefined): LedgerEntry['condemned'] {
  if (reader === undefined) return undefined
  const condemned = { kind: readKind(reader), jobId: reader.text(2, TEXT), atMs: reader.double(3, ANY) }
  reader.end()
  return condemned
}

function encodeClass({ modelClass, checked, streak, atMs }: ClassEntry): Uint8Array {
  return new MessageWriter().text(1, modelClass).double(2, checked).uint(3, streak).double(4, atMs).finish()
}

function decodeClass(bytes: Uint8Array): ClassEntry {
  const reader = new MessageReader(bytes, 'class of models')
  const known = {
    modelClass: reader.text(1, NAME),
    checked: reader.double(2, ANY),
    streak: reader.uint(3, COUNT),
    atMs: reader.double(4, ANY),
  }
  reader.end()
  return known
}

function encodeCounts(counts: LedgerEntry['counts']): Uint8Array[] {
  return KINDS.flatMap((kind) => {
    const count = counts[kind] ?? 0
    return count === 0 ? [] : new MessageWriter().uint(1, NUMBERS[kind]).uint(2, count).finish()
  })
}

function decodeCount(bytes: Uint8Array): [EvidenceKind, number] {
  const reader = new MessageReader(bytes, 'count')
  const count: [EvidenceKind, number] = [readKind(reader), reader.uint(2, { min: 1, ...COUNT })]
  reader.end()
  return count
}

function encodeObservation({ kind, modelClass, jobId, atMs, strength }: Evidence): Uint8Array {
  return new MessageWriter()
    .uint(1, NUMBERS[kind])
    .text(2, modelClass)
    .text(3, jobId)
    .double(4, atMs)
    .double(5, strength)
    .finish()
}

function decodeObservation(bytes: Uint8Array, provider: string): Evidence {
  const reader = new MessageReader(bytes, 'observation')
  const evidence = {
    provider,
    kind: readKind(reader),
    modelClass: reader.text(2, TEXT),
    jobId: reader.text(3, TEXT),
    atMs: reader.double(4, ANY),
    strength: reader.double(5, { max: 1 }),
  }
  reader.end()
  return evidence
}
