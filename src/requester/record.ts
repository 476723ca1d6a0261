/** What is known of an answered job: the verdict, and what it says about each provider. */
import type { EvidenceKind, Posterior } from '../../peers/reputation/index.ts'
import { type Answer, composeDecision, composeVerdict, SELF, type Verdict } from '../verification/index.ts'
import { disputeRecord } from './dispute.ts'
import { checkStrength } from './doubt.ts'
import type { ProviderId } from './events.ts'
import {
  type Acceptance,
  type Attempt,
  agreement,
  askedProviders,
  digestOf,
  everyAnswerOf,
  type Job,
} from './job.ts'

/** The verdict on the accepted outputs. What has not been compared with them stands on neither side. */
export function verdictOn(job: Job, acceptance: Acceptance): Verdict {
  return { ...verdictAlone(job, acceptance), ...disputeRecord(job) }
}

function verdictAlone(job: Job, acceptance: Acceptance): Verdict {
  const { label, party } = acceptance
  const asked = askedProviders(job).size
  if (label === 'refereed' || label === 'recomputed') {
    const answersThat = (stand: boolean) =>
      job.attempts.flatMap((attempt): Answer[] => {
        const { provider, group } = attempt
        return stands(job, acceptance, attempt) === stand ? [{ provider, group, digest: '' }] : []
      })
    return composeDecision({ label, agreed: answersThat(true), disagreed: answersThat(false), asked })
  }
  const accepted = acceptedDigest(job, acceptance)!
  const verdict = composeVerdict({
    answers: everyAnswerOf(job).filter(({ provider, digest }) => {
      const known = agreement(job, digest, accepted)
      // Who was discarded supports nobody, but what it answered is still something else.
      const isAccepted = party !== SELF && provider === job.attempts[party]!.provider
      return isAccepted || known === false || (known === true && counts(job, provider))
    }),
    agrees: (left, right) => agreement(job, left, right) === true,
    accepted,
    asked,
    replicas: label === 'signed' ? 1 : Math.max(2, job.spec.replicas),
  })
  if (verdict === undefined) throw new Error(`no answer has the accepted digest ${accepted}`)
  return verdict
}

/** Whether an answer stands with the run that decided; undefined where that is not known, or the answer discarded. */
function stands(job: Job, acceptance: Acceptance, attempt: Attempt): boolean | undefined {
  const { own } = job
  const { lane } = job.spec
  const digest = digestOf(attempt)
  if (digest === undefined) return
  const found = job.dispute?.traces.get(attempt.number)
  const trace = found?.status === 'traced' ? found : undefined
  const isTrusted =
    counts(job, attempt.provider) && (trace === undefined || trace.root === decidingRoot(job, acceptance))
  const sided = (stand: boolean | undefined) => (stand && !isTrusted ? undefined : stand)
  if (own.status === 'done') {
    if (own.agreeing.has(attempt.number)) return sided(true)
    if (own.contradicting.has(attempt.number)) return false
  }
  if (trace !== undefined && trace.root === decidingRoot(job, acceptance)) return sided(trace.agrees)
  const accepted = acceptedDigest(job, acceptance)
  if (accepted === undefined) return
  if (acceptance.exact && lane === 'native') return
  return sided(agreement(job, digest, accepted) ?? (lane === 'exact' ? digest === accepted : undefined))
}

/** Not discarded; or only after the answer was settled, which then rested on it. */
function counts({ out, state }: Job, provider: ProviderId): boolean {
  return !out.has(provider) || (state.status === 'observing' && state.agreed.has(provider))
}

function decidingRoot(job: Job, { party }: Acceptance): string | undefined {
  if (job.own.status === 'done') return job.own.root
  const trace = party === SELF ? undefined : job.dispute?.traces.get(party)
  return trace?.status === 'traced' ? trace.root : undefined
}

/** Digest of the accepted outputs. */
function acceptedDigest(job: Job, { party, exact }: Acceptance): string | undefined {
  if (party === SELF) return job.own.status === 'done' ? job.own.outputDigest : undefined
  if (!exact) return digestOf(job.attempts[party]!)
  const trace = job.dispute?.traces.get(party)
  return trace?.status === 'traced' ? trace.outputDigest : undefined
}

/** What the complete record shows, in the order in which they were asked. */
export function evidenceFrom(
  job: Job,
  acceptance: Acceptance,
  verdict: Verdict,
  posterior: Posterior,
): { provider: ProviderId; evidence: EvidenceKind; strength: number }[] {
  const agreed = new Set(verdict.agreed)
  const isDecided = acceptance.label === 'refereed' || acceptance.label === 'recomputed'
  const disagreed = new Set(verdict.disagreed)
  return job.attempts.flatMap((attempt) => {
    const { provider, state } = attempt
    // What it was discarded for has been told already.
    if (job.out.has(provider)) return []
    if (state.status === 'answered') {
      if (agreed.has(provider)) {
        const strength = isDecided ? 1 : checkStrength(job, provider, agreed, posterior)
        return { provider, evidence: 'agreed' as const, strength }
      }
      // Agreeing with the accepted outputs but not with all that do is the edge of the tolerance, and no lie.
      const differs = isDecided
        ? disagreed.has(provider)
        : agreement(job, state.digest, acceptedDigest(job, acceptance)!) === false
      return differs && !isNear(job, attempt) ? { provider, evidence: 'disagreed' as const, strength: 1 } : []
    }
    // It called the job invalid, and others could run it.
    const isRefuted = state.status === 'ended' && state.failure.code === 'invalid-job'
    return isRefuted ? { provider, evidence: 'failed' as const, strength: 1 } : []
  })
}

/** Not within the tolerance of its own exact run, but what honest hardware gives on some inputs. */
function isNear(job: Job, { number }: Attempt): boolean {
  const trace = job.dispute?.traces.get(number)
  return trace?.status === 'traced' && trace.near
}
