import type { Conduct, TraceConduct } from '../conduct.ts'
import { type CommonLiesInit, commonLies } from '../lies.ts'
import { createLiar } from './liar.ts'

/**
 * Models a member of a coalition that needs no messages: all pick the same contents by a seeded hash and give one common
 * wrong answer. Sarmenta (2002) takes it as the worst case of voting, since two who are both asked agree; in peer-to-peer
 * networks it is the malicious collective, at a rate below 1 the camouflaged one (Kamvar, Schlosser and Garcia-Molina, The
 * EigenTrust algorithm, 2003). Shows that agreement of unproven keys is worth one key, and that a member is
 * found out on every job on which somebody outside is asked.
 *
 * Members are those with the same name, seed and rate. With `trace` 'lying' they lie alike there too.
 */
export function createColludingLiar({
  trace,
  ...lies
}: CommonLiesInit & { readonly trace: TraceConduct }): Conduct {
  return createLiar({ lies: commonLies(lies), trace })
}
