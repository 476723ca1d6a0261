/**
 * The requester's side of disputes: demands traces, has two of them judged, runs a job itself, and keeps what it found. When
 * any of that is done is the requester machine's to decide.
 *
 * Nobody is found guilty here without a proof that was verified first, by the rules that strangers will apply to it.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { type Plan, stepAt } from '../../models/plan/index.ts'
import type { ExactRuntime, Trace } from '../../models/runtime/index.ts'
import { hashLeaf, merkleRoot } from '../../models/trace/index.ts'
import {
  type DisputeClient,
  DisputeError,
  type DisputeSession,
  faultOf,
} from '../../protocols/dispute/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import {
  type Accused,
  FraudError,
  type ProvenFraud,
  proveReceipt,
  type VerifiableModel,
} from '../../protocols/fraud/index.ts'
import { type ExactRun, NO_STEPS_DIGEST, openReceipt, sealReceipt } from '../../protocols/receipt/index.ts'
import type { JobId, Judgement, Party, Replay, RequesterEvent } from '../requester/index.ts'
import { compareTensorsGradually, SELF } from '../verification/index.ts'
import { now } from './clock.ts'
import { DISPUTE_HOLD_MS_MAX } from './constants.ts'
import { contradictionTau } from './contradiction.ts'
import { digestSliced } from './digest.ts'
import { createDisputeTurns } from './dispute-turns.ts'
import type { ExactLanes } from './exact-lanes.ts'
import type { SignedJob } from './job.ts'
import { inputDigests, judgeTraces, type SideFinding, type TracedSide } from './judging.ts'
import type { Log } from './log.ts'
import type { DisputeKind, DisputeReport } from './node.ts'
import { proveGuilt } from './proving.ts'
import type { Replaying } from './replaying.ts'

/** A job as the requester driver has it. */
export interface DisputedJob {
  readonly signed: SignedJob
  readonly model: string
  /** As the model declares it: a requester that lowers the job's finds no more liars by that. */
  readonly declaredTau: number
  /** Hex of the root of the model's plan, as its manifest says. */
  readonly planRoot: string
  /** In the machine's time. */
  readonly deadlineAtMs: number
  readonly signal: AbortSignal
  /** Nobody waits for its answer: its disputes hold up no others. */
  readonly isBackground: boolean
  /** What came back, by attempt. */
  answers(): ReadonlyMap<number, DisputedAnswer>
}

export interface DisputedAnswer {
  readonly provider: string
  readonly receipt: Uint8Array
  readonly outputs: Uint8Array
  readonly outputDigest: Uint8Array
}

/** What decided a dispute, for the answer and for the bundle. */
export interface DecidingRun {
  /** Canonical payload of the exact outputs. */
  readonly outputs: Uint8Array
  readonly run: ExactRun
}

type EventOf<T extends RequesterEvent['type']> = Extract<RequesterEvent, { type: T }>

export interface Disputing {
  /** Never rejects, but with the signal's reason. */
  trace(
    job: DisputedJob,
    attempt: number,
    /** Told when the demand begins to wait for its turn, and when it has it. */
    onTurn: (event: EventOf<'traceTurn'>) => void,
  ): Promise<EventOf<'traced'> | EventOf<'traceFailed'>>
  judge(job: DisputedJob, left: number, right: Party): Promise<EventOf<'judged'>>
  recompute(job: DisputedJob): Promise<EventOf<'recomputed'> | EventOf<'recomputeFailed'>>
  /** Whether this node holds the model, and so can judge and recompute. */
  canRecompute(model: string): boolean
  /** The exact run of an attempt that traced, or of this node. */
  runOf(jobId: JobId, party: Party): DecidingRun | undefined
  /** Sealed trace commitments that agree with a run, by provider. */
  tracesOf(jobId: JobId, run: ExactRun): ReadonlyMap<string, Uint8Array>
  /** What was found, in order. */
  reports(jobId: JobId): readonly DisputeReport[]
  /** Nothing that is under way for the job's dispute is wanted any more; it rejects with DisputeEnded. */
  end(jobId: JobId): void
  /** The job has its answer: disputes with the same parties need not wait for it any longer. */
  settled(jobId: JobId): void
  /** Ends every session of a job and forgets it. */
  close(jobId: JobId): void
}

