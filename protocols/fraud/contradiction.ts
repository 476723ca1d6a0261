/**
 * The contradictions that need no execution. Each function returns where the contradiction is, and throws FraudError
 * `no-contradiction` where an honest party could have signed all of it. Leaves were found in the accused's trace before.
 */
import {
  deciderOf,
  decisionOf,
  examineLeaf,
  expect,
  firstPosition,
  nextPosition,
  type Origin,
  outputOrigins,
  type Plan,
  PlanError,
  placeOf,
} from '../../models/plan/index.ts'
import { decodeTensors, type Tensor, TensorError } from '../../models/tensor/index.ts'
import {
  ABSENT,
  canonicalValue,
  decodeLeaf,
  digestValue,
  type Leaf,
  TraceError,
} from '../../models/trace/index.ts'
import { FraudError } from './errors.ts'
import type { OperandProof, OutputProof, ProvenLeaf } from './proof.ts'

/** Where in the plan; undefined where it is about no single position. */
export type Place = string | undefined

export function contradictsShape(plan: Plan, leafCount: number, leaves: readonly ProvenLeaf[]): Place {
  const [first, second] = leaves
  if (first === undefined) {
    const missing = firstPosition(plan)
    return leafCount === 0 && missing !== undefined ? missing : none('the trace may be empty')
  }
  const leaf = tryDecode(first.bytes)
  if (leaf === undefined) return undefined
  if (second !== undefined) {
    if (second.index !== first.index + 1) none('the two leaves are no neighbours')
    return contradictsOrder(plan, leaf, tryDecode(second.bytes))
  }
  if (examineLeaf(plan, leaf) !== undefined) return leaf.position
  if (first.index === 0 && leaf.position !== firstPosition(plan)) return leaf.position
  if (first.index === leafCount - 1) {
    const missing = nextPosition(plan, leaf)
    if (missing !== undefined) return missing
  }
  return none('the plan allows the leaf')
}

/** `inputs` are the job's, by name. */
export function contradictsOperand(
  plan: Plan,
  { leaves, operand }: OperandProof,
  inputs: ReadonlyMap<string, Tensor>,
): Place {
  const [leaf, ...others] = leaves.map(({ bytes }) => decode(bytes))
  if (leaf === undefined || examineLeaf(plan, leaf) !== undefined) return none('the leaf has a wrong shape')
  const decider = deciderOf(plan, leaf.position)
  const decides = others.find(({ position }) => position === decider)
  const expectation = expect(plan, leaf.position, decides && decisionOf(decides))
  if (expectation === undefined) return none('the decision of the If that ends is missing')
  const origin = expectation.operands[operand]
  const stated = leaf.operands[operand]
  if (origin === undefined || stated === undefined) return none(`the leaf has no operand ${operand}`)
  return same(stated, digestAt(origin, others, inputs)) ? none('the operand is right') : leaf.position
}

/** The payload has the digest that the accused signed; `outputBytes` is the length that it signed. */
export function contradictsOutput(
  plan: Plan,
  { leaves, output, outputs }: OutputProof,
  outputBytes: number,
  inputs: ReadonlyMap<string, Tensor>,
): Place {
  if (outputs.byteLength !== outputBytes) return undefined
  const tensors = tryDecodeTensors(outputs)
  if (tensors === undefined) return undefined
  const origins = outputOrigins(plan)
  const named = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  if (named.size !== origins.length || !origins.every(({ name }) => named.has(name))) return undefined
  const asked = output === undefined ? undefined : origins[output]
  if (asked === undefined) return none('the payload holds the outputs of the model')
  const made = leaves.map(({ bytes }) => decode(bytes))
  const value = digestAt(asked.origin, made, inputs)
  // What a model gives is canonical: no other bytes have that digest.
  if (same(digestValue(named.get(asked.name)!), value)) return none('the output is right')
  return asked.origin.kind === 'leaf' ? made[0]?.position : undefined
}

/** The tensors of a job's payload. Throws FraudError `wrong-input` where it holds none. */
export function readInputs(payload: Uint8Array): ReadonlyMap<string, Tensor> {
  const tensors = tryDecodeTensors(payload)
  if (tensors === undefined) throw new FraudError('wrong-input', 'the inputs are no tensors')
  return new Map(tensors.map((tensor) => [tensor.name, tensor]))
}

/** Throws FraudError `no-contradiction` where the bytes are no leaf: that is another claim. */
export function decode(bytes: Uint8Array): Leaf {
  return tryDecode(bytes) ?? none('a leaf has a wrong shape')
}

/** An honest leaf is followed by the leaf that the plan says. */
function contradictsOrder(plan: Plan, leaf: Leaf, follower: Leaf | undefined): Place {
  if (follower === undefined) return undefined
  try {
    if (nextPosition(plan, leaf) !== follower.position) return follower.position
  } catch (error) {
    // Nothing follows a leaf that is wrong itself.
    if (error instanceof PlanError) return leaf.position
    throw error
  }
  return none('the leaves follow one another')
}

function digestAt(origin: Origin, leaves: readonly Leaf[], inputs: ReadonlyMap<string, Tensor>): Uint8Array {
  switch (origin.kind) {
    case 'absent':
      return ABSENT
    case 'constant':
      return origin.digest
    case 'input': {
      const input = inputs.get(origin.name)
      // Nobody honest runs a job that lacks an input.
      return input === undefined
        ? none(`the input "${origin.name}" is missing`)
        : digestValue(canonicalValue(input))
    }
    case 'leaf': {
      const leaf = leaves.find(({ position }) => placeOf(position) === origin.place)
      return leaf?.outputs[origin.output] ?? none(`the leaf at ${origin.place} is missing`)
    }
    default:
      return origin satisfies never
  }
}

function tryDecode(bytes: Uint8Array): Leaf | undefined {
  try {
    return decodeLeaf(bytes)
  } catch (error) {
    if (error instanceof TraceError) return undefined
    throw error
  }
}

function tryDecodeTensors(payload: Uint8Array): Tensor[] | undefined {
  try {
    return decodeTensors(payload)
  } catch (error) {
    if (error instanceof TensorError) return undefined
    throw error
  }
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

function none(why: string): never {
  throw new FraudError('no-contradiction', why)
}
