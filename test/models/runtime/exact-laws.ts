/** What holds for every model in the exact lane, whatever it computes. */
import * as assert from 'uvu/assert'
import type { ExactRuntime, Trace } from '../../../models/runtime/index.ts'
import { decodeTensors, digestTensors } from '../../../models/tensor/index.ts'
import { canonicalValue, decodeLeaf, digestValue } from '../../../models/trace/index.ts'
import { examineOutputs, examineTrace } from '../../../src/verification/index.ts'

export const forever = new AbortController().signal
const SALT = new Uint8Array(32).fill(7)

/** Runs without a trace; throws what the entry failed with. */
export async function runPlain(runtime: ExactRuntime, inputs: Uint8Array): Promise<Uint8Array> {
  const execution = { inputs, salt: SALT, inputDigest: digestTensors(SALT, inputs) }
  const [outcome] = await runtime.execute([execution], forever)
  if (!outcome?.ok) throw outcome?.error ?? new Error('there is no outcome')
  return outcome.value.outputs
}

/** The trace of a run, which is what the plan says, has the outputs of the plain run, and is the same again. */
export async function verifyTrace(runtime: ExactRuntime, inputs: Uint8Array): Promise<Trace> {
  const plan = await runtime.plan(forever)
  const trace = await runtime.trace(inputs, forever)
  const digests = plan.inputs.map((name) => {
    const { dtype, dims, data } = decodeTensors(inputs).find((tensor) => tensor.name === name)!
    return digestValue(canonicalValue({ dtype, dims, data }))
  })
  assert.is(examineTrace(plan, trace.leaves, digests), undefined, 'shape and wiring')
  const outputs = decodeTensors(trace.outputs).map(({ name, ...value }) => ({
    name,
    digest: digestValue(value),
  }))
  assert.is(examineOutputs(plan, trace.leaves, digests, outputs), undefined, 'outputs')
  assert.is(Buffer.compare(trace.outputs, await runPlain(runtime, inputs)), 0, 'the plain run gives the same')
  assertSameLeaves(await runtime.trace(inputs, forever), trace)
  return trace
}

/** Each leaf of a trace (or each n-th) follows from its own operands, which are what the runtime hands out. */
export async function verifySteps(
  runtime: ExactRuntime,
  inputs: Uint8Array,
  { leaves }: Trace,
  every = 1,
): Promise<void> {
  for (let index = 0; index < leaves.length; index += every) {
    const leaf = decodeLeaf(leaves[index]!)
    const payload = await runtime.operands(inputs, leaf.position, forever)
    for (const { name, dtype, dims, data } of decodeTensors(payload)) {
      assert.is(hex(digestValue({ dtype, dims, data })), name, `operands of ${leaf.position}`)
    }
    const { outputs } = await runtime.runStep(leaf.position, leaf.operands, payload, forever)
    assert.equal(outputs.map(hex), leaf.outputs.map(hex), leaf.position)
  }
}

export function assertSameLeaves(left: Trace, right: Trace): void {
  assert.equal(left.leaves.map(hex), right.leaves.map(hex), 'the same leaves')
  assert.is(hex(left.outputs), hex(right.outputs), 'the same outputs')
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
