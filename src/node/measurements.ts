/**
 * What this machine measured of its models. Lies beside the model directories, never in them: the same source has the
 * same address everywhere, whatever a machine found.
 */
import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import type { Calibration, LaneJudgement } from '../../models/calibration/index.ts'
import { replaceFile } from '../../peers/files/index.ts'

export interface Measurement {
  /** Of the exact lane that was checked: `version` of its runtime. */
  readonly laneId: string
  /** The processor, by name: another machine has to measure for itself. */
  readonly machine: string
  readonly exactLane: LaneJudgement
  /** What `models calibrate` found; absent where only the exact lane was checked. */
  readonly calibration?: Calibration
}

/** What was measured on this machine for this lane, if anything was. A file that is damaged or of another machine counts for nothing. */
export async function readMeasurement(
  dataDirectory: string,
  cid: string,
  laneId: string,
): Promise<Measurement | undefined> {
  let found: unknown
  try {
    found = JSON.parse(await readFile(pathOf(dataDirectory, cid), 'utf8'), restoreInfinity)
  } catch {
    // Absent or damaged: it is measured again.
    return undefined
  }
  return isMeasurement(found) && found.laneId === laneId && found.machine === machineName()
    ? found
    : undefined
}

/** Replaces what was measured before. Rejects where the directory cannot be written. */
export async function writeMeasurement(
  dataDirectory: string,
  cid: string,
  measured: Omit<Measurement, 'machine'>,
): Promise<void> {
  const text = JSON.stringify({ ...measured, machine: machineName() }, keepInfinity, 2)
  await replaceFile(pathOf(dataDirectory, cid), Buffer.from(`${text}\n`), 0o600)
}

const DIRECTORY = 'measurements'

function pathOf(dataDirectory: string, cid: string): string {
  return join(dataDirectory, DIRECTORY, `${cid}.json`)
}

function machineName(): string {
  return `${cpus()[0]?.model ?? 'unknown'} ${process.arch}`
}

function isMeasurement(value: unknown): value is Measurement {
  if (typeof value !== 'object' || value === null) return false
  const { laneId, machine, exactLane } = value as Partial<Record<keyof Measurement, unknown>>
  return (
    typeof laneId === 'string' &&
    typeof machine === 'string' &&
    typeof exactLane === 'object' &&
    exactLane !== null &&
    'ok' in exactLane &&
    typeof exactLane.ok === 'boolean'
  )
}

/** JSON has no infinity. */
function keepInfinity(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? 'Infinity' : value
}

function restoreInfinity(_key: string, value: unknown): unknown {
  return value === 'Infinity' ? Number.POSITIVE_INFINITY : value
}
