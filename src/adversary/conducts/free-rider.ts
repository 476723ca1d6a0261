import type { Conduct, TraceConduct } from '../conduct.ts'
import { isPicked } from '../content-hash.ts'
import { IDLE_FACTOR } from './idle.ts'
import { traceOf } from './liar.ts'

export interface FreeRiderInit {
  readonly name: string
  /** Decides with the content which work it saves itself. */
  readonly seed: number
  /** Share of contents, from 0 to 1, on which it saves itself the work. */
  readonly rate: number
  /**
   * 'own': noise of its own. 'same': what costs least, such as zeros. All who do that agree, although they never met: a
   * coalition by accident.
   */
  readonly garbage: 'own' | 'same'
  readonly trace: TraceConduct
}

/**
 * Models who wants the credit without the work: answers garbage at once and never runs the model (Golle and Mironov,
 * Uncheatable distributed computations, 2001, for the lazy participant; Adar and Huberman, Free riding on Gnutella, 2000,
 * for how many there are). It is also the fastest provider around. Shows that speed which was bought with garbage draws no
 * lasting share of the jobs.
 */
export function createFreeRider({ name, seed, rate, garbage, trace }: FreeRiderInit): Conduct {
  return {
    honest: false,
    answer({ jobId, content }) {
      if (!isPicked(seed, content, rate)) return { kind: 'right' }
      return { kind: 'lie', lie: garbage === 'same' ? 'zeros' : `${name}/${jobId}` }
    },
    trace: (_job, answered) => traceOf(answered, trace),
    serviceFactor: ({ content }) => (isPicked(seed, content, rate) ? IDLE_FACTOR : 1),
  }
}
