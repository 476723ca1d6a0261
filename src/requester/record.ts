/** What is known of an answered job: the verdict, and what it says about each provider. */
import { composeVerdict, type Verdict } from '../verification/index.ts'
import type { EvidenceKind } from './effects.ts'
import type { ProviderId } from './events.ts'
import { agreement, answersOf, askedProviders, type Job } from './job.ts'

/** The verdict on the accepted outputs. What has not been compared with them stands on neither side. */
export function verdictOn(job: Job, accepted: string): Verdict {
  const verdict = composeVerdict({
    answers: answersOf(job).filter(({ digest }) => agreement(job, digest, accepted) !== undefined),
    agrees: (left, right) => agreement(job, left, right) === true,
    accepted,
    asked: askedProviders(job).size,
    replicas: job.spec.replicas,
  })
  if (verdict === undefined) throw new Error(`no answer has the accepted digest ${accepted}`)
  return verdict
}

/** What the complete record shows, in the order in which they were asked. */
export function evidenceFrom(
  job: Job,
  accepted: string,
  verdict: Verdict,
): { provider: ProviderId; evidence: EvidenceKind }[] {
  const agreed = new Set(verdict.agreed)
  return job.attempts.flatMap(({ provider, state }) => {
    if (state.status === 'answered') {
      if (agreed.has(provider)) return { provider, evidence: 'agreed' as const }
      // Agreeing with the accepted outputs but not with all that do is the edge of the tolerance, and no lie.
      const differs = agreement(job, state.digest, accepted) === false
      return differs ? { provider, evidence: 'disagreed' as const } : []
    }
    // It called the job invalid, and others could run it.
    const isRefuted = state.status === 'ended' && state.failure.code === 'invalid-job'
    return isRefuted ? { provider, evidence: 'failed' as const } : []
  })
}
