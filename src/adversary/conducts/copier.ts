import type { Conduct, TraceConduct } from '../conduct.ts'
import { IDLE_FACTOR } from './idle.ts'

export interface CopierInit {
  readonly name: string
  /** It has no lie to defend: asked for a trace it runs the exact lane after all, or finds an excuse. */
  readonly trace: Exclude<TraceConduct, 'lying'>
}

/**
 * Models the replica that waits for another's answer and hands it in as its own, lie or truth; where it sees none, garbage.
 * Its agreement looks like a second run and is none. Shows why answers are committed to before any is revealed in an open
 * call (DESIGN section 4), and what a requester that keeps answers to itself until all are in leaves it: guessing.
 */
export function createCopier({ name, trace }: CopierInit): Conduct {
  return {
    honest: false,
    answer: ({ jobId }) => ({ kind: 'copy', lie: `${name}/${jobId}` }),
    trace: () => trace,
    serviceFactor: () => IDLE_FACTOR,
  }
}
