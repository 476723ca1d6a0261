import type { Conduct } from '../conduct.ts'
import type { Lies } from '../lies.ts'
import { createLiar } from './liar.ts'

/**
 * Models the liar that defends its lie: its trace ends in what it answered, so it is false at some step, and the signed leaf
 * there is a proof (DESIGN section 5; the referee of Canetti, Riva and Rothblum, Practical delegation of computation using
 * multiple servers, 2011). Shows that one dispute is enough to be exposed to everybody, and that answers which rested on
 * the key are found afterwards.
 */
export function createTracingLiar(lies: Lies): Conduct {
  return createLiar({ lies, trace: 'lying' })
}
