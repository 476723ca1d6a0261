/**
 * A dispute about one run, as a node has it: both parties sign what they say, the real referee judges them by the real exact
 * lane, with the seats one way and the other, and whatever it finds is made a proof that a stranger verifies.
 */
import * as assert from 'uvu/assert'
import type { Plan } from '../../models/plan/index.ts'
import type { ExactRuntime } from '../../models/runtime/index.ts'
import { digestTensors } from '../../models/tensor/index.ts'
import { hashLeaf, merkleRoot } from '../../models/trace/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import {
  type Accused,
  FraudError,
  type ProvenFraud,
  type VerifiableModel,
  verifyFraudProof,
} from '../../protocols/fraud/index.ts'
import {
  receiptDigest,
  type SealedJob,
  sealReceipt,
  sealTraceCommitment,
} from '../../protocols/receipt/index.ts'
import { inputDigests, judgeTraces, type SideFinding, type TracedSide } from '../../src/node/judging.ts'
import { proveGuilt } from '../../src/node/proving.ts'
import { findDivergence, type Guilty, type InputDigests } from '../../src/verification/index.ts'
import { SALT, testReceipt } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { toyJob } from '../fixtures/toy-parties.ts'
import type { Testimony } from './liar.ts'

const signal = new AbortController().signal
const LEFT = seededSigner(2)
const RIGHT = seededSigner(3)

/** What became of a party: a proof for everyone who is guilty, and for nobody else. */
export interface Found {
  readonly settlement: SideFinding['settlement']
  readonly proof: ProvenFraud | undefined
}

export interface Outcome {
  /** Index of the first leaf at which the two differ. */
  readonly divergence: number | undefined
  readonly left: Found
  readonly right: Found
}

export interface Scene {
  readonly plan: Plan
  readonly digests: InputDigests
  readonly model: VerifiableModel
  /** The run of the exact lane itself. */
  readonly honest: Testimony
  /** The dispute to its end, which does not depend on who sits where. Throws where a proof fails, or one too many holds. */
  dispute(left: Testimony, right: Testimony): Promise<Outcome>
  /** What a provider signs that says this. */
  sign(testimony: Testimony, signer?: Signer): Accused
}

/** A job about a payload of inputs, and the honest run of it. */
export async function setScene(runtime: ExactRuntime, inputs: Uint8Array): Promise<Scene> {
  const plan = await runtime.plan(signal)
  const laneId = runtime.info.version
  const model: VerifiableModel = { plan, laneId, runStep: runtime.runStep }
  const digests = inputDigests(plan, inputs)
  const job = toyJob(inputs)
  const { leaves, outputs } = await runtime.trace(inputs, signal)
  const honest = {
    leaves,
    outputs,
    operands: (position: string) => runtime.operands(inputs, position, signal),
  }
  return { plan, digests, model, honest, dispute, sign }

  async function dispute(left: Testimony, right: Testimony): Promise<Outcome> {
    const sides = [sideOf(left), sideOf(right)] as const
    const judge = (one: TracedSide, other: TracedSide) =>
      judgeTraces({ plan, inputs: digests, left: one, right: other }, runtime, signal)
    const there = await judge(sides[0], sides[1])
    const back = await judge(sides[1], sides[0])
    assert.equal({ ...back, refereeMs: 0 }, { left: there.right, right: there.left, refereeMs: 0 })
    return {
      divergence: findDivergence(left.leaves, right.leaves),
      left: await conclude(left, LEFT, there.left, there.right),
      right: await conclude(right, RIGHT, there.right, there.left),
    }
  }

  async function conclude(
    testimony: Testimony,
    signer: Signer,
    { settlement, operands }: SideFinding,
    other: SideFinding,
  ): Promise<Found> {
    const accused = sign(testimony, signer)
    if (settlement.status !== 'guilty') {
      if (other.settlement.status === 'guilty') await slander(testimony, accused, other.settlement.violation)
      return { settlement, proof: undefined }
    }
    const { violation } = settlement
    const proof = await proveGuilt(accused, violation, operands, model, signal)
    // By somebody who was not there.
    const verdict = await verifyFraudProof(proof.bytes, { modelOf: () => model }, signal)
    assert.is(verdict.status, 'valid')
    assert.equal(verdict.status === 'valid' && [verdict.accused, verdict.kind], [
      signer.peerId,
      violation.kind,
    ])
    if ('position' in violation) {
      assert.is(verdict.status === 'valid' && verdict.position, violation.position)
    }
    return { settlement, proof }
  }

  /** What the one is guilty of cannot be proved of the other. */
  async function slander(
    testimony: Testimony,
    accused: Accused,
    violation: Guilty['violation'],
  ): Promise<void> {
    const named = 'leaves' in violation ? violation.leaves : []
    const index = 'index' in violation ? violation.index : 0
    if ([...named, index].some((at) => at >= testimony.leaves.length)) return
    const operands = violation.kind === 'execution' ? await testimony.operands(violation.position) : undefined
    try {
      await proveGuilt(accused, violation, operands, model, signal)
    } catch (error) {
      assert.ok(error instanceof FraudError && error.code === 'unproven', String(error))
      return
    }
    assert.unreachable(`proved of the other one too: ${JSON.stringify(violation)}`)
  }

  function sign(testimony: Testimony, signer: Signer = LEFT): Accused {
    return signTestimony(testimony, { job, inputs, signer, model, runtime })
  }
}

/** That the left party was found guilty of the very leaf at which the two part, by a proof, and the right one of nothing. */
export function assertPinned(
  { divergence, left, right }: Outcome,
  kind: Guilty['violation']['kind'],
  position: string | undefined,
  about?: string,
): void {
  const what = `${about ?? ''} ${JSON.stringify(left.settlement)}`
  assert.is(left.settlement.status, 'guilty', what)
  if (left.settlement.status !== 'guilty') return
  const { violation } = left.settlement
  assert.is(violation.kind, kind, what)
  assert.is('index' in violation && violation.index, divergence, what)
  assert.is('position' in violation ? violation.position : undefined, position, what)
  assert.is(left.proof?.verdict.accused, LEFT.peerId, what)
  assert.equal(right, { settlement: { status: 'clear' }, proof: undefined }, what)
}

/** What a provider signs that answers a job in the exact lane and traces it. */
export function signTestimony(
  { leaves, outputs }: Pick<Testimony, 'leaves' | 'outputs'>,
  of: {
    readonly job: SealedJob
    readonly inputs: Uint8Array
    readonly signer: Signer
    readonly model: Pick<VerifiableModel, 'plan' | 'laneId'>
    readonly runtime: Pick<ExactRuntime, 'info'>
  },
): Accused {
  const { job, inputs, signer, model, runtime } = of
  const receipt = sealReceipt(
    signer,
    testReceipt(job.commitment, outputs, { runtime: { ...runtime.info, batched: false } }),
  )
  const commitment = sealTraceCommitment(signer, {
    receiptDigest: receiptDigest(receipt),
    jobCommitment: job.commitment,
    planRoot: model.plan.root,
    laneId: model.laneId,
    leafCount: leaves.length,
    traceRoot: merkleRoot(leaves.map(hashLeaf)),
    outputDigest: digestTensors(SALT, outputs),
    outputBytes: outputs.byteLength,
  })
  return { job: job.envelope, receipt, commitment, leaves, salt: SALT, inputs, outputs }
}

/** As a node has a party that answers every question. */
export function sideOf({ leaves, outputs, operands }: Testimony): TracedSide {
  return { leaves, outputs, operands: async (position) => operands(position) }
}
