import type { Conduct, TraceConduct } from '../conduct.ts'
import { IDLE_FACTOR } from './idle.ts'

/**
 * Models who sells what others do: forwards every job to another provider and signs its answer as its own (the outsourcing
 * attack of the Filecoin paper, 2017). Right as long as the other is, so it is not found by its answers; but its agreement
 * with the one that it asked is none, and it answers for a liar's lie. Shows what that costs: latency, and one vote that was
 * counted twice. The time of the forwarded job is the network's to model; its own machine does next to nothing.
 */
export function createProxy(trace: Exclude<TraceConduct, 'lying'>): Conduct {
  return {
    honest: false,
    answer: () => ({ kind: 'forward' }),
    trace: () => trace,
    serviceFactor: () => IDLE_FACTOR,
  }
}
