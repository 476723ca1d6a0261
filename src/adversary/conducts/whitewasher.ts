import type { Conduct } from '../conduct.ts'
import { afterHonestJobs } from '../lies.ts'
import { createLiar, type LiarInit } from './liar.ts'

/**
 * Models who throws an exposed key away and comes back as a newcomer, which costs nothing here (Feldman, Papadimitriou,
 * Chuang and Stoica, Free-riding and whitewashing in peer-to-peer systems, 2004; Friedman and Resnick, The social cost of
 * cheap pseudonyms, 2001). Shows that a new key gains nothing, since newcomers are never believed alone: wrong answers
 * served per unit of honest work do not rise with the number of keys.
 *
 * A conduct is that of one key. A fresh key needs a fresh conduct, which first does its `honestJobs` again.
 */
export function createWhitewasher({
  honestJobs,
  lies,
  trace,
}: LiarInit & { readonly honestJobs: number }): Conduct {
  return { ...createLiar({ lies: afterHonestJobs(honestJobs, lies), trace }), whitewashes: true }
}
