/**
 * A dispute about one job: who is asked for a trace, which two traces are judged, who is left.
 *
 * Everyone who answered is a party. A party falls by its own statement alone: judged guilty, silent, or having broken
 * the protocol. Busy, unable and unreachable parties do not fall, but cannot be the ones that are believed either.
 * Pairs are judged one at a time, in the order in which their providers were drawn and as soon as nobody drawn earlier
 * can still join, so that what is found does not depend on whose trace arrives first.
 *
 * Not here: which answer is accepted in the end (`decision.ts`).
 */
import type { EvidenceKind } from '../../peers/reputation/index.ts'
import {
  type DiscardReason,
  type DisputeRecord,
  type DisputeSummary,
  type GuiltKind,
  isAnswerAlone,
  SELF,
} from '../verification/index.ts'
import type { Judgement, Party, ProviderId, RequesterEvent } from './events.ts'
import { type Attempt, agreement, digestOf, isAwaited, type Job } from './job.ts'

export interface Dispute {
  /** Attempts from this number on were drawn after the dispute began. */
  readonly since: number
  /** By attempt. */
  readonly traces: Map<number, TraceState>
  /** In the order in which they were begun. */
  readonly pairs: Pair[]
  /** Demands sent, repetitions included. */
  demands: number
}

export type TraceState =
  | ({ readonly status: 'open' } & Demanded)
  /** Too slow: others are heard meanwhile, but it is still welcome. */
  | ({ readonly status: 'overdue' } & Demanded)
  | {
      readonly status: 'traced'
      readonly root: string
      readonly outputDigest: string
      /** Its answer stands with its own exact run. */
      readonly agrees: boolean
      /**
       * It does not, but is so near that honest machines give it too, or the very bits that hardware of its class gives: held
       * against nobody.
       */
      readonly near: boolean
    }
  /** No loss; `againAtMs` is finite where it said busy. */
  | ({ readonly status: 'failed'; readonly againAtMs: number } & Demanded)

interface Demanded {
  /** How often. */
  readonly times: number
  /** Until when its word is waited for, however often it says busy. */
  readonly overdueAtMs: number
}

export interface Pair {
  readonly left: number
  readonly right: Party
  state:
    | { readonly status: 'open'; readonly overdueAtMs: number }
    /** Counts as undecided until the answer comes. */
    | { readonly status: 'overdue' }
    | { readonly status: 'judged'; readonly left: Judgement; readonly right: Judgement }
}

export interface TracedParty {
  readonly attempt: Attempt
  readonly root: string
  readonly outputDigest: string
  readonly agrees: boolean
}

/** Evidence against a provider, as it comes to light. */
export type Finding = readonly [provider: ProviderId, evidence: EvidenceKind]

export function openDispute(job: Job): Dispute {
  job.dispute ??= { since: job.attempts.length, traces: new Map(), pairs: [], demands: 0 }
  return job.dispute
}

/** Answered, and not fallen. Whose answer contradicts its own exact run has lost that answer, not its trace. */
export function isParty(job: Job, { provider, state }: Attempt): boolean {
  const reason = job.out.get(provider)
  return state.status === 'answered' && (reason === undefined || isAnswerAlone(reason))
}

/** The parties that have traced, in the order in which they were drawn. */
export function tracedParties(job: Job): TracedParty[] {
  return job.attempts.flatMap((attempt) => {
    const trace = job.dispute?.traces.get(attempt.number)
    return trace?.status === 'traced' && isParty(job, attempt) ? { attempt, ...trace } : []
  })
}

/** Whether something of the dispute is under way that is waited for. */
export function isDisputing(job: Job): boolean {
  const { traces, pairs } = job.dispute ?? {}
  const isOpen = (attempt: Attempt) => traces?.get(attempt.number)?.status === 'open' && isParty(job, attempt)
  return job.attempts.some(isOpen) || (pairs?.some(({ state }) => state.status === 'open') ?? false)
}

