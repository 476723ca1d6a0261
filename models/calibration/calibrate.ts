/**
 * Calibration: runs a model in every way in which an honest node may run it, and says how far the answers lie apart. It
 * also traces the exact lane twice, in two fresh processes: a machine on which they differ must never sign a trace.
 */
import type { Manifest, Signature } from '../manifest/index.ts'
import {
  type ExactRuntime,
  type Executed,
  type ModelRuntime,
  RuntimeError,
  type RuntimeErrorCode,
  type RuntimeInfo,
  type Trace,
} from '../runtime/index.ts'
import { digestTensors, encodeTensors, SALT_BYTES, type Tensor } from '../tensor/index.ts'
import { type Calibration, type CalibrationRow, type LaneJudgement, proposeTau } from './calibration.ts'
import { SAMPLES } from './constants.ts'
import { CalibrationError } from './errors.ts'
import { guessesFor, sampleInputs } from './samples.ts'
import { spreadOf } from './spread.ts'

/** Makes fresh runtimes of the model; each is closed here. */
export interface CalibrationRuntimes {
  readonly native: (options: { threads: number; batching: boolean }) => ModelRuntime
  /** Left out for a model without an exact lane. */
  readonly exact?: () => ExactRuntime
}

export interface CalibrateOptions {
  /** Inputs of the person's own, instead of drawn ones. */
  readonly samples?: readonly (readonly Tensor[])[]
  readonly signal: AbortSignal
  /** What begins, in words. */
  readonly onProgress?: (step: string) => void
}

/** Rejects with CalibrationError, or with the signal's reason. A lane that fails is told in its judgement. */
export async function calibrate(
  manifest: Manifest,
  runtimes: CalibrationRuntimes,
  options: CalibrateOptions,
): Promise<Calibration> {
  const { signal, onProgress = () => {} } = options
  const single = runtimes.native({ threads: 1, batching: false })
  try {
    onProgress('running it alone')
    const { payloads, answers } = await runSamples(single, manifest, options)
    const again = await runAll(single, payloads, signal)
    const rows: CalibrationRow[] = [{ comparison: 'alone against itself', spread: largest(answers, again) }]

    onProgress('running it on two threads')
    const threaded = await using(runtimes.native({ threads: 2, batching: false }), (runtime) =>
      runAll(runtime, payloads, signal),
    )
    rows.push({ comparison: 'one thread against two', spread: largest(answers, threaded) })

    onProgress('running it as a batch')
    const batched = await using(runtimes.native({ threads: 1, batching: true }), (runtime) =>
      runBatch(runtime, payloads, signal),
    )
    const batchSpread = batched === undefined ? undefined : largest(answers, batched)
    if (batchSpread !== undefined && Number.isFinite(batchSpread))
      rows.push({ comparison: 'alone against batch', spread: batchSpread })

    onProgress('tracing it in the exact lane')
    const exact = await runExact(runtimes, payloads, signal)
    if (exact.answers !== undefined)
      rows.push({ comparison: 'native against exact', spread: largest(answers, exact.answers) })

    const spread = Math.max(...rows.map((row) => row.spread))
    const { tau } = manifest.tolerance
    return {
      native: single.info,
      exact: exact.info,
      rows,
      spread,
      proposedTau: proposeTau(spread),
      independent: batchSpread === undefined ? undefined : batchSpread <= tau,
      lanes: { native: judgeNative(spread, tau, exact.judgement.ok), exact: exact.judgement },
      nativeMs: median(again.map(({ serviceMs }) => serviceMs)),
      exactMs: exact.exactMs,
      traceMs: exact.traceMs,
    }
  } finally {
    await single.close()
  }
}

function judgeNative(spread: number, tau: number, hasExact: boolean): LaneJudgement {
  if (proposeTau(spread) === undefined) {
    return {
      ok: false,
      reason: `honest answers lie ${format(spread)} apart on these samples, as far as a cheap cheat: ${hasExact ? 'only the exact lane can check it' : 'nobody can check it'}`,
    }
  }
  return spread <= tau
    ? { ok: true, reason: `answers lie ${format(spread)} apart; the model declares ${format(tau)}` }
    : {
        ok: false,
        reason: `answers of this machine lie ${format(spread)} apart, the model declares ${format(tau)}: serve the exact lane only, or measure with samples of your own (--sample)`,
      }
}

