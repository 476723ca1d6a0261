import type { StoredModel } from '../../models/store/index.ts'
import {
  createTask,
  decodeReading,
  type Execute,
  type PageLine,
  RECOGNITION_ROLE,
  type RgbImage,
  recognitionModel,
  type TaskModel,
} from '../../models/task/index.ts'
import { float32Tensor, type Tensor } from '../../models/tensor/index.ts'
import { type ClosedJob, type DisputeReport, JobError, type VerimeshNode } from '../node/index.ts'
import type { Verdict } from '../verification/index.ts'
import { DEMO_JOB_TIMEOUT_MS } from './constants.ts'
import { createLocalRuntime } from './recompute.ts'
import type { Stage } from './stage.ts'

/** One job of the page and what became of it. */
export interface DemoJob {
  /** Undefined when the job failed. */
  readonly jobId: string | undefined
  readonly label: string
  readonly model: string
  readonly inputs: readonly Tensor[]
  /** The accepted outputs; undefined when the job failed. */
  readonly outputs: readonly Tensor[] | undefined
  readonly verdict: Verdict | undefined
  readonly answers: ClosedJob['answers']
  readonly disputes: readonly DisputeReport[]
  readonly failure: string | undefined
}

/** A line that somebody read otherwise. */
export interface Dissent {
  readonly line: number
  readonly provider: string
  readonly accepted: string
  readonly told: string
}

export interface DemoReading {
  readonly text: string
  readonly lines: readonly PageLine[]
  readonly jobs: readonly DemoJob[]
  readonly dissent: readonly Dissent[]
  readonly elapsedMs: number
}

export interface ReadingOptions {
  readonly image: RgbImage
  readonly node: VerimeshNode
  /** Detection, then recognition. */
  readonly models: readonly StoredModel[]
  readonly replicas: number
  /** Share of answers that this node computes again itself. */
  readonly recompute: number
  readonly receipts: string
  readonly recognizeOnly: boolean
  readonly signal: AbortSignal
  readonly stage: Stage
}

/** Reads the page: detection is one job, each line another, all lines in flight together. */
export async function readOnMesh(options: ReadingOptions): Promise<DemoReading> {
  const { image, node, models, signal, stage } = options
  const [detection, recognition] = (await Promise.all(
    models.map(({ cid }) => node.describe(cid, signal)),
  )) as [TaskModel & { cid: string }, TaskModel & { cid: string }]
  const startedAtMs = performance.now()
  const open: Promise<DemoJob>[] = []
  const ask: Execute = async ({ role, inputs, label }) => {
    const model = role === RECOGNITION_ROLE ? recognition.cid : detection.cid
    const job = runJob(options, model, inputs, label)
    open.push(job.closed)
    // Heard of below, unless the reading itself fails before that.
    job.closed.catch(() => undefined)
    const outputs = await job.outputs
    // A line that nobody could agree on stays empty; the outcome tells that its job failed.
    return outputs ?? [blankLine(recognitionModel(recognition).characters.length)]
  }
  const local = options.recognizeOnly ? await createLocalRuntime(models[0]!) : undefined
  try {
    const execute: Execute = (execution) =>
      local !== undefined && execution.role === 'self' ? local.run(execution.inputs, signal) : ask(execution)
    const { text, lines } = await createTask(detection, { [RECOGNITION_ROLE]: recognition }).run(
      image,
      execute,
      {
        signal,
        onProgress: (progress) =>
          stage.show(
            progress.stage === 'detected'
              ? `found ${progress.total} lines of text; each is read by ${options.replicas} providers ...`
              : `read ${progress.done} of ${progress.total} lines ...`,
          ),
      },
    )
    const elapsedMs = performance.now() - startedAtMs
    stage.show('waiting for the last replicas, for the record ...')
    const jobs = await Promise.all(open)
    return { text, lines, jobs, dissent: findDissent(jobs, lines, recognition), elapsedMs }
  } finally {
    await local?.close()
  }
}

function runJob(
  { node, replicas, recompute, receipts, signal }: ReadingOptions,
  model: string,
  inputs: readonly Tensor[],
  label: string,
): { outputs: Promise<readonly Tensor[] | undefined>; closed: Promise<DemoJob> } {
  const submitted = node.submit({
    model,
    inputs,
    replicas,
    recomputeRate: recompute,
    // The page is nobody's secret: what is proved of liars may be shown to everybody.
    publicDisputes: true,
    timeoutMs: DEMO_JOB_TIMEOUT_MS,
    bundleDirectory: receipts,
    signal,
  })
  const failed = (error: unknown): string => {
    if (signal.aborted || !(error instanceof JobError)) throw error
    return error.message
  }
  return {
    outputs: submitted.then(
      (result) => result.outputs,
      (error: unknown) => void failed(error),
    ),
    closed: submitted.then(
      async (result) => {
        const { verdict, answers, disputes, bundleError } = await result.closed
        if (bundleError !== undefined) throw bundleError
        return {
          jobId: result.jobId,
          label,
          model,
          inputs,
          outputs: result.outputs,
          verdict,
          answers,
          disputes,
          failure: undefined,
        }
      },
      (error: unknown) => ({
        jobId: undefined,
        label,
        model,
        inputs,
        outputs: undefined,
        verdict: undefined,
        answers: [],
        disputes: [],
        failure: failed(error),
      }),
    ),
  }
}

/** What the outvoted said of each line, in words. */
function findDissent(
  jobs: readonly DemoJob[],
  lines: readonly PageLine[],
  recognition: TaskModel,
): Dissent[] {
  const { characters } = recognitionModel(recognition)
  return jobs.flatMap(({ label, answers }) => {
    const line = /^line (\d+)$/.exec(label)?.[1]
    if (line === undefined) return []
    const index = Number(line) - 1
    return answers
      .filter(({ agreed }) => !agreed)
      .map(({ provider, outputs }) => ({
        line: index,
        provider,
        accepted: lines[index]?.text ?? '',
        told: outputs[0] === undefined ? '' : decodeReading(outputs[0], characters).text,
      }))
  })
}

/** What a recognition network says of a line without text: the blank class, for certain. */
function blankLine(classes: number): Tensor {
  const elements = new Float32Array(classes)
  elements[0] = 1
  return float32Tensor('blank', [1, 1, classes], elements)
}