/** Whether a trace or a judgement that is no longer waited for may still come. */
export function isDisputeOverdue(job: Job): boolean {
  const { traces, pairs } = job.dispute ?? {}
  const isLate = (attempt: Attempt) =>
    traces?.get(attempt.number)?.status === 'overdue' && isParty(job, attempt)
  return job.attempts.some(isLate) || (pairs?.some(({ state }) => state.status === 'overdue') ?? false)
}

/** What was waited for long enough is waited for no longer. */
export function expireDispute(job: Job, nowMs: number): void {
  const { traces, pairs } = job.dispute ?? {}
  for (const [number, trace] of traces ?? []) {
    if (trace.status === 'open' && trace.overdueAtMs <= nowMs) {
      traces!.set(number, { ...trace, status: 'overdue' })
    }
  }
  for (const pair of pairs ?? []) {
    if (pair.state.status === 'open' && pair.state.overdueAtMs <= nowMs) pair.state = { status: 'overdue' }
  }
}

/** Notes and returns the attempts whose traces are to be demanded now. */
export function demandTraces(job: Job, nowMs: number, tracesMax: number): number[] {
  const { dispute } = job
  if (dispute === undefined) return []
  return job.attempts.flatMap((attempt) => {
    const trace = dispute.traces.get(attempt.number)
    const isDue = trace === undefined || (trace.status === 'failed' && trace.againAtMs <= nowMs)
    if (!isDue || !isParty(job, attempt) || !isTraceWanted(job, attempt)) return []
    if (dispute.demands >= tracesMax) return []
    dispute.demands += 1
    const first = { times: 0, overdueAtMs: nowMs + job.spec.attemptTimeoutMs }
    const { times, overdueAtMs } = trace?.status === 'failed' ? trace : first
    const status = overdueAtMs > nowMs ? 'open' : 'overdue'
    dispute.traces.set(attempt.number, { status, overdueAtMs, times: times + 1 })
    return attempt.number
  })
}

/** Until the answer is settled everyone is heard; afterwards only those who contradict it. */
function isTraceWanted(job: Job, attempt: Attempt): boolean {
  if (job.own.status === 'done') return job.own.contradicting.has(attempt.number)
  if (job.state.status !== 'observing') return job.own.status !== 'running'
  const { party, exact } = job.state.acceptance
  if (party === SELF) return false
  const accepted = digestOf(job.attempts[party]!)
  return !exact && accepted !== undefined && agreement(job, digestOf(attempt)!, accepted) === false
}

/** Notes and returns the pair that is to be judged now; one at a time. */
export function nextPair(job: Job, nowMs: number, judgementsMax: number): Pair | undefined {
  const { dispute, own } = job
  if (dispute === undefined || dispute.pairs.length >= judgementsMax || own.status === 'running') return
  if (dispute.pairs.some(({ state }) => state.status === 'open')) return
  const isNew = (left: number, right: Party) =>
    !dispute.pairs.some((pair) => pair.left === left && pair.right === right)
  const begin = (left: number, right: Party): Pair => {
    const overdueAtMs = nowMs + job.spec.attemptTimeoutMs
    const pair: Pair = { left, right, state: { status: 'open', overdueAtMs } }
    dispute.pairs.push(pair)
    return pair
  }
  if (own.status === 'done') {
    const contrary = tracedParties(job).find(
      ({ attempt, root }) => root !== own.root && isNew(attempt.number, SELF),
    )
    return contrary && begin(contrary.attempt.number, SELF)
  }
  const heard = heardFirst(job, dispute)
  for (const right of heard) {
    for (const left of heard) {
      if (left === right) break
      const [a, b] = [left.attempt.number, right.attempt.number]
      if (left.root !== right.root && isNew(a, b)) return begin(a, b)
    }
  }
  return
}

/** The traced parties up to the first provider that may still become one. */
function heardFirst(job: Job, dispute: Dispute): TracedParty[] {
  const first = job.attempts.find(
    (attempt) =>
      isAwaited(attempt) || (dispute.traces.get(attempt.number)?.status === 'open' && isParty(job, attempt)),
  )
  const end = first?.number ?? job.attempts.length
  return tracedParties(job).filter(({ attempt }) => attempt.number < end)
}

