/** The referee and the proofs on what the real exact lane traces: every model of the test set but the largest. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stepAt } from '../../models/plan/index.ts'
import { createInProcessExactRuntime, type ExactRuntime } from '../../models/runtime/index.ts'
import { decodeTensors, digestTensors, encodeTensors } from '../../models/tensor/index.ts'
import {
  ABSENT,
  canonicalValue,
  decodeLeaf,
  digestValue,
  encodeLeaf,
  hashLeaf,
  type Leaf,
  merkleRoot,
} from '../../models/trace/index.ts'
import {
  type Accused,
  FraudError,
  proveExecution,
  type VerifiableModel,
} from '../../protocols/fraud/index.ts'
import { receiptDigest, sealReceipt, sealTraceCommitment } from '../../protocols/receipt/index.ts'
import { examineOutputs, examineTrace, judge, type Party, settle } from '../../src/verification/index.ts'
import { TEST_SET } from '../exact/models/index.ts'
import { SALT, testReceipt } from '../fixtures/jobs.ts'
import { PROVIDER, toyJob } from '../fixtures/toy-parties.ts'
import { generator } from '../fixtures/toy-plans.ts'

const signal = new AbortController().signal
/** Larger ones are the bench's. */
const MODEL_BYTES_MAX = 16 * 1024 * 1024
const LIES_A_MODEL = 3

for (const { name, load, inputs: sample } of TEST_SET) {
  const { model: bytes, files } = load()
  if (bytes.byteLength > MODEL_BYTES_MAX) continue
  test(`honest traces have no violation, and lies are pinned and proven: ${name}`, async () => {
    const runtime = createInProcessExactRuntime(bytes, { external: files as never })
    try {
      for (const seed of [1, 2]) await examine(runtime, encodeTensors(sample(seed)), seed)
    } finally {
      await runtime.close()
    }
  })
}

async function examine(runtime: ExactRuntime, inputs: Uint8Array, seed: number): Promise<void> {
  const plan = await runtime.plan(signal)
  const model: VerifiableModel = { plan, laneId: runtime.info.version, runStep: runtime.runStep }
  const { leaves, outputs } = await runtime.trace(inputs, signal)
  const given = new Map(
    decodeTensors(inputs).map((tensor) => [tensor.name, digestValue(canonicalValue(tensor))]),
  )
  const digests = plan.inputs.map((input) => given.get(input)!)
  const honest: Party = {
    leaves,
    outputs: decodeTensors(outputs).map((tensor) => ({ name: tensor.name, digest: digestValue(tensor) })),
  }
  assert.is(examineTrace(plan, leaves, digests), undefined)
  assert.is(examineOutputs(plan, leaves, digests, honest.outputs), undefined)

  const below = generator(seed)
  for (let lie = 0; lie < LIES_A_MODEL && leaves.length > 0; lie++) {
    const index = below(leaves.length)
    const leaf = decodeLeaf(leaves[index]!)
    const told = leaf.outputs.findIndex((digest) => Buffer.compare(digest, ABSENT) !== 0)
    if (told < 0) continue
    const lied: Leaf = {
      ...leaf,
      outputs: leaf.outputs.with(told, digestValue({ dtype: 'uint8', dims: [0], data: new Uint8Array(0) })),
    }
    const liar = { ...honest, leaves: leaves.with(index, encodeLeaf(lied)) }
    const { divergence, left, right } = judge({ plan, inputs: digests, left: liar, right: honest })
    assert.is(divergence, index)
    const operands = await runtime.operands(inputs, leaf.position, signal)
    const { outputs: rerun } = await runtime.runStep(leaf.position, leaf.operands, operands, signal)
    const settled = settle(left, rerun)
    assert.is(settled.status, 'guilty', leaf.position)
    assert.is(settled.status === 'guilty' && 'index' in settled.violation && settled.violation.index, index)
    assert.equal(settle(right, rerun), { status: 'clear' }, leaf.position)

    assert.is(
      await provable(sign(liar, plan.root, runtime, inputs, outputs), index, operands, model),
      left.status === 'needs-execution',
      leaf.position,
    )
    assert.is(
      await provable(sign(honest, plan.root, runtime, inputs, outputs), index, operands, model),
      false,
      `${leaf.position} ${stepAt(plan, leaf.position)?.type}`,
    )
  }
}

async function provable(
  accused: Accused,
  index: number,
  operands: Uint8Array,
  model: VerifiableModel,
): Promise<boolean> {
  try {
    await proveExecution(accused, { index, operands }, model, signal)
    return true
  } catch (error) {
    assert.ok(
      error instanceof FraudError && /invalid \(no-contradiction\)/.test(error.message),
      String(error),
    )
    return false
  }
}

function sign(
  { leaves }: Party,
  planRoot: Uint8Array,
  { info }: ExactRuntime,
  inputs: Uint8Array,
  outputs: Uint8Array,
): Accused {
  const job = toyJob(inputs)
  const runtime = { ...info, batched: false }
  const receipt = sealReceipt(PROVIDER, testReceipt(job.commitment, outputs, { runtime }))
  const commitment = sealTraceCommitment(PROVIDER, {
    receiptDigest: receiptDigest(receipt),
    jobCommitment: job.commitment,
    planRoot,
    laneId: info.version,
    leafCount: leaves.length,
    traceRoot: merkleRoot(leaves.map(hashLeaf)),
    outputDigest: digestTensors(SALT, outputs),
    outputBytes: outputs.byteLength,
  })
  return { job: job.envelope, receipt, commitment, leaves, salt: SALT, inputs, outputs }
}

test.run()
