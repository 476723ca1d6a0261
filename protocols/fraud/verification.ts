/**
 * Whether a proof proves what it claims. It rests on the accused's own signatures, the model's bytes and one step of
 * it run here; on nobody's word. The static part comes first and is bounded by the size of the proof.
 */
import { type Plan, stepAt } from '../../models/plan/index.ts'
import type { ExactRuntime } from '../../models/runtime/index.ts'
import { digestTensorsInBackground, type Tensor } from '../../models/tensor/index.ts'
import type { SealedJob } from '../receipt/index.ts'
import {
  contradictsOperand,
  contradictsOutput,
  contradictsShape,
  type Place,
  readInputs,
} from './contradiction.ts'
import { FraudError, type FraudInvalidCode, type FraudUndecidedCode } from './errors.ts'
import { contradictsExecution } from './execution.ts'
import type { FraudKind } from './notice.ts'
import {
  type CommitmentsProof,
  decodeFraudProof,
  type FraudProof,
  type ReceiptsProof,
  type SaltedPayload,
} from './proof.ts'
import {
  isExactStatement,
  openCommitments,
  openReceipts,
  openStatements,
  type Statements,
  verifyLeaf,
} from './statements.ts'

/** A model of which the verifier has the bytes. */
export interface VerifiableModel {
  readonly plan: Plan
  /** Version of the exact lane that runs it here: see TraceCommitment. */
  readonly laneId: string
  /** Of a process that can be killed. */
  readonly runStep: ExactRuntime['runStep']
}

export interface FraudVerifier {
  /** The model under a CID; undefined where it is not at hand. A rejection counts as `cannot-run`. */
  readonly modelOf: (cid: string) => Promise<VerifiableModel | undefined> | VerifiableModel | undefined
  /** Of this verifier's exact lane; with it, equivocation is decided without the model. */
  readonly laneId?: string
}

export type FraudVerdict =
  | ValidFraud
  | { readonly status: 'invalid'; readonly code: FraudInvalidCode; readonly message: string }
  | { readonly status: 'undecided'; readonly code: FraudUndecidedCode; readonly message: string }

export interface ValidFraud {
  readonly status: 'valid'
  /** Peer id of the key that contradicts itself. */
  readonly accused: string
  readonly kind: FraudKind
  /** Hex of the job commitment. */
  readonly jobId: string
  /** CID. */
  readonly model: string
  /** Whether the job allows that others are shown this: it may hold activations of its inputs, or the inputs. */
  readonly publishable: boolean
  /** Where in the trace, if it is about one position. */
  readonly position?: string
  /** ONNX operator there. */
  readonly operator?: string
}

/** Judges the bytes of a proof, all of which may be hostile. Never rejects on account of them. */
export async function verifyFraudProof(
  bytes: Uint8Array,
  verifier: FraudVerifier,
  signal: AbortSignal,
): Promise<FraudVerdict> {
  try {
    signal.throwIfAborted()
    return await judge(decodeFraudProof(bytes), verifier, signal)
  } catch (error) {
    if (signal.aborted) return { status: 'undecided', code: 'aborted', message: String(signal.reason) }
    if (!(error instanceof FraudError)) throw error
    const { code, message } = error
    switch (code) {
      case 'unknown-model':
      case 'other-lane':
      case 'other-plan':
      case 'cannot-run':
      case 'aborted':
        return { status: 'undecided', code, message }
      case 'unproven':
        throw error
      default:
        return { status: 'invalid', code, message }
    }
  }
}

function judge(proof: FraudProof, verifier: FraudVerifier, signal: AbortSignal): Promise<ValidFraud> {
  if (proof.claim === 'receipts') return judgeReceipts(proof, verifier)
  if (proof.claim === 'commitments') return judgeCommitments(proof, verifier)
  return judgeTrace(proof, verifier, signal)
}

async function judgeTrace(
  proof: Exclude<FraudProof, ReceiptsProof | CommitmentsProof>,
  verifier: FraudVerifier,
  signal: AbortSignal,
): Promise<ValidFraud> {
  const statements = openStatements(proof)
  const { job, accused, receipt, commitment } = statements
  const about = { accused, job }
  switch (proof.claim) {
    case 'shape': {
      for (const leaf of proof.leaves) verifyLeaf(commitment, leaf)
      const model = await comparableModel(verifier, statements)
      return valid(
        about,
        'shape',
        model.plan,
        contradictsShape(model.plan, commitment.leafCount, proof.leaves),
      )
    }
    case 'operand': {
      for (const leaf of proof.leaves) verifyLeaf(commitment, leaf)
      const inputs = await openInputs(job, proof.given)
      const { plan } = await comparableModel(verifier, statements)
      return valid(about, 'wiring', plan, contradictsOperand(plan, proof, inputs))
    }
    case 'output': {
      const { salt, inputs: payload } = proof
      for (const leaf of proof.leaves) verifyLeaf(commitment, leaf)
      if (!(await hasDigest(salt, proof.outputs, commitment.outputDigest))) {
        throw new FraudError('wrong-output', 'the outputs are not those that the accused signed')
      }
      const inputs = await openInputs(job, payload && { salt, inputs: payload })
      const { plan } = await comparableModel(verifier, statements)
      return valid(about, 'wiring', plan, contradictsOutput(plan, proof, commitment.outputBytes, inputs))
    }
    case 'receipt': {
      if (!isExactStatement(receipt) || receipt.runtime.version !== commitment.laneId) {
        throw new FraudError('no-contradiction', 'receipt and trace are not of the same lane')
      }
      if (sameOutputs(receipt, commitment)) {
        throw new FraudError('no-contradiction', 'receipt and trace have the same outputs')
      }
      const { plan } = await comparableModel(verifier, statements)
      return valid(about, 'wiring', plan, undefined)
    }
    case 'execution': {
      verifyLeaf(commitment, proof.leaf)
      const model = await comparableModel(verifier, statements)
      return valid(about, 'execution', model.plan, await contradictsExecution(model, proof, signal))
    }
    default:
      return proof satisfies never
  }
}

