import type { TrackRecord } from '../../peers/reputation/index.ts'

/** A provider that could take a job, as the book knows it at one moment. */
export interface Candidate {
  readonly provider: string
  /** Keys that are probably one owner's: an IPv4 /24, an IPv6 /48, or the key itself where addresses are exempt. */
  readonly group: string
  /** Announced; undefined when nothing was announced lately. */
  readonly load:
    | {
        readonly running: number
        readonly queued: number
        readonly capacity: number
        readonly serviceMs: number
      }
    | undefined
  /** Measured by ourselves. */
  readonly rttMs: number | undefined
  readonly serviceMs: number | undefined
  /** Requests of ours that it is working on. */
  readonly outstanding: number
  /** It said busy: not before this time. */
  readonly notBeforeMs: number
  /** What this node has seen of its answers; left out, nothing. */
  readonly record?: TrackRecord
  /** Share of the jobs that it took which it answered, from 0 to 1; left out, 1. */
  readonly reliability?: number
  /** Announced; left out, any. */
  readonly lanes?: readonly string[]
  /** Announced class of its processor's instructions; left out, unknown. */
  readonly instructionSet?: string
}
