import type { Conduct, TraceConduct } from '../conduct.ts'
import { type CommonLiesInit, commonLies } from '../lies.ts'
import { createLiar } from './liar.ts'

export interface AdaptiveCoalition {
  /** A further member; all of one coalition share what they learn. */
  join(trace: TraceConduct): Conduct
}

/**
 * Models colluders who talk to one another: as soon as one of them is asked for a trace of an answer, the content is known
 * to be disputed, and from then on all tell the truth about it, the others' re-checks and the referee's third included. The
 * member that was asked is given up. Against those who look for coalitions in who agrees with whom (Staab and Engel, Collusion
 * detection for grid computing, 2009) it leaves as few traces as it can. Shows whether a dispute that rests on one
 * independent match is led astray by those who adapt to it, and what re-checks of old answers still find.
 *
 * What it remembers grows with the contents that were disputed, and with nothing else.
 */
export function createAdaptiveCoalition(init: CommonLiesInit): AdaptiveCoalition {
  const common = commonLies(init)
  const disputed = new Set<number>()
  return {
    join(trace) {
      const member = createLiar({
        lies: (job, random) => (disputed.has(job.content) ? undefined : common(job, random)),
        trace,
      })
      return {
        ...member,
        trace(job, answered, random) {
          disputed.add(job.content)
          return member.trace(job, answered, random)
        },
      }
    },
  }
}