export interface DisputingComponents {
  readonly client: DisputeClient
  readonly lanes: ExactLanes
  readonly laneId: string
  readonly replaying: Pick<Replaying, 'replay'>
  readonly signer: Signer
  readonly log: Log
  /** Whether a peer that was silent still answers pings: then its silence is its own. */
  readonly isAlive: (peer: string, signal: AbortSignal) => Promise<boolean>
  /** Keeps a proof and tells others, if the job allows it. */
  readonly onProof: (proof: ProvenFraud) => Promise<void>
  /** The file in which a proof against a key is kept. */
  readonly proofPath: (accused: string) => string
}

interface Side {
  readonly provider: string
  readonly receipt: Uint8Array
  readonly session: DisputeSession
  leaves: Promise<readonly Uint8Array[]> | undefined
}

interface OwnRun extends DecidingRun {
  readonly trace: Trace
}

/** Why what was under way came to nothing: the machine needs it no more. */
export class DisputeEnded extends Error {
  override readonly name = 'DisputeEnded'
}

interface JobDisputes {
  /** Aborted when the dispute is ended; a new one for the next. */
  controller: AbortController
  readonly sides: Map<number, Side>
  readonly reports: DisputeReport[]
  own: OwnRun | undefined
  /** This node's own receipt of its own run: what contradicts those who all say the same. */
  ownReceipt: Uint8Array | undefined
}

