import type { Conduct } from '../conduct.ts'
import { type OwnLiesInit, ownLies } from '../lies.ts'

/**
 * Models who signs two different answers to one job, one for each eye (Lamport, Shostak and Pease, The Byzantine generals
 * problem, 1982; accountability by two signed statements as in PeerReview, Haeberlen, Kouznetsov and Druschel, 2007). Shows
 * that both receipts together are a proof that needs no model, no run and no witness.
 */
export function createEquivocator(init: OwnLiesInit): Conduct {
  const lies = ownLies(init)
  return {
    honest: false,
    answer(job, random) {
      const lie = lies(job, random)
      return lie === undefined ? { kind: 'right' } : { kind: 'equivocate', lie }
    },
    trace: () => 'honest',
  }
}
