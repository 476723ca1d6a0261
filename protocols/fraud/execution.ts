/** The contradiction that takes a run to see: a leaf that says what its operator does not give. */
import { examineLeaf, expect, type Plan, stepAt } from '../../models/plan/index.ts'
import type { StepRun } from '../../models/runtime/index.ts'
import { decodeTensors, encodeTensors, TensorError } from '../../models/tensor/index.ts'
import { digestValue, type Leaf, parsePosition } from '../../models/trace/index.ts'
import { decode, type Place } from './contradiction.ts'
import { FraudError } from './errors.ts'
import type { ExecutionProof } from './proof.ts'
import type { VerifiableModel } from './verification.ts'

/**
 * Runs the step on the operands that the leaf names. Where that contradicts the leaf it is run once more, since a machine
 * that contradicts itself condemns nobody. Throws FraudError `wrong-operands`, `no-contradiction`, `cannot-run`.
 */
export async function contradictsExecution(
  { plan, runStep }: VerifiableModel,
  { leaf: { bytes }, operands }: ExecutionProof,
  signal: AbortSignal,
): Promise<Place> {
  const leaf = decode(bytes)
  if (examineLeaf(plan, leaf) !== undefined) {
    throw new FraudError('no-contradiction', 'the leaf has a wrong shape: nothing can be run')
  }
  const payload = operands.byteLength === 0 ? NOTHING : operands
  verifyOperands(plan, leaf, payload)
  const run = async (): Promise<StepRun> => {
    try {
      return await runStep(leaf.position, leaf.operands, payload, signal)
    } catch (cause) {
      throw new FraudError('cannot-run', `the step at ${leaf.position} could not be run: ${String(cause)}`, {
        cause,
      })
    }
  }
  const { outputs } = await run()
  if (sameDigests(outputs, leaf.outputs)) {
    throw new FraudError('no-contradiction', 'the step gives what the leaf says')
  }
  if (!sameDigests(outputs, (await run()).outputs)) {
    throw new FraudError('cannot-run', `the step at ${leaf.position} gives now this, now that`)
  }
  return leaf.position
}

/** The payload holds operands of the leaf, each once, each under its digest; and all that the step needs. */
function verifyOperands(plan: Plan, leaf: Leaf, payload: Uint8Array): void {
  const named = new Set(leaf.operands.map(hex))
  const given = new Set<string>()
  for (const { name, dtype, dims, data } of read(payload)) {
    if (!named.has(name) || hex(digestValue({ dtype, dims, data })) !== name) {
      throw new FraudError('wrong-operands', `${name} is not the digest of an operand`)
    }
    given.add(name)
  }
  for (const operand of neededOperands(plan, leaf)) {
    if (!given.has(operand)) throw new FraudError('wrong-operands', `the operand ${operand} is missing`)
  }
}

/** Of control flow, what only passes through is known by its digest. Throws where a constant is not the model's. */
function neededOperands(plan: Plan, leaf: Leaf): string[] {
  const step = stepAt(plan, leaf.position)
  const { phase } = parsePosition(leaf.position)
  if (step?.kind === 'if' && phase === 'end') return []
  const origins = expect(plan, leaf.position)!.operands
  const from = step?.kind === 'loop' && phase === 'end' ? step.carried : 0
  const until = step?.kind === 'loop' && phase === 'decide' ? 2 : origins.length
  return origins.slice(from, until).flatMap((origin, at) => {
    const operand = leaf.operands[from + at]!
    if (origin.kind === 'constant' && Buffer.compare(origin.digest, operand) !== 0) {
      throw new FraudError('no-contradiction', "a constant is not the model's: nothing can be run")
    }
    return origin.kind === 'constant' || origin.kind === 'absent' ? [] : [hex(operand)]
  })
}

function read(payload: Uint8Array): ReturnType<typeof decodeTensors> {
  try {
    return decodeTensors(payload)
  } catch (cause) {
    if (!(cause instanceof TensorError)) throw cause
    throw new FraudError('wrong-operands', cause.message, { cause })
  }
}

function sameDigests(left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean {
  return left.length === right.length && left.every((digest, at) => Buffer.compare(digest, right[at]!) === 0)
}

function hex(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString('hex')
}

const NOTHING = encodeTensors([])
