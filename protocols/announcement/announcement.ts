import type { Lane } from '../../models/runtime/index.ts'
import { CodecError, MessageReader, MessageWriter } from '../codec/index.ts'
import {
  ANNOUNCEMENT_BYTES_MAX,
  CID_BYTES_MAX,
  INSTRUCTION_SET_BYTES_MAX,
  LOAD_MAX,
  MULTIADDR_BYTES_MAX,
  MULTIADDRS_MAX,
  SERVICE_MS_MAX,
  TTL_MS_MAX,
} from './constants.ts'
import { AnnouncementError } from './errors.ts'

/**
 * What a provider says about one model that it serves. Its author is whoever signed the gossip message; everything in
 * it is that author's claim.
 */
export interface Announcement {
  /** CID of the model, as in the topic. */
  readonly model: string
  /** At least one; each once, `native` before `exact`. */
  readonly lanes: readonly Lane[]
  readonly running: number
  readonly queued: number
  /** How many requests are taken before new ones are refused as busy. */
  readonly capacity: number
  /** Median time of one execution, in milliseconds. */
  readonly serviceMs: number
  /** Instruction-set class, which decides the last bits of native results. */
  readonly instructionSet: string
  /** Where the author can be reached, as text; at most eight. Not parsed here. */
  readonly multiaddrs: readonly string[]
  /** Rises with every announcement of one author about one model. */
  readonly sequence: number
  /** Wall time of the author, whole milliseconds since 1970. */
  readonly issuedAtMs: number
  /** How long it holds, from when it was received. */
  readonly ttlMs: number
  /** The author stops to serve the model now. */
  readonly leaving: boolean
}

/** Throws AnnouncementError when a value is outside its limits. */
export function encodeAnnouncement(announcement: Announcement): Uint8Array {
  try {
    const bytes = new MessageWriter()
      .uint(1, VERSION)
      .text(2, announcement.model)
      .uint(3, encodeLanes(announcement.lanes))
      .uint(4, announcement.running)
      .uint(5, announcement.queued)
      .uint(6, announcement.capacity)
      .double(7, announcement.serviceMs)
      .text(8, announcement.instructionSet)
      .repeatedText(9, announcement.multiaddrs)
      .uint(10, announcement.sequence)
      .uint(11, announcement.issuedAtMs)
      .uint(12, announcement.ttlMs)
      .bool(13, announcement.leaving)
      .finish()
    decodeAnnouncement(bytes)
    return bytes
  } catch (cause) {
    throw asAnnouncementError(cause)
  }
}

/** Throws AnnouncementError unless `bytes` are the one encoding of an announcement within its limits. */
export function decodeAnnouncement(bytes: Uint8Array): Announcement {
  if (bytes.byteLength > ANNOUNCEMENT_BYTES_MAX) {
    throw new AnnouncementError(
      'too-large',
      `an announcement may have ${ANNOUNCEMENT_BYTES_MAX} bytes at most`,
    )
  }
  try {
    const reader = new MessageReader(bytes, 'announcement')
    reader.uint(1, { min: VERSION, max: VERSION })
    const announcement = {
      model: reader.text(2, { min: 1, max: CID_BYTES_MAX }),
      lanes: LANE_SETS[reader.uint(3, { min: 1, max: LANE_SETS.length }) - 1]!,
      running: reader.uint(4, { max: LOAD_MAX }),
      queued: reader.uint(5, { max: LOAD_MAX }),
      capacity: reader.uint(6, { max: LOAD_MAX }),
      serviceMs: reader.double(7, { max: SERVICE_MS_MAX }),
      instructionSet: reader.text(8, { min: 1, max: INSTRUCTION_SET_BYTES_MAX }),
      multiaddrs: reader.repeatedText(9, { max: MULTIADDR_BYTES_MAX, countMax: MULTIADDRS_MAX }),
      sequence: reader.uint(10, { max: Number.MAX_SAFE_INTEGER }),
      issuedAtMs: reader.uint(11, { max: Number.MAX_SAFE_INTEGER }),
      ttlMs: reader.uint(12, { min: 1, max: TTL_MS_MAX }),
      leaving: reader.bool(13),
    }
    reader.end()
    return announcement
  } catch (cause) {
    throw asAnnouncementError(cause)
  }
}

const VERSION = 1
/** A bit for each lane: 1 is native, 2 is exact. */
const LANE_SETS: readonly (readonly Lane[])[] = [['native'], ['exact'], ['native', 'exact']]

function encodeLanes(lanes: readonly Lane[]): number {
  return (lanes.includes('native') ? 1 : 0) + (lanes.includes('exact') ? 2 : 0)
}

function asAnnouncementError(error: unknown): unknown {
  if (!(error instanceof CodecError)) return error
  return new AnnouncementError('malformed', error.message, { cause: error })
}
