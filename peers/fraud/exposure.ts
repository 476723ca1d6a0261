import { type FraudKind, isAccusablePeerId } from '../../protocols/fraud/index.ts'
import { EXPOSURE_TEXT_MAX, EXPOSURES_FILE_BYTES_MAX, EXPOSURES_MAX } from './constants.ts'

/** What a valid proof is about. */
export interface ProofSummary {
  /** Peer id of the key that contradicts itself. */
  readonly accused: string
  readonly kind: FraudKind
  /** CID of the model. */
  readonly model: string
  readonly jobId: string
  /** Whether the job allows that proofs about it are shown to others. */
  readonly publishable: boolean
}

/** A key whose fraud this node has verified. It stays known when the proof's bytes are dropped. */
export interface Exposure extends ProofSummary {
  /** SHA-256 of the proof, as 64 hexadecimal digits. */
  readonly id: string
  /** Length of the proof. */
  readonly bytes: number
  /** Wall time of this node. */
  readonly foundAtMs: number
  /** Whether this node proved it itself or verified what another one proved. */
  readonly origin: ProofOrigin
}

export type ProofOrigin = 'own' | 'gossip'

/** One line of JSON for each, in order. */
export function encodeExposures(exposures: Iterable<Exposure>): Uint8Array {
  let text = ''
  for (const { accused, id, kind, model, jobId, publishable, bytes, foundAtMs, origin } of exposures) {
    const line = { accused, id, kind, model, jobId, publishable, bytes, foundAtMs, origin }
    text += `${JSON.stringify(line)}\n`
  }
  return new TextEncoder().encode(text)
}

/** What can be read of it, at most `EXPOSURES_MAX`, and how many lines can't: a damaged one costs only itself. */
export function decodeExposures(bytes: Uint8Array): { exposures: Exposure[]; damaged: number } {
  if (bytes.byteLength > EXPOSURES_FILE_BYTES_MAX) return { exposures: [], damaged: 1 }
  const lines = new TextDecoder()
    .decode(bytes)
    .split('\n')
    .filter((line) => line !== '')
  const exposures = lines.slice(0, EXPOSURES_MAX).map(decodeExposure)
  const good = exposures.filter((exposure) => exposure !== undefined)
  return { exposures: good, damaged: lines.length - good.length }
}

function decodeExposure(line: string): Exposure | undefined {
  const parsed = parse(line)
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const {
    accused,
    id,
    kind,
    model,
    jobId,
    publishable,
    bytes,
    foundAtMs,
    origin,
  }: Partial<Record<keyof Exposure, unknown>> = parsed
  if (!isText(accused) || !isAccusablePeerId(accused)) return undefined
  if (!isText(id) || !/^[0-9a-f]{64}$/.test(id)) return undefined
  if (!isFraudKind(kind) || !isText(model) || !isText(jobId)) return undefined
  if (typeof publishable !== 'boolean' || !isCount(bytes) || !isCount(foundAtMs)) return undefined
  if (origin !== 'own' && origin !== 'gossip') return undefined
  return { accused, id, kind, model, jobId, publishable, bytes, foundAtMs, origin }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= EXPOSURE_TEXT_MAX
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isFraudKind(value: unknown): value is FraudKind {
  return value === 'wiring' || value === 'execution' || value === 'shape' || value === 'equivocation'
}
