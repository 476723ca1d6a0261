import type { Conduct, TraceConduct } from '../conduct.ts'
import { type OwnLiesInit, ownLies } from '../lies.ts'
import { createLiar } from './liar.ts'

/**
 * Models Sarmenta's saboteur (Sabotage-tolerance mechanisms for volunteer computing systems, 2002): answers wrongly with
 * probability s, each job anew and each in its own way; also the overclocked machine for the sake of which BOINC
 * runs jobs twice (Anderson 2004). Shows what plain doubt is worth: whoever else is asked gives the lie away, and the lower the rate,
 * the longer it takes until anybody else is.
 */
export function createIndependentLiar({
  trace,
  ...lies
}: OwnLiesInit & { readonly trace: TraceConduct }): Conduct {
  return createLiar({ lies: ownLies(lies), trace })
}
