import type { Conduct, NativeAnswer, TraceConduct } from '../conduct.ts'
import type { Lies } from '../lies.ts'

export interface LiarInit {
  readonly lies: Lies
  /** How it traces an answer that was a lie. */
  readonly trace: TraceConduct
}

/** Lies on the jobs that `lies` says, and is like an honest provider on all others: what the named liars are made of. */
export function createLiar({ lies, trace }: LiarInit): Conduct {
  return {
    honest: false,
    answer(job, random) {
      const lie = lies(job, random)
      return lie === undefined ? { kind: 'right' } : { kind: 'lie', lie }
    },
    trace: (_job, answered) => traceOf(answered, trace),
  }
}

/** Who told the truth has nothing to gain from a trace that does not show it. */
export function traceOf(answered: NativeAnswer, ofLies: TraceConduct): TraceConduct {
  return answered.kind === 'lie' ? ofLies : 'honest'
}
