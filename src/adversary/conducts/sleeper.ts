import type { Conduct } from '../conduct.ts'
import { afterHonestJobs } from '../lies.ts'
import { createLiar, type LiarInit } from './liar.ts'

/**
 * Models the provider that behaves until it is trusted, and then spends the trust: the strategic oscillation of Srivatsa,
 * Xiong and Liu (TrustGuard, 2005), and what BOINC's adaptive replication has to fear, which stops checking a host after a
 * run of good results. It cannot see its standing, so it counts its own jobs. Shows that random re-checks bound the wrong
 * answers that one identity gets served, and how that bound falls with the floor rate.
 */
export function createSleeper({
  honestJobs,
  lies,
  trace,
}: LiarInit & { readonly honestJobs: number }): Conduct {
  return createLiar({ lies: afterHonestJobs(honestJobs, lies), trace })
}