/** Takes in that a demand waits on this side, which is nobody's slowness, or does so no longer; false when it is not awaited. */
export function learnTraceTurn(
  job: Job,
  { attempt, begun }: Extract<RequesterEvent, { type: 'traceTurn' }>,
  nowMs: number,
): boolean {
  const trace = job.dispute?.traces.get(attempt)
  if (trace?.status !== 'open' && trace?.status !== 'overdue') return false
  const overdueAtMs = begun ? nowMs + job.spec.attemptTimeoutMs : Number.POSITIVE_INFINITY
  job.dispute!.traces.set(attempt, { status: 'open', overdueAtMs, times: trace.times })
  return true
}

/** Takes in a trace; undefined when it comes late or was never demanded. */
export function learnTrace(
  job: Job,
  event: Extract<RequesterEvent, { type: 'traced' }>,
): readonly Finding[] | undefined {
  const attempt = job.attempts[event.attempt]
  if (attempt === undefined || awaitedTrace(job, attempt) === undefined) return
  const { root, outputDigest } = event
  const isExact = job.spec.lane === 'exact'
  const agrees = isExact ? digestOf(attempt) === outputDigest : event.agrees
  const replay = isExact ? undefined : event.replay
  const contradicts = isExact || (event.contradicts !== false && replay !== 'same')
  const near = !agrees && !contradicts
  job.dispute!.traces.set(attempt.number, { status: 'traced', root, outputDigest, agrees, near })
  if (agrees || near) return []
  const reason = replay === 'elsewhere' ? 'contradicted-replay' : 'contradicted-exact'
  return discard(job, attempt.provider, reason)
}

/** Takes in that there is no trace; undefined when it comes late or was never demanded. */
export function learnTraceFailure(
  job: Job,
  event: Extract<RequesterEvent, { type: 'traceFailed' }>,
  nowMs: number,
  busyBackoffMs: number,
): readonly Finding[] | undefined {
  const attempt = job.attempts[event.attempt]
  const demanded = attempt && awaitedTrace(job, attempt)
  if (attempt === undefined || demanded === undefined) return
  const { traces } = job.dispute!
  const { times, overdueAtMs } = demanded
  const fail = (againAtMs: number): readonly Finding[] => {
    traces.set(attempt.number, { status: 'failed', againAtMs, times, overdueAtMs })
    return []
  }
  switch (event.code) {
    case 'busy':
      return fail(nowMs + Math.max(event.retryAfterMs || 0, busyBackoffMs * 2 ** (times - 1)))
    case 'cannot-trace':
    case 'unreachable':
    case 'not-comparable':
      return fail(Number.POSITIVE_INFINITY)
    case 'withheld':
    case 'violated-protocol':
      fail(Number.POSITIVE_INFINITY)
      return discard(job, attempt.provider, event.code)
    default:
      return event.code satisfies never
  }
}

function awaitedTrace(job: Job, attempt: Attempt): Demanded | undefined {
  const trace = job.dispute?.traces.get(attempt.number)
  if (!isParty(job, attempt)) return
  return trace?.status === 'open' || trace?.status === 'overdue' ? trace : undefined
}

/** Whether it said busy, and may be asked again within the time in which its word is waited for. */
export function isBusyAwhile(job: Job, attempt: Attempt): boolean {
  const trace = job.dispute?.traces.get(attempt.number)
  return trace?.status === 'failed' && trace.againAtMs < trace.overdueAtMs && isParty(job, attempt)
}

/** Takes in a judgement; undefined when it is not awaited. What it says of the requester's own run is ignored. */
export function learnJudgement(
  job: Job,
  { left, right, verdicts }: Extract<RequesterEvent, { type: 'judged' }>,
): readonly Finding[] | undefined {
  const pair = job.dispute?.pairs.find((known) => known.left === left && known.right === right)
  if (pair === undefined || pair.state.status === 'judged') return
  pair.state = { status: 'judged', ...verdicts }
  const sides: readonly [Party, Judgement][] = [
    [left, verdicts.left],
    [right, verdicts.right],
  ]
  return sides.flatMap(([party, { status }]) => {
    const attempt = party === SELF ? undefined : job.attempts[party]
    if (attempt === undefined || !isParty(job, attempt)) return []
    switch (status) {
      case 'guilty':
        return discard(job, attempt.provider, 'lost-dispute')
      case 'withheld':
        return discard(job, attempt.provider, 'withheld')
      case 'cleared':
      case 'undecided':
        return []
      default:
        return status satisfies never
    }
  })
}

