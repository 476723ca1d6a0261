/** What a referee does with two traces: it looks at the leaves, and has the one step that is in doubt run again. */
import { performance } from 'node:perf_hooks'
import { type Plan, stepAt } from '../../models/plan/index.ts'
import { type ExactRuntime, RuntimeError, type RuntimeErrorCode } from '../../models/runtime/index.ts'
import { decodeTensors } from '../../models/tensor/index.ts'
import { canonicalValue, decodeLeaf, digestValue } from '../../models/trace/index.ts'
import {
  type InputDigests,
  type Judgement,
  judge,
  type NeedsExecution,
  type OutputDigests,
  type Settlement,
  settle,
} from '../verification/index.ts'

/** One side's trace, with the means to get the operands of a step of it. */
export interface TracedSide {
  /** Encoded leaves that hash to the root that the side signed. */
  readonly leaves: readonly Uint8Array[]
  /** Canonical payload of the outputs that the side signed. */
  readonly outputs: Uint8Array
  /**
   * Canonical payload of the step's activations, each verified against its name; or whose doing it is that there is none.
   * Rejects with the signal's reason only.
   */
  operands(position: string, signal: AbortSignal): Promise<Uint8Array | 'unshown' | 'nobody'>
}

/** The side did not show what its step was given, or showed what no such step can be given. Nothing that others need believe. */
export interface Unshown {
  readonly status: 'withheld'
  readonly index: number
  readonly position: string
}

export interface SideFinding {
  readonly settlement: Settlement | Unshown
  /** The activations on which the step was run again, where it was. */
  readonly operands: Uint8Array | undefined
  /** ONNX operator of the step that decided; empty where none did. */
  readonly operator: string
}

export interface Findings {
  readonly left: SideFinding
  readonly right: SideFinding
  /** The referee's own work, in milliseconds: looking at all leaves, and the step. Not waiting for operands or for its turn. */
  readonly refereeMs: number
}

export interface TraceCase {
  readonly plan: Plan
  readonly inputs: InputDigests
  readonly left: TracedSide
  readonly right: TracedSide
}

/** Digests of the model's inputs, by their index in the plan: what every trace begins with. Throws TensorError. */
export function inputDigests(plan: Plan, payload: Uint8Array): InputDigests {
  const tensors = new Map(decodeTensors(payload).map((tensor) => [tensor.name, tensor]))
  return plan.inputs.map((name) => {
    const tensor = tensors.get(name)
    if (tensor === undefined) throw new TypeError(`the job has no input "${name}"`)
    return digestValue(canonicalValue(tensor))
  })
}

/** Judges both sides, each by itself. Rejects with the signal's reason; what cannot be found out is `undecided`. */
export async function judgeTraces(
  { plan, inputs, left, right }: TraceCase,
  runtime: Pick<ExactRuntime, 'runStep'>,
  signal: AbortSignal,
): Promise<Findings> {
  const startedAtMs = performance.now()
  const judged = judge({
    plan,
    inputs,
    left: { leaves: left.leaves, outputs: outputDigests(left.outputs) },
    right: { leaves: right.leaves, outputs: outputDigests(right.outputs) },
  })
  let refereeMs = performance.now() - startedAtMs
  const reruns = new Map<string, Promise<Rerun>>()

  async function conclude(judgement: Judgement, side: TracedSide, other: TracedSide): Promise<SideFinding> {
    const operator = operatorOf(plan, judgement)
    if (judgement.status !== 'needs-execution')
      return { settlement: judgement, operands: undefined, operator }
    const key = keyOf(judgement)
    let rerun = reruns.get(key)
    if (rerun === undefined) {
      // Equal operands are as good from the one side as from the other, and are run once.
      const sides = sameOperands(other, judgement) ? [side, other] : [side]
      rerun = runOnOperandsOf(sides, runtime, judgement, signal)
      reruns.set(key, rerun)
      refereeMs += (await rerun).serviceMs
    }
    const { outputs, operands, failures } = await rerun
    const settlement = settle(judgement, outputs)
    const { index, position } = judgement
    const unshown = settlement.status === 'undecided' && failures.get(side) === 'unshown'
    return {
      settlement: unshown ? { status: 'withheld', index, position } : settlement,
      operands,
      operator,
    }
  }

  // One after the other: the sides mostly share operands and the run.
  const leftFinding = await conclude(judged.left, left, right)
  const rightFinding = await conclude(judged.right, right, left)
  return { left: leftFinding, right: rightFinding, refereeMs }
}

interface Rerun {
  /** Undefined where it could not be found out what the step gives, which condemns nobody. */
  readonly outputs: readonly Uint8Array[] | undefined
  readonly operands: Uint8Array | undefined
  /** What the step itself took, in milliseconds; 0 where it could not be run. */
  readonly serviceMs: number
  /** Of each side that was asked in vain, whether it was the side's own doing. */
  readonly failures: ReadonlyMap<TracedSide, 'unshown' | 'nobody'>
}

/** Asks one side after the other for operands until the step runs on them. */
async function runOnOperandsOf(
  sides: readonly TracedSide[],
  runtime: Pick<ExactRuntime, 'runStep'>,
  { position, operands: digests }: NeedsExecution,
  signal: AbortSignal,
): Promise<Rerun> {
  const failures = new Map<TracedSide, 'unshown' | 'nobody'>()
  for (const side of sides) {
    const operands = await side.operands(position, signal)
    if (typeof operands === 'string') {
      failures.set(side, operands)
      continue
    }
    try {
      const { outputs, serviceMs } = await runtime.runStep(position, digests, operands, signal)
      return { outputs, operands, serviceMs, failures }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof RuntimeError)) throw error
      failures.set(side, REFUSALS.includes(error.code) ? 'unshown' : 'nobody')
      // The other side's operands are the same ones: two that explode alike would end two processes by it.
      if (error.code === 'out-of-memory') break
    }
  }
  return { outputs: undefined, operands: undefined, serviceMs: 0, failures }
}

/** Operands are missing, or the operator refuses them: an honest run of the step had some that it takes. */
const REFUSALS: readonly RuntimeErrorCode[] = ['input-mismatch', 'run-failed']

function sameOperands(other: TracedSide, { index, position, operands }: NeedsExecution): boolean {
  const encoded = other.leaves[index]
  if (encoded === undefined) return false
  try {
    const leaf = decodeLeaf(encoded)
    return leaf.position === position && joined(leaf.operands) === joined(operands)
  } catch {
    return false
  }
}

/** Undefined where the signed payload holds no tensors. */
function outputDigests(payload: Uint8Array): OutputDigests | undefined {
  try {
    return decodeTensors(payload).map((tensor) => ({ name: tensor.name, digest: digestValue(tensor) }))
  } catch {
    return undefined
  }
}

function operatorOf(plan: Plan, judgement: Judgement): string {
  const position =
    judgement.status === 'needs-execution'
      ? judgement.position
      : judgement.status === 'guilty' && 'position' in judgement.violation
        ? judgement.violation.position
        : undefined
  return position === undefined ? '' : (stepAt(plan, position)?.type ?? '')
}

function keyOf({ position, operands }: NeedsExecution): string {
  return `${position} ${joined(operands)}`
}

function joined(digests: readonly Uint8Array[]): string {
  return digests.map((digest) => Buffer.from(digest).toString('hex')).join()
}
