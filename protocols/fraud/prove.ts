/**
 * Builds proofs from what a referee found. Each builder has its own result verified before it returns: what it gives is
 * valid, or it rejects with FraudError: `unproven` where the verdict is another, `malformed` or `too-large` where a proof
 * cannot hold it.
 */
import { deciderOf, decisionOf, expect, outputOrigins, type Plan } from '../../models/plan/index.ts'
import { decodeLeaf, hashLeaf, merklePath } from '../../models/trace/index.ts'
import { FraudError } from './errors.ts'
import {
  encodeFraudProof,
  type FraudProof,
  fraudProofId,
  type ProvenLeaf,
  type TraceStatements,
} from './proof.ts'
import {
  type FraudVerifier,
  type ValidFraud,
  type VerifiableModel,
  verifyFraudProof,
} from './verification.ts'

/** One party of a dispute: what it signed, and all that its signatures are about. */
export interface Accused extends TraceStatements {
  /** Encoded, all of them. */
  readonly leaves: readonly Uint8Array[]
  /** The job's. */
  readonly salt: Uint8Array
  readonly inputs: Uint8Array
  /** The payload under the commitment's output digest. */
  readonly outputs: Uint8Array
}

export interface ProvenFraud {
  readonly bytes: Uint8Array
  /** See `fraudProofId`. */
  readonly id: string
  readonly verdict: ValidFraud
}

/** `leaves` are the indexes of those that the plan does not allow: none, one, or two neighbours. */
export async function proveShape(
  accused: Accused,
  { leaves }: { readonly leaves: readonly number[] },
  model: VerifiableModel,
  signal: AbortSignal,
): Promise<ProvenFraud> {
  const proven = proveLeaves(accused.leaves, leaves)
  return prove({ claim: 'shape', ...statementsOf(accused), leaves: proven }, forModel(model), signal)
}

/** That operand of the leaf at `index` is not what the plan says; `leaves` are further ones that show it. */
export async function proveOperand(
  accused: Accused,
  {
    index,
    operand,
    leaves,
  }: { readonly index: number; readonly operand: number; readonly leaves: readonly number[] },
  model: VerifiableModel,
  signal: AbortSignal,
): Promise<ProvenFraud> {
  const { salt, inputs } = accused
  const proven = proveLeaves(accused.leaves, [index, ...leaves])
  const isInput = operandIsInput(model.plan, proven, operand)
  return prove(
    {
      claim: 'operand',
      ...statementsOf(accused),
      leaves: proven,
      operand,
      ...(isInput ? { given: { salt, inputs } } : {}),
    },
    forModel(model),
    signal,
  )
}

/** That output of the model (or, left out, the payload as a whole) is not what the trace says. */
export async function proveOutput(
  accused: Accused,
  { output, leaves }: { readonly output?: number; readonly leaves: readonly number[] },
  model: VerifiableModel,
  signal: AbortSignal,
): Promise<ProvenFraud> {
  const { salt, inputs, outputs } = accused
  const isInput = output !== undefined && outputOrigins(model.plan)[output]?.origin.kind === 'input'
  return prove(
    {
      claim: 'output',
      ...statementsOf(accused),
      leaves: proveLeaves(accused.leaves, leaves),
      ...(output === undefined ? {} : { output }),
      salt,
      outputs,
      ...(isInput ? { inputs } : {}),
    },
    forModel(model),
    signal,
  )
}

/** Either of the two, as a referee tells them apart. */
export async function proveWiring(
  accused: Accused,
  violation:
    | {
        readonly at: 'operand'
        readonly index: number
        readonly operand: number
        readonly leaves: readonly number[]
      }
    | { readonly at: 'output'; readonly output?: number; readonly leaves: readonly number[] },
  model: VerifiableModel,
  signal: AbortSignal,
): Promise<ProvenFraud> {
  return violation.at === 'operand'
    ? proveOperand(accused, violation, model, signal)
    : proveOutput(accused, violation, model, signal)
}

/** That the receipt, of the exact lane itself, states other outputs than the trace commitment. */
export async function proveReceipt(
  statements: TraceStatements,
  model: VerifiableModel,
  signal: AbortSignal,
): Promise<ProvenFraud> {
  return prove({ claim: 'receipt', ...statementsOf(statements) }, forModel(model), signal)
}

/** That the step at leaf `index` gives something else; `operands` is what ExactRuntime's `operands` gives for it. */
export async function proveExecution(
  accused: Omit<Accused, 'salt' | 'inputs' | 'outputs'>,
  { index, operands }: { readonly index: number; readonly operands: Uint8Array },
  model: VerifiableModel,
  signal: AbortSignal,
): Promise<ProvenFraud> {
  const [leaf] = proveLeaves(accused.leaves, [index])
  return prove(
    { claim: 'execution', ...statementsOf(accused), leaf: leaf!, operands },
    forModel(model),
    signal,
  )
}

/** Two sealed receipts, or two sealed trace commitments, of one key for one sealed job, in any order. */
export async function proveEquivocation(
  statements: { readonly job: Uint8Array } & (
    | { readonly receipts: readonly [Uint8Array, Uint8Array] }
    | { readonly commitments: readonly [Uint8Array, Uint8Array] }
  ),
  verifier: FraudVerifier,
  signal: AbortSignal,
): Promise<ProvenFraud> {
  const { job } = statements
  const proof: FraudProof =
    'receipts' in statements
      ? { claim: 'receipts', job, receipts: ascending(statements.receipts) }
      : { claim: 'commitments', job, commitments: ascending(statements.commitments) }
  return prove(proof, verifier, signal)
}

async function prove(proof: FraudProof, verifier: FraudVerifier, signal: AbortSignal): Promise<ProvenFraud> {
  const bytes = encodeFraudProof(proof)
  const verdict = await verifyFraudProof(bytes, verifier, signal)
  if (verdict.status !== 'valid') {
    const { status, code, message } = verdict
    throw new FraudError('unproven', `the proof is ${status} (${code}): ${message}`)
  }
  return { bytes, id: fraudProofId(bytes), verdict }
}

function proveLeaves(leaves: readonly Uint8Array[], indexes: readonly number[]): ProvenLeaf[] {
  const hashes = leaves.map(hashLeaf)
  return indexes.map((index) => ({ index, bytes: leaves[index]!, path: merklePath(hashes, index) }))
}

function operandIsInput(plan: Plan, [leaf, ...others]: readonly ProvenLeaf[], operand: number): boolean {
  const { position } = decodeLeaf(leaf!.bytes)
  const decider = deciderOf(plan, position)
  const decides = others.map(({ bytes }) => decodeLeaf(bytes)).find((other) => other.position === decider)
  const expectation = expect(plan, position, decides && decisionOf(decides))
  return expectation?.operands[operand]?.kind === 'input'
}

function statementsOf({ job, receipt, commitment }: TraceStatements): TraceStatements {
  return { job, receipt, commitment }
}

function forModel(model: VerifiableModel): FraudVerifier {
  return { modelOf: () => model, laneId: model.laneId }
}

function ascending([left, right]: readonly [Uint8Array, Uint8Array]): [Uint8Array, Uint8Array] {
  return Buffer.compare(left, right) < 0 ? [left, right] : [right, left]
}