/** The given samples, or the first drawn ones that the model takes, with what it answered. */
async function runSamples(
  runtime: ModelRuntime,
  { signature }: Manifest,
  { samples, signal }: CalibrateOptions,
): Promise<{ payloads: readonly Uint8Array[]; answers: readonly Executed[] }> {
  if (samples !== undefined && samples.length > 0) {
    const payloads = samples.map((inputs) => encodeTensors(inputs))
    return { payloads, answers: await runAll(runtime, payloads, signal) }
  }
  let refusal: unknown
  for (const guess of guessesFor(signature)) {
    const payloads = drawPayloads(signature, guess)
    if (payloads.length === 0) continue
    try {
      return { payloads, answers: await runAll(runtime, payloads, signal) }
    } catch (error) {
      signal.throwIfAborted()
      refusal = error
    }
  }
  const why = refusal === undefined ? 'they would be too large' : messageOf(refusal)
  throw new CalibrationError(
    'no-sample',
    `no inputs could be drawn that the model takes (${why}); give some with --sample NAME=FILE.npy`,
    { cause: refusal },
  )
}

/** None where they would be too large. */
function drawPayloads(signature: Signature, guess: number): Uint8Array[] {
  const payloads: Uint8Array[] = []
  for (let seed = 1; seed <= SAMPLES; seed++) {
    const inputs = sampleInputs(signature, seed, guess)
    if (inputs !== undefined) payloads.push(encodeTensors(inputs))
  }
  return payloads
}

