import type { Lane } from '../../models/runtime/index.ts'
import type { MessageReader } from '../codec/index.ts'

/** Of the messages in this folder. A change of any of them is a new version. */
export const VERSION = 1

/** 1 is `native`, 2 is `exact`; 0 is left to mean that nothing was said, which is refused. */
export function encodeLane(lane: Lane): number {
  return LANES.indexOf(lane) + 1
}

export function decodeLane(reader: MessageReader, field: number): Lane {
  return LANES[reader.uint(field, { min: 1, max: LANES.length }) - 1]!
}

const LANES: readonly Lane[] = ['native', 'exact']
