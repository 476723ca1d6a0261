/** The contradiction that takes a run to see: a leaf that says what its operator does not give. */
import { examineLeaf, expect, type Origin, type Plan, stepAt } from '../../models/plan/index.ts'
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
  const work = workOf(plan, leaf)
  const payload = operands.byteLength === 0 ? NOTHING : operands
  verifyOperands(leaf, work, payload)
  const run = async (): Promise<readonly Uint8Array[]> => {
    try {
      const { outputs } = await runStep(leaf.position, leaf.operands, payload, signal)
      return outputs.slice(work.outputs.from, work.outputs.until)
    } catch (cause) {
      throw new FraudError('cannot-run', `the step at ${leaf.position} could not be run: ${String(cause)}`, {
        cause,
      })
    }
  }
  const stated = leaf.outputs.slice(work.outputs.from, work.outputs.until)
  const outputs = await run()
  if (outputs.length !== stated.length)
    throw new FraudError('cannot-run', 'the step gives another number of outputs')
  if (sameDigests(outputs, stated)) {
    throw new FraudError('no-contradiction', 'the step gives what the leaf says')
  }
  if (!sameDigests(outputs, await run())) {
    throw new FraudError('cannot-run', `the step at ${leaf.position} gives now this, now that`)
  }
  return leaf.position
}

/** What of a leaf takes a run to check, and what the run is given. */
interface Work {
  readonly operands: Range
  readonly outputs: Range
  readonly origins: readonly Origin[]
}

interface Range {
  readonly from: number
  readonly until: number
}

/** Where values only pass through, `examineLeaf` has compared them: they need not be there, and prove nothing. */
function workOf(plan: Plan, leaf: Leaf): Work {
  const step = stepAt(plan, leaf.position)
  const isEnd = parsePosition(leaf.position).phase === 'end'
  if (step === undefined || (step.kind === 'if' && isEnd)) {
    throw new FraudError('no-contradiction', `at ${leaf.position} values only pass through`)
  }
  const origins = expect(plan, leaf.position)!.operands
  const all = {
    operands: { from: 0, until: origins.length },
    outputs: { from: 0, until: leaf.outputs.length },
    origins,
  }
  if (step.kind !== 'loop') return all
  return isEnd
    ? {
        operands: { from: step.carried, until: origins.length },
        outputs: { from: step.carried, until: leaf.outputs.length },
        origins,
      }
    : { operands: { from: 0, until: 2 }, outputs: { from: 0, until: 3 }, origins }
}

/** The payload holds operands of the leaf, each once, each under its digest; and all that the step needs. */
function verifyOperands(leaf: Leaf, { operands: { from, until }, origins }: Work, payload: Uint8Array): void {
  const named = new Set(leaf.operands.map(hex))
  const given = new Set<string>()
  for (const { name, dtype, dims, data } of read(payload)) {
    if (!named.has(name) || hex(digestValue({ dtype, dims, data })) !== name) {
      throw new FraudError('wrong-operands', `${name} is not the digest of an operand`)
    }
    given.add(name)
  }
  for (let at = from; at < until; at++) {
    const origin = origins[at]!
    const operand = leaf.operands[at]!
    if (origin.kind === 'constant' && Buffer.compare(origin.digest, operand) !== 0) {
      throw new FraudError('no-contradiction', 'a constant is not that of the model: nothing can be run')
    }
    const isGiven = origin.kind === 'input' || origin.kind === 'leaf'
    if (isGiven && !given.has(hex(operand))) {
      throw new FraudError('wrong-operands', `the operand ${hex(operand)} is missing`)
    }
  }
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