async function judgeReceipts(proof: ReceiptsProof, verifier: FraudVerifier): Promise<ValidFraud> {
  const { job, accused, receipts } = openReceipts(proof.job, proof.receipts)
  const [left, right] = receipts
  // A native answer may differ from one run to the next, and whatever is done beside the model has no lane.
  if (!isExactStatement(left) || !isExactStatement(right)) {
    throw new FraudError('no-contradiction', 'the receipts are not both of plain exact runs')
  }
  if (left.runtime.engine !== right.runtime.engine || left.runtime.version !== right.runtime.version) {
    throw new FraudError('no-contradiction', 'the receipts are of different versions of the exact lane')
  }
  if (sameOutputs(left, right)) throw new FraudError('no-contradiction', 'the receipts have the same outputs')
  await verifyLane(verifier, job, left.runtime.version)
  return valid({ accused, job }, 'equivocation', undefined, undefined)
}

async function judgeCommitments(proof: CommitmentsProof, verifier: FraudVerifier): Promise<ValidFraud> {
  const { job, accused, commitments } = openCommitments(proof.job, proof.commitments)
  const [left, right] = commitments
  if (left.laneId !== right.laneId || !same(left.planRoot, right.planRoot)) {
    throw new FraudError('no-contradiction', 'the traces are of different lanes or plans')
  }
  if (
    sameOutputs(left, right) &&
    left.leafCount === right.leafCount &&
    same(left.traceRoot, right.traceRoot)
  ) {
    throw new FraudError('no-contradiction', 'the commitments are to the same trace')
  }
  const model = await verifyLane(verifier, job, left.laneId)
  if (model !== undefined) verifyPlanRoot(model, left.planRoot)
  return valid({ accused, job }, 'equivocation', undefined, undefined)
}

/** The model, where the accused ran the same lane on the same plan: only then can anything be compared. */
async function comparableModel(
  verifier: FraudVerifier,
  { job, commitment }: Statements,
): Promise<VerifiableModel> {
  const model = await findModel(verifier, job)
  if (model === undefined) throw new FraudError('unknown-model', `the model ${job.job.model} is not at hand`)
  if (model.laneId !== commitment.laneId) otherLane(commitment.laneId, model.laneId)
  verifyPlanRoot(model, commitment.planRoot)
  return model
}

/** Only of a lane that is known to be deterministic are two different results a contradiction. */
async function verifyLane(
  verifier: FraudVerifier,
  job: SealedJob,
  laneId: string,
): Promise<VerifiableModel | undefined> {
  const model = verifier.laneId === undefined ? await findModel(verifier, job) : undefined
  const known = verifier.laneId ?? model?.laneId
  if (known === undefined) throw new FraudError('unknown-model', `the model ${job.job.model} is not at hand`)
  if (known !== laneId) otherLane(laneId, known)
  return model
}

async function findModel(verifier: FraudVerifier, { job }: SealedJob): Promise<VerifiableModel | undefined> {
  try {
    return await verifier.modelOf(job.model)
  } catch (cause) {
    throw new FraudError('cannot-run', `the model ${job.model} cannot be used: ${String(cause)}`, { cause })
  }
}

function verifyPlanRoot({ plan }: VerifiableModel, stated: Uint8Array): void {
  if (same(plan.root, stated)) return
  throw new FraudError('other-plan', 'the accused derived another plan from the model')
}

function otherLane(stated: string, known: string): never {
  throw new FraudError('other-lane', `the accused ran ${stated}; here is ${known}`)
}

async function openInputs(
  job: SealedJob,
  given: SaltedPayload | undefined,
): Promise<ReadonlyMap<string, Tensor>> {
  if (given === undefined) return new Map()
  if (await hasDigest(given.salt, given.inputs, job.job.inputDigest)) return readInputs(given.inputs)
  throw new FraudError('wrong-input', 'the inputs are not those of the job')
}

async function hasDigest(salt: Uint8Array, payload: Uint8Array, digest: Uint8Array): Promise<boolean> {
  return same(await digestTensorsInBackground(salt, payload), digest)
}

interface StatedOutputs {
  readonly outputDigest: Uint8Array
  readonly outputBytes: number
}

function sameOutputs(left: StatedOutputs, right: StatedOutputs): boolean {
  return left.outputBytes === right.outputBytes && same(left.outputDigest, right.outputDigest)
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

function valid(
  { accused, job }: { readonly accused: string; readonly job: SealedJob },
  kind: FraudKind,
  plan: Plan | undefined,
  position: Place,
): ValidFraud {
  const step = plan === undefined || position === undefined ? undefined : stepAt(plan, position)
  return {
    status: 'valid',
    accused,
    kind,
    jobId: Buffer.from(job.commitment).toString('hex'),
    model: job.job.model,
    publishable: job.job.policy.publicDisputes,
    ...(position === undefined ? {} : { position }),
    ...(step === undefined ? {} : { operator: step.type }),
  }
}
