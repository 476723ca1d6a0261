/** What a referee does with two traces: it looks at the leaves, and has the one step that is in doubt run again. */
import { performance } from 'node:perf_hooks'
import { type Plan, stepAt } from '../../models/plan/index.ts'
import { type ExactRuntime, RuntimeError } from '../../models/runtime/index.ts'
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
  /** Canonical payload of the step's activations, each verified against its name. Rejects where there is none to be had. */
  operands(position: string, signal: AbortSignal): Promise<Uint8Array>
}

export interface SideFinding {
  readonly settlement:
    | Settlement
    | { readonly status: 'withheld'; readonly index: number; readonly position: string }
  /** The activations on which the step was run again, where it was. */
  readonly operands: Uint8Array | undefined
  /** ONNX operator of the step that decided; empty where none did. */
  readonly operator: string
}

export interface Findings {
  readonly left: SideFinding
  readonly right: SideFinding
  /** The referee's own work, without waiting for operands, in milliseconds. */
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
  let waitedMs = 0
  const judged = judge({
    plan,
    inputs,
    left: { leaves: left.leaves, outputs: outputDigests(left.outputs) },
    right: { leaves: right.leaves, outputs: outputDigests(right.outputs) },
  })
  const payloads = new Map<string, Promise<Uint8Array | undefined>>()
  const reruns = new Map<string, Promise<readonly Uint8Array[] | undefined>>()

  /** Equal operands are asked of one side only, and of the other if the first does not give them. */
  function operandsFor(side: TracedSide, other: TracedSide, doubt: NeedsExecution) {
    const key = keyOf(doubt)
    let payload = payloads.get(key)
    if (payload === undefined) {
      const sides = sameOperands(other, doubt) ? [side, other] : [side]
      payload = firstOf(sides, doubt.position, signal)
      payloads.set(key, payload)
    }
    return payload
  }

  async function conclude(judgement: Judgement, side: TracedSide, other: TracedSide): Promise<SideFinding> {
    const operator = operatorOf(plan, judgement)
    if (judgement.status !== 'needs-execution')
      return { settlement: judgement, operands: undefined, operator }
    const { index, position } = judgement
    const waitingSinceMs = performance.now()
    const operands = await operandsFor(side, other, judgement)
    waitedMs += performance.now() - waitingSinceMs
    if (operands === undefined) {
      // What else its own trace shows condemns it all the same.
      const settlement = settle(judgement, undefined)
      const silent =
        settlement.status === 'undecided' ? { status: 'withheld' as const, index, position } : settlement
      return { settlement: silent, operands, operator }
    }
    const key = keyOf(judgement)
    let rerun = reruns.get(key)
    if (rerun === undefined) {
      rerun = run(runtime, judgement, operands, signal)
      reruns.set(key, rerun)
    }
    return { settlement: settle(judgement, await rerun), operands, operator }
  }

  // One after the other: the sides mostly share operands and the run.
  const leftFinding = await conclude(judged.left, left, right)
  const rightFinding = await conclude(judged.right, right, left)
  return { left: leftFinding, right: rightFinding, refereeMs: performance.now() - startedAtMs - waitedMs }
}

/** Undefined where nobody can say what the step gives: that condemns nobody. */
async function run(
  runtime: Pick<ExactRuntime, 'runStep'>,
  { position, operands }: NeedsExecution,
  payload: Uint8Array,
  signal: AbortSignal,
): Promise<readonly Uint8Array[] | undefined> {
  try {
    return (await runtime.runStep(position, operands, payload, signal)).outputs
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof RuntimeError) return undefined
    throw error
  }
}

async function firstOf(
  sides: readonly TracedSide[],
  position: string,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  for (const side of sides) {
    try {
      return await side.operands(position, signal)
    } catch {
      // Silence, a lie about the operands or a broken connection: without them it is as if nothing had been said.
      signal.throwIfAborted()
    }
  }
  return undefined
}

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
