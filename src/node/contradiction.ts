import { CONTRADICTION_FACTOR, CONTRADICTION_TAU_MAX } from './constants.ts'

/**
 * The tolerance beyond which a native answer contradicts an exact run, for the tolerance `tau` in which two native answers
 * agree. Between the two nothing is concluded: engines honestly part on some inputs.
 */
export function contradictionTau(tau: number): number {
  return Math.max(tau, Math.min(CONTRADICTION_TAU_MAX, tau * CONTRADICTION_FACTOR))
}