function discard(job: Job, provider: ProviderId, reason: DiscardReason & EvidenceKind): readonly Finding[] {
  job.out.set(provider, reason)
  return [[provider, reason]]
}

/** When something of the dispute happens by itself. */
export function disputeTimes(job: Job, nowMs: number, tracesMax: number): number[] {
  const { dispute } = job
  if (dispute === undefined) return []
  const times = dispute.pairs.flatMap(({ state }) => (state.status === 'open' ? state.overdueAtMs : []))
  for (const attempt of job.attempts) {
    const trace = dispute.traces.get(attempt.number)
    if (!isParty(job, attempt)) continue
    if (trace?.status === 'open') times.push(trace.overdueAtMs)
    const isRepeated = trace?.status === 'failed' && trace.againAtMs > nowMs && dispute.demands < tracesMax
    if (isRepeated && isTraceWanted(job, attempt)) times.push(trace.againAtMs)
  }
  return times.filter((atMs) => atMs < job.spec.deadlineAtMs)
}

/**
 * How many more providers the dispute needs: two that may trace, one of them drawn after it began; and one more where
 * all that could be heard was heard without a decision.
 */
export function countDisputeMissing(job: Job, isQuiet: boolean): number {
  const { since, traces } = job.dispute!
  const drawnAt = firstDrawn(job)
  const hopeful = job.attempts.filter((attempt) => {
    const status = traces.get(attempt.number)?.status
    if (attempt.state.status === 'open') return !job.out.has(attempt.provider)
    return isParty(job, attempt) && (status === 'open' || status === 'traced')
  })
  const fresh = hopeful.filter(({ provider }) => drawnAt.get(provider)! >= since)
  return Math.max(2 - hopeful.length, 1 - fresh.length, isQuiet ? 1 : 0, 0)
}

/** The number of the first attempt of each provider: who was asked again after `busy` was drawn then. */
export function firstDrawn(job: Job): ReadonlyMap<ProviderId, number> {
  const first = new Map<ProviderId, number>()
  for (const { provider, number } of job.attempts) if (!first.has(provider)) first.set(provider, number)
  return first
}

/** What a verdict tells of the dispute, and of whose answers were discarded; undefined where there was nothing. */
export function disputeRecord(job: Job): DisputeRecord | undefined {
  if (job.dispute === undefined && job.out.size === 0) return
  const pairs = job.dispute?.pairs ?? []
  const disputes = pairs.flatMap((pair) => summarize(job, pair) ?? [])
  const traced = job.attempts.filter(({ number }) => job.dispute?.traces.get(number)?.status === 'traced')
  return {
    disputes: disputes.sort((a, b) => compareText(a.left, b.left) || compareText(a.right, b.right)),
    traced: traced.map(({ provider }) => provider).sort(),
    discarded: [...job.out]
      .map(([provider, reason]) => ({ provider, reason }))
      .sort((a, b) => compareText(a.provider, b.provider)),
  }
}

function summarize(job: Job, { left, right, state }: Pair): DisputeSummary | undefined {
  if (state.status !== 'judged') return
  const nameOf = (party: Party) => (party === SELF ? SELF : job.attempts[party]!.provider)
  const lossOf = (party: Party, judgement: Judgement): DisputeSummary['losers'] => {
    const kind = kindOf(judgement)
    return party === SELF || kind === undefined ? [] : [{ provider: nameOf(party), kind }]
  }
  const losers = [...lossOf(left, state.left), ...lossOf(right, state.right)]
  return { left: nameOf(left), right: nameOf(right), losers }
}

function kindOf(judgement: Judgement): GuiltKind | 'withheld' | undefined {
  if (judgement.status === 'guilty') return judgement.kind
  return judgement.status === 'withheld' ? 'withheld' : undefined
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