async function runAll(
  runtime: ModelRuntime,
  payloads: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<Executed[]> {
  const answers: Executed[] = []
  for (const inputs of payloads) answers.push(...(await execute(runtime, [inputs], signal)))
  return answers
}

/** Undefined where the engine could not run them together. */
async function runBatch(
  runtime: ModelRuntime,
  payloads: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<readonly Executed[] | undefined> {
  const answers = await execute(runtime, payloads, signal)
  return answers.length > 1 && answers.every(({ batched }) => batched) ? answers : undefined
}

async function execute(
  runtime: ModelRuntime,
  payloads: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<Executed[]> {
  const batch = payloads.map((inputs) => ({ inputs, salt: SALT, inputDigest: digestTensors(SALT, inputs) }))
  const outcomes = await runtime.execute(batch, signal)
  return outcomes.map((outcome) => {
    if (!outcome.ok)
      throw new CalibrationError('not-runnable', outcome.error.message, { cause: outcome.error })
    return outcome.value
  })
}

interface ExactFindings {
  readonly info: Calibration['exact']
  readonly judgement: LaneJudgement
  readonly answers?: readonly Pick<Executed, 'outputs'>[]
  readonly exactMs: number | undefined
  readonly traceMs: number | undefined
}

async function runExact(
  { exact }: CalibrationRuntimes,
  payloads: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<ExactFindings> {
  const nothing = { info: undefined, exactMs: undefined, traceMs: undefined }
  if (exact === undefined) {
    const reason =
      'the model has no plan: an operator of it is not on the list of those that are reproducible'
    return { ...nothing, judgement: { ok: false, reason } }
  }
  try {
    const first = await using(exact(), (runtime) => traceAll(runtime, payloads, signal))
    const second = await using(exact(), (runtime) => traceAll(runtime, payloads, signal))
    const judgement = judgeTraces(first.traces, second.traces)
    if (!judgement.ok) return { ...nothing, judgement }
    const answers = await using(exact(), (runtime) => runAll(runtime, payloads, signal))
    if (answers.some(({ outputs }, index) => !isSame([outputs], [first.traces[index]!.outputs]))) {
      const reason = 'a traced run and a plain one gave different answers: this machine must not sign any'
      return { ...nothing, judgement: { ok: false, reason } }
    }
    return {
      info: first.info,
      judgement,
      answers,
      exactMs: median(answers.map(({ serviceMs }) => serviceMs)),
      traceMs: median(first.traces.map(({ serviceMs }) => serviceMs)),
    }
  } catch (error) {
    signal.throwIfAborted()
    return { ...nothing, judgement: { ok: false, reason: messageOf(error) } }
  }
}

/**
 * Whether this machine may sign traces of a model: drawn inputs traced in two fresh processes are the same to the last
 * bit. What a node does before it first signs one, where the model was never calibrated. Rejects with the signal's reason.
 */
export async function checkExactLane(
  { signature }: Manifest,
  exact: () => ExactRuntime,
  { samples, signal }: CalibrateOptions,
): Promise<LaneJudgement> {
  let reason = 'no inputs could be drawn that the model takes'
  const given = samples?.map((inputs) => encodeTensors(inputs))
  for (const guess of given === undefined ? guessesFor(signature) : [0]) {
    const payloads = given ?? drawPayloads(signature, guess)
    if (payloads.length === 0) continue
    try {
      const trace = () => using(exact(), (runtime) => traceAll(runtime, payloads, signal))
      const [first, second] = await Promise.all([trace(), trace()])
      return judgeTraces(first.traces, second.traces)
    } catch (error) {
      signal.throwIfAborted()
      reason = messageOf(error)
    }
  }
  return { ok: false, reason }
}

/**
 * Runs a model once on drawn inputs, if it takes any, so that the first who needs a trace finds its process started and
 * its code compiled. Rejects with the signal's reason, or with RuntimeError where there is no process to run it.
 */
export async function warmExactLane(
  { signature }: Manifest,
  runtime: ExactRuntime,
  signal: AbortSignal,
): Promise<void> {
  await runtime.load(signal)
  for (const guess of guessesFor(signature)) {
    const [inputs] = drawPayloads(signature, guess)
    if (inputs === undefined) continue
    try {
      await runtime.trace(inputs, signal)
      return
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof RuntimeError) || !NOT_TAKEN.includes(error.code)) throw error
    }
  }
}

/** What a model says of inputs that it does not take. */
const NOT_TAKEN: readonly RuntimeErrorCode[] = ['input-mismatch', 'run-failed', 'out-of-memory']

function judgeTraces(first: readonly Trace[], second: readonly Trace[]): LaneJudgement {
  const differs = first.some(
    ({ leaves, outputs }, index) =>
      !isSame(leaves, second[index]!.leaves) || !isSame([outputs], [second[index]!.outputs]),
  )
  return differs
    ? {
        ok: false,
        reason:
          'two fresh processes gave different traces of the same inputs: this machine must not sign any',
      }
    : { ok: true, reason: `${first[0]?.leaves.length ?? 0} steps, traced alike twice` }
}

async function traceAll(
  runtime: ExactRuntime,
  payloads: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<{ info: RuntimeInfo; traces: readonly Trace[] }> {
  const traces: Trace[] = []
  for (const inputs of payloads) traces.push(await runtime.trace(inputs, signal))
  return { info: runtime.info, traces }
}

async function using<R extends ModelRuntime, T>(runtime: R, use: (runtime: R) => Promise<T>): Promise<T> {
  try {
    return await use(runtime)
  } finally {
    await runtime.close()
  }
}

function largest(
  left: readonly Pick<Executed, 'outputs'>[],
  right: readonly Pick<Executed, 'outputs'>[],
): number {
  return Math.max(...left.map(({ outputs }, index) => spreadOf(outputs, right[index]!.outputs)))
}

function isSame(left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean {
  return (
    left.length === right.length && left.every((bytes, index) => Buffer.compare(bytes, right[index]!) === 0)
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function format(spread: number): string {
  // "0.0e+0" is no way to say that they are equal.
  if (spread === 0) return '0'
  return Number.isFinite(spread) ? spread.toExponential(1) : 'infinitely'
}

/** Nothing is kept of these runs: any salt will do. */
const SALT = new Uint8Array(SALT_BYTES)