export function createDisputing(components: DisputingComponents): Disputing {
  const { client, lanes, laneId, replaying, signer, log } = components
  const jobs = new Map<JobId, JobDisputes>()
  const turns = createDisputeTurns(DISPUTE_HOLD_MS_MAX, (ms, callback) => {
    const timer = setTimeout(callback, ms).unref()
    return () => clearTimeout(timer)
  })

  /** Of a job that was closed nothing is made anew by what comes late. */
  function disputesOf(jobId: JobId): JobDisputes {
    const found = jobs.get(jobId)
    if (found === undefined) throw new DisputeEnded('the job is closed')
    return found
  }

  function openDisputes(jobId: JobId): JobDisputes {
    let found = jobs.get(jobId)
    if (found === undefined) {
      found = {
        controller: new AbortController(),
        sides: new Map(),
        reports: [],
        own: undefined,
        ownReceipt: undefined,
      }
      jobs.set(jobId, found)
    }
    return found
  }

  /** The job as a dispute about it sees it: its signal ends with the dispute. */
  function disputed(job: DisputedJob): DisputedJob {
    const { controller } = openDisputes(job.signed.id)
    return { ...job, signal: AbortSignal.any([job.signal, controller.signal]) }
  }

  async function trace(
    whole: DisputedJob,
    attempt: number,
    onTurn: (event: EventOf<'traceTurn'>) => void,
  ): Promise<EventOf<'traced'> | EventOf<'traceFailed'>> {
    const job = disputed(whole)
    const jobId = job.signed.id
    const answer = job.answers().get(attempt)
    const failed = (code: EventOf<'traceFailed'>['code'], retryAfterMs = 0): EventOf<'traceFailed'> => ({
      type: 'traceFailed',
      jobId,
      attempt,
      code,
      retryAfterMs,
    })
    const conflicting = answer && conflictingReceipt(job, answer)
    if (answer === undefined || conflicting === undefined) return failed('cannot-trace')
    const parties = [...job.answers().values()].map(({ provider }) => provider)
    onTurn({ type: 'traceTurn', jobId, attempt, begun: false })
    await turns.take(jobId, parties, job.signal, { isBackground: job.isBackground })
    onTurn({ type: 'traceTurn', jobId, attempt, begun: true })
    // It takes a second to start, and is needed as soon as both have traced.
    lanes
      .referee(job.model)
      ?.load()
      .catch((error: unknown) => log.debug('the referee does not load', { model: job.model, error }))
    try {
      const opened = await client.open(
        answer.provider,
        {
          job: job.signed.envelope,
          salt: job.signed.salt,
          inputs: job.signed.inputs,
          receipt: answer.receipt,
          conflicting,
          expected: { laneId, planRoot: Buffer.from(job.planRoot, 'hex') },
          timeoutMs: Math.max(1, job.deadlineAtMs - now()),
        },
        job.signal,
      )
      if (opened.kind === 'refused') {
        const { code, message, retryAfterMs, provider } = opened.refusal
        log.info('a provider gave no trace', { provider, code, message })
        return code === 'busy' ? failed('busy', retryAfterMs) : failed('cannot-trace')
      }
      const { session } = opened
      const { commitment } = session
      if (job.signal.aborted) session.close()
      job.signal.throwIfAborted()
      disputesOf(jobId).sides.get(attempt)?.session.close()
      disputesOf(jobId).sides.set(attempt, {
        provider: answer.provider,
        receipt: answer.receipt,
        session,
        leaves: undefined,
      })
      const exact = { outputs: session.outputs, run: commitment }
      const agrees = await isNear(job, answer, exact, job.signed.tau)
      const widerTau = contradictionTau(Math.max(job.signed.tau, job.declaredTau))
      const contradicts = !agrees && !(await isNear(job, answer, exact, widerTau))
      job.signal.throwIfAborted()
      const replay = contradicts ? await replayed(job, answer) : undefined
      if (contradicts && replay !== 'same') await contradicted(job, attempt, answer, replay)
      job.signal.throwIfAborted()
      return {
        type: 'traced',
        jobId,
        attempt,
        root: rootText(commitment),
        outputDigest: Buffer.from(commitment.outputDigest).toString('hex'),
        agrees,
        contradicts,
        ...(replay === undefined ? {} : { replay }),
      }
    } catch (error) {
      job.signal.throwIfAborted()
      const code = await failureOf(error, answer.provider, job.signal, false)
      if (code === 'withheld' || code === 'violated-protocol') reportWithheld(job, attempt, answer.provider)
      return failed(code)
    }
  }

  /** Whether an answer lies within `tau` of a run; in the exact lane, whether it is that run's. */
  function isNear(
    { signed }: DisputedJob,
    answer: DisputedAnswer,
    { outputs, run }: DecidingRun,
    tau: number,
  ): boolean | Promise<boolean> {
    if (signed.lane === 'exact') return same(answer.outputDigest, run.outputDigest)
    return compareTensorsGradually(answer.outputs, outputs, tau, () => turn())
  }

  /** Another key's receipt for the same job about other outputs, perhaps this node's own. */
  function conflictingReceipt(job: DisputedJob, { provider, outputDigest }: DisputedAnswer) {
    for (const other of job.answers().values()) {
      if (other.provider !== provider && !same(other.outputDigest, outputDigest)) return other.receipt
    }
    return jobs.get(job.signed.id)?.ownReceipt
  }

  async function failureOf(error: unknown, provider: string, signal: AbortSignal, hasCommitted = true) {
    if (!(error instanceof DisputeError)) {
      log.error('a trace could not be taken in', { provider, error })
      return 'cannot-trace' as const
    }
    log.info('a provider gave no trace', { provider, code: error.code, error })
    if (error.code === 'not-comparable') return 'not-comparable'
    // Before its commitment a peer that hangs up may not have got the inputs in time: a slow line is no silence.
    if (error.code === 'hung-up' && !hasCommitted) return 'unreachable'
    const fault = faultOf(error.code)
    switch (fault) {
      case 'violation':
        return 'violated-protocol'
      case 'silence':
        return (await components.isAlive(provider, signal)) ? 'withheld' : 'unreachable'
      case 'network':
        return 'unreachable'
      case 'none':
        return 'cannot-trace'
      default:
        return fault satisfies never
    }
  }

  /** What this machine's own native run says of a native answer that contradicts its own exact run. */
  async function replayed(job: DisputedJob, { provider, receipt }: DisputedAnswer) {
    if (job.signed.lane === 'exact') return undefined
    const plan = await planOf(job)
    if (plan === undefined) return undefined
    const opened = openReceipt(receipt).receipt
    const replay = await replaying.replay(job.signed, { cid: job.model, plan }, opened, job.signal)
    if (replay === 'same') {
      log.warn('a native answer is far off its own exact run, and honest: this machine gives the same bits', {
        jobId: job.signed.id,
        model: job.model,
        provider,
        instructionSet: opened.runtime.instructionSet,
      })
    }
    return replay
  }

  /** A native answer against its own exact run is for this node alone; an exact one is a proof. */
  async function contradicted(
    job: DisputedJob,
    attempt: number,
    answer: DisputedAnswer,
    replay: Replay | undefined,
  ): Promise<void> {
    const session = disputesOf(job.signed.id).sides.get(attempt)?.session
    if (session === undefined) throw new DisputeEnded('the dispute is over')
    let proof: string | undefined
    let proven: ProvenFraud | undefined
    let kind: DisputeKind = replay === 'elsewhere' ? 'contradicted-replay' : 'contradicted-exact'
    if (job.signed.lane === 'exact') {
      const model = await modelOf(job)
      const statements = { job: job.signed.envelope, receipt: answer.receipt, commitment: session.sealed }
      proven = model && (await attemptProof(() => proveReceipt(statements, model, job.signal)))
      if (proven !== undefined) {
        kind = 'wiring'
        proof = components.proofPath(answer.provider)
      }
    }
    report(job, {
      step: 0,
      steps: session.commitment.leafCount,
      operator: '',
      loser: answer.provider,
      kind,
      refereeMs: 0,
      bytes: movedBy(job.signed.id, attempt),
      proof,
    })
    // Told first: the job may end as soon as the key is exposed.
    if (proven !== undefined) await components.onProof(proven)
  }

  async function judge(whole: DisputedJob, left: number, right: Party): Promise<EventOf<'judged'>> {
    const job = disputed(whole)
    const jobId = job.signed.id
    const event = (a: Judgement, b: Judgement): EventOf<'judged'> => ({
      type: 'judged',
      jobId,
      left,
      right,
      verdicts: { left: a, right: b },
    })
    const runtime = lanes.referee(job.model)
    const a = await sideOf(job, left, runtime)
    const b = await sideOf(job, right, runtime)
    // Whoever does not show its leaves has lost, and the other one has nothing to be compared with.
    if ('status' in a || 'status' in b) return event('status' in a ? a : OPEN, 'status' in b ? b : OPEN)
    const model = await modelOf(job)
    if (model === undefined) return event(OPEN, OPEN)
    const inputs = inputDigests(model.plan, job.signed.inputs)
    const findings = await judgeTraces({ plan: model.plan, inputs, left: a, right: b }, model, job.signal)
    const bytes = movedBy(jobId, left) + movedBy(jobId, right)
    const conclude = (party: Party, finding: SideFinding) =>
      party === SELF
        ? Promise.resolve<Judgement>({ status: 'cleared' })
        : concludeSide(job, party, finding, { model, bytes, refereeMs: findings.refereeMs })
    return event(await conclude(left, findings.left), await conclude(right, findings.right))
  }

  async function sideOf(
    job: DisputedJob,
    party: Party,
    runtime: ExactRuntime | undefined,
  ): Promise<TracedSide | Judgement> {
    const disputes = disputesOf(job.signed.id)
    if (party === SELF) {
      const { own } = disputes
      if (own === undefined || runtime === undefined) return OPEN
      return {
        leaves: own.trace.leaves,
        outputs: own.outputs,
        operands: (position, signal) =>
          runtime.operands(job.signed.inputs, position, signal).catch(() => {
            signal.throwIfAborted()
            return 'nobody' as const
          }),
      }
    }
    const side = disputes.sides.get(party)
    if (side === undefined) return OPEN
    const { session } = side
    try {
      side.leaves ??= session.leaves(job.signal)
      return {
        leaves: await side.leaves,
        outputs: session.outputs,
        operands: async (position, signal) => {
          try {
            return await session.operands(position, signal)
          } catch (error) {
            signal.throwIfAborted()
            const code = await failureOf(error, side.provider, signal)
            return code === 'withheld' || code === 'violated-protocol' ? 'unshown' : 'nobody'
          }
        },
      }
    } catch (error) {
      job.signal.throwIfAborted()
      const code = await failureOf(error, side.provider, job.signal)
      if (code !== 'withheld' && code !== 'violated-protocol') return OPEN
      reportWithheld(job, party, side.provider)
      return WITHHELD
    }
  }

  async function concludeSide(
    job: DisputedJob,
    attempt: number,
    { settlement, operands, operator }: SideFinding,
    { model, bytes, refereeMs }: { model: VerifiableModel; bytes: number; refereeMs: number },
  ): Promise<Judgement> {
    const side = disputesOf(job.signed.id).sides.get(attempt)
    if (side === undefined) throw new DisputeEnded('the dispute is over')
    const steps = side.session.commitment.leafCount
    const told = { steps, operator, loser: side.provider, refereeMs, bytes }
    switch (settlement.status) {
      case 'clear':
        return { status: 'cleared' }
      case 'undecided':
        return OPEN
      case 'withheld':
        report(job, { ...told, step: settlement.index + 1, kind: 'withheld', proof: undefined })
        return WITHHELD
      case 'guilty': {
        const { violation } = settlement
        const accused: Accused = {
          job: job.signed.envelope,
          receipt: side.receipt,
          commitment: side.session.sealed,
          leaves: (await side.leaves) ?? [],
          salt: job.signed.salt,
          inputs: job.signed.inputs,
          outputs: side.session.outputs,
        }
        const proven = await attemptProof(() => proveGuilt(accused, violation, operands, model, job.signal))
        if (proven === undefined) return OPEN
        const position = 'position' in violation ? violation.position : undefined
        report(job, {
          ...told,
          step: 'index' in violation ? Math.min(violation.index + 1, steps) : steps,
          operator: position === undefined ? operator : (stepAt(model.plan, position)?.type ?? operator),
          kind: violation.kind,
          proof: components.proofPath(side.provider),
        })
        await components.onProof(proven)
        return { status: 'guilty', kind: violation.kind }
      }
      default:
        return settlement satisfies never
    }
  }

  /** What cannot be proved was not found, not even where the proof would only be too large. */
  async function attemptProof(prove: () => Promise<ProvenFraud>): Promise<ProvenFraud | undefined> {
    try {
      return await prove()
    } catch (error) {
      if (!(error instanceof FraudError)) throw error
      log.error('what a referee found makes no proof', { code: error.code, error })
      return undefined
    }
  }

  async function recompute(job: DisputedJob): Promise<EventOf<'recomputed'> | EventOf<'recomputeFailed'>> {
    openDisputes(job.signed.id)
    const jobId = job.signed.id
    const failed = (message: string): EventOf<'recomputeFailed'> => ({
      type: 'recomputeFailed',
      jobId,
      message,
    })
    const runtime = lanes.referee(job.model)
    if (runtime === undefined) return failed('this node does not hold the model')
    try {
      const model = await modelOf(job)
      if (model === undefined) return failed('the plan of the model is not the one that its manifest says')
      const startedAtMs = Math.floor(now())
      const own = await runTraced(runtime, job, model)
      job.signal.throwIfAborted()
      const disputes = disputesOf(jobId)
      disputes.own = own
      disputes.ownReceipt = sealReceipt(signer, {
        jobCommitment: job.signed.commitment,
        outputDigest: own.run.outputDigest,
        outputBytes: own.outputs.byteLength,
        stepsDigest: NO_STEPS_DIGEST,
        runtime: { ...runtime.info, batched: false },
        startedAtMs,
        finishedAtMs: Math.max(startedAtMs, Math.floor(now())),
      })
      const agreeing: number[] = []
      for (const [attempt, answer] of job.answers()) {
        if (await isNear(job, answer, own, job.signed.tau)) agreeing.push(attempt)
      }
      return {
        type: 'recomputed',
        jobId,
        root: rootText(own.run),
        outputDigest: Buffer.from(own.run.outputDigest).toString('hex'),
        agreeing,
      }
    } catch (error) {
      job.signal.throwIfAborted()
      return failed(error instanceof Error ? error.message : String(error))
    }
  }

  async function runTraced(runtime: ExactRuntime, job: DisputedJob, model: VerifiableModel): Promise<OwnRun> {
    const traced = await runtime.trace(job.signed.inputs, job.signal)
    return {
      trace: traced,
      outputs: traced.outputs,
      run: {
        planRoot: model.plan.root,
        laneId,
        leafCount: traced.leaves.length,
        traceRoot: merkleRoot(traced.leaves.map(hashLeaf)),
        outputDigest: await digestSliced(job.signed.salt, traced.outputs),
        outputBytes: traced.outputs.byteLength,
      },
    }
  }

  /** The model as a verifier of proofs has it; undefined where this node does not hold it, or not as its manifest says. */
  async function modelOf({ model, planRoot, signal }: DisputedJob): Promise<VerifiableModel | undefined> {
    const runtime = lanes.referee(model)
    if (runtime === undefined) return undefined
    const plan = await runtime.plan(signal)
    if (Buffer.from(plan.root).toString('hex') !== planRoot) return undefined
    return { plan, laneId, runStep: (...step) => runtime.runStep(...step) }
  }

  /** Where this machine cannot tell, nothing is said of anybody's trace. */
  async function planOf(job: DisputedJob): Promise<Plan | undefined> {
    try {
      return (await modelOf(job))?.plan
    } catch (error) {
      job.signal.throwIfAborted()
      log.info('the plan of a model could not be read here', { model: job.model, error })
      return undefined
    }
  }

  function report(job: DisputedJob, found: Omit<DisputeReport, 'jobId' | 'model'>): void {
    const whole: DisputeReport = { jobId: job.signed.id, model: job.model, ...found }
    const { reports } = disputesOf(job.signed.id)
    // Judged against several others, it lost once.
    if (reports.some(({ loser, kind }) => loser === found.loser && kind === found.kind)) return
    reports.push(whole)
    log.warn('a provider lost a dispute', { ...whole })
  }

  /** No trace, or none of the leaves that it committed to: there is no step to name. */
  function reportWithheld(job: DisputedJob, attempt: number, loser: string): void {
    const steps = jobs.get(job.signed.id)?.sides.get(attempt)?.session.commitment.leafCount ?? 0
    const bytes = movedBy(job.signed.id, attempt)
    const kind = 'withheld'
    report(job, { step: 0, steps, operator: '', loser, kind, refereeMs: 0, bytes, proof: undefined })
  }

  function movedBy(jobId: JobId, party: Party): number {
    const moved = party === SELF ? undefined : jobs.get(jobId)?.sides.get(party)?.session.bytes
    return moved === undefined ? 0 : moved.sent + moved.received
  }

  return {
    trace,
    judge,
    recompute,
    canRecompute: lanes.holds,
    runOf(jobId, party) {
      const disputes = jobs.get(jobId)
      if (party === SELF) return disputes?.own
      const session = disputes?.sides.get(party)?.session
      return session && { outputs: session.outputs, run: session.commitment }
    },
    tracesOf(jobId, run) {
      const root = rootText(run)
      const sides = [...(jobs.get(jobId)?.sides.values() ?? [])]
      return new Map(
        sides
          .filter(({ session }) => rootText(session.commitment) === root)
          .map(({ provider, session }) => [provider, session.sealed]),
      )
    },
    reports: (jobId) => jobs.get(jobId)?.reports ?? [],
    end(jobId) {
      const disputes = jobs.get(jobId)
      if (disputes === undefined) return
      disputes.controller.abort(new DisputeEnded('the dispute is over'))
      disputes.controller = new AbortController()
      for (const { session } of disputes.sides.values()) session.close()
      disputes.sides.clear()
      turns.end(jobId)
    },
    settled: turns.end,
    close(jobId) {
      jobs.get(jobId)?.controller.abort(new DisputeEnded('the job is closed'))
      turns.end(jobId)
      for (const { session } of jobs.get(jobId)?.sides.values() ?? []) session.close()
      jobs.delete(jobId)
    },
  }
}

const OPEN: Judgement = { status: 'undecided' }
const WITHHELD: Judgement = { status: 'withheld' }

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

/** Equal exactly where whole traces are equal. */
function rootText({ traceRoot, leafCount, outputDigest }: ExactRun): string {
  return `${Buffer.from(traceRoot).toString('hex')}:${leafCount}:${Buffer.from(outputDigest).toString('hex')}`
}
