/** An honest provider signs what it ran. Whatever others ask of it and make of that, no valid proof comes of it. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Plan } from '../../models/plan/index.ts'
import { digestTensors, encodeTensors } from '../../models/tensor/index.ts'
import { encodeLeaf, flagValue, hashLeaf, type Leaf, merklePath } from '../../models/trace/index.ts'
import {
  encodeFraudProof,
  FraudError,
  type FraudProof,
  type FraudVerdict,
  type ProvenLeaf,
  verifyFraudProof,
} from '../../protocols/fraud/index.ts'
import { sealJob, sealReceipt } from '../../protocols/receipt/index.ts'
import { assembleProof, type SignedRun } from '../fixtures/assembled-proofs.ts'
import { MODEL, SALT, testReceipt, testTerms } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { HONEST, runToy, type ToyTrace, toyInputs, toyOperands } from '../fixtures/toy-execution.ts'
import { PROVIDER, type Signing, signedTrace, toyJob, toyModel, toyReceipt } from '../fixtures/toy-parties.ts'
import { generator, randomPlan, toyPlan, toyValue } from '../fixtures/toy-plans.ts'

const signal = new AbortController().signal
const OTHER_MODEL = `${MODEL.slice(0, -1)}a`

interface Run extends SignedRun {
  readonly plan: Plan
  readonly trace: ToyTrace
}

function honestRun(plan: Plan, seed: number, flag: boolean, signing: Signing = {}): Run | undefined {
  const inputs = toyInputs(plan, seed, flag)
  const trace = runToy(plan, inputs, { lies: HONEST })
  return (
    trace && {
      plan,
      trace,
      signed: signedTrace(plan, trace, inputs, signing),
      operands: (index) => toyOperands(trace, trace.leaves[index]!),
    }
  )
}

/** Runs of one provider: other inputs, other terms, another lane of the job, another model. */
function honestRuns(seed: number): Run[] {
  const plan = seed % 4 === 0 ? toyPlan() : randomPlan(seed)
  const other = randomPlan(seed + 1)
  const inputs = toyInputs(plan, seed, true)
  const native = {
    runtime: { ...toyReceipt(SALT, inputs).runtime, lane: 'native' as const, version: '1.30.0' },
  }
  const runs = [
    honestRun(plan, seed, true),
    honestRun(plan, seed, false),
    honestRun(plan, seed + 1, true),
    honestRun(plan, seed, true, { job: toyJob(inputs, { nonce: new Uint8Array(16).fill(9) }) }),
    // The same job, answered natively and otherwise before.
    honestRun(plan, seed, true, { receipt: { ...native, outputDigest: new Uint8Array(32).fill(1) } }),
    honestRun(plan, seed, true, { job: toyJob(inputs, { lane: 'native', tau: 1e-4 }), receipt: native }),
    honestRun(other, seed, true, { job: toyJob(toyInputs(other, seed), { model: OTHER_MODEL }) }),
    // Somebody else's, just as honest.
    honestRun(plan, seed, true, { signer: seededSigner(7) }),
  ]
  return runs.filter((run) => run !== undefined)
}

function verify(bytes: Uint8Array, runs: readonly Run[]): Promise<FraudVerdict> {
  const other = runs.find(({ plan }) => plan !== runs[0]!.plan)
  const modelOf = (cid: string) => {
    const plan = cid === MODEL ? runs[0]!.plan : other?.plan
    return plan && toyModel(plan)
  }
  return verifyFraudProof(bytes, { modelOf }, signal)
}

test('nothing that honest providers signed, however it is put together, makes a valid proof', async () => {
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 5000 }), fc.nat(), async (seed, choice) => {
      const runs = honestRuns(seed)
      fc.pre(runs.length > 2)
      const below = generator(choice)
      for (let round = 0; round < 25; round++) {
        const proof = assembleProof(runs, below)
        if (proof === undefined) continue
        const verdict = await verify(proof, runs)
        assert.is.not(verdict.status, 'valid', JSON.stringify({ seed, choice, round, verdict }))
        const code = verdict.status === 'valid' ? 'valid' : verdict.code
        seen.set(code, (seen.get(code) ?? 0) + 1)
      }
    }),
    { numRuns: 60 },
  )
  // The assembled proofs come as far as the question whether anything contradicts anything.
  assert.ok((seen.get('no-contradiction') ?? 0) > 100, JSON.stringify([...seen]))
  for (const code of ['wrong-job', 'wrong-receipt', 'wrong-leaf', 'wrong-operands']) {
    assert.ok(seen.has(code), `${code}: ${JSON.stringify([...seen])}`)
  }
})

const plan = toyPlan()
const main = honestRun(plan, 0, true)!
const { job, receipt, commitment, leaves } = main.signed
const hashes = leaves.map(hashLeaf)
const leafOf = (index: number): ProvenLeaf => ({
  index,
  bytes: leaves[index]!,
  path: merklePath(hashes, index),
})
const indexOf = (position: string) => main.trace.leaves.findIndex((leaf: Leaf) => leaf.position === position)
const at = (position: string) => leafOf(indexOf(position))

async function codeOf(proof: FraudProof): Promise<string> {
  const verdict = await verify(encodeFraudProof(proof), [main])
  return verdict.status === 'invalid' ? verdict.code : verdict.status
}

test('every leaf of an honest trace is right in every respect', async () => {
  const statements = { job, receipt, commitment }
  for (const [index, leaf] of main.trace.leaves.entries()) {
    assert.is(await codeOf({ claim: 'shape', ...statements, leaves: [leafOf(index)] }), 'no-contradiction')
    if (index > 0) {
      const neighbours = [leafOf(index - 1), leafOf(index)]
      assert.is(await codeOf({ claim: 'shape', ...statements, leaves: neighbours }), 'no-contradiction')
    }
    const operands = toyOperands(main.trace, leaf)
    const execution = { claim: 'execution' as const, ...statements, leaf: leafOf(index), operands }
    assert.is(await codeOf(execution), 'no-contradiction', leaf.position)
  }
})

test('a node of the tree is no leaf, and a leaf has one place only', async () => {
  const [left, right] = hashes as [Uint8Array, Uint8Array]
  const path = merklePath(hashes, 0).slice(1)
  for (const bytes of [Buffer.concat([left, right]), Buffer.concat([Uint8Array.of(1), left, right])]) {
    for (const index of [0, 1]) {
      const leaf = { index, bytes, path }
      assert.is(await codeOf({ claim: 'shape', job, receipt, commitment, leaves: [leaf] }), 'wrong-leaf')
    }
  }
  for (const index of [0, 1, 2, leaves.length - 1, leaves.length]) {
    if (index === 4) continue
    const leaf = { ...leafOf(4), index }
    assert.is(
      await codeOf({ claim: 'shape', job, receipt, commitment, leaves: [leaf] }),
      'wrong-leaf',
      `${index}`,
    )
  }
})

test('a value of another iteration, branch or loop is not taken for the one that is asked for', async () => {
  const wrong: [string, number, string[]][] = [
    ['2[1]/1', 0, ['2[0]/0']],
    ['2[1]/0', 0, ['2?0']],
    ['2?1', 2, ['2[1]/0']],
    ['3[1]/0[0]/0', 1, ['3?0']],
    ['5', 0, ['2!2']],
    ['1!', 0, ['1[then]/0']],
    ['1!', 1, []],
    ['1!', 0, ['1?', '0']],
    // A decision of a loop, which says no where the If said yes.
    ['1!', 0, ['2?2', '0']],
  ]
  for (const [position, operand, others] of wrong) {
    const claim = { claim: 'operand' as const, job, receipt, commitment, operand }
    assert.is(
      await codeOf({ ...claim, leaves: [at(position), ...others.map(at)] }),
      'no-contradiction',
      position,
    )
  }
})

test('inputs other than those the job states cannot be slipped under', async () => {
  const inputs = toyInputs(plan, 5)
  const claim = { claim: 'operand' as const, job, receipt, commitment, leaves: [leafOf(0)], operand: 0 }
  assert.is(await codeOf({ ...claim, given: { salt: SALT, inputs } }), 'wrong-input')
  assert.is(
    await codeOf({ ...claim, given: { salt: new Uint8Array(32), inputs: main.signed.inputs } }),
    'wrong-input',
  )
  assert.is(await codeOf(claim), 'no-contradiction')
})

test('a NaN of another kind in the inputs is the NaN that the trace has', async () => {
  const strangeNaN = new Uint8Array(Uint32Array.of(0xffc00123, 0x3f800000).buffer)
  const inputs = encodeTensors([
    { name: 'x', dtype: 'float32', dims: [2], data: strangeNaN },
    { name: 'flag', ...flagValue(true) },
  ])
  const trace = runToy(plan, inputs)!
  const { job, receipt, commitment, leaves } = signedTrace(plan, trace, inputs)
  const leaf = { index: 0, bytes: leaves[0]!, path: merklePath(leaves.map(hashLeaf), 0) }
  const claim = { claim: 'operand' as const, job, receipt, commitment, leaves: [leaf], operand: 0 }
  assert.is(await codeOf({ ...claim, given: { salt: SALT, inputs } }), 'no-contradiction')
})

test('bytes cannot move from the salt into the inputs: a salt has one length', () => {
  const { inputs } = main.signed
  const moved = { salt: SALT.slice(0, 31), inputs: Buffer.concat([SALT.slice(31), inputs]) }
  const claim = { claim: 'operand' as const, job, receipt, commitment, leaves: [leafOf(0)], operand: 0 }
  assert.throws(
    () => encodeFraudProof({ ...claim, given: moved }),
    (error: unknown) => error instanceof FraudError && error.code === 'malformed',
  )
})

test('a requester that signs a job over inputs that the model has not gets no proof of it', async () => {
  // Whoever verifies only sees that the job lacks an input; nobody honest would have run it.
  const inputs = toyInputs({ ...plan, inputs: ['other', 'flag'] })
  const odd = sealJob(seededSigner(1), {
    ...testTerms(inputs),
    lane: 'exact',
    inputDigest: digestTensors(SALT, inputs),
  })
  const signed = signedTrace(plan, main.trace, inputs, { job: odd, outputs: main.trace.outputs })
  const proof = {
    claim: 'operand' as const,
    job: signed.job,
    receipt: signed.receipt,
    commitment: signed.commitment,
  }
  const given = { salt: SALT, inputs }
  assert.is(await codeOf({ ...proof, leaves: [leafOf(0)], operand: 0, given }), 'no-contradiction')
})

test('a provider that answers twice, natively or at other times, does not contradict itself', async () => {
  const { commitment: jobCommitment } = toyJob(toyInputs(plan))
  const exact = toyReceipt(jobCommitment, main.trace.outputs)
  const later = sealReceipt(PROVIDER, { ...exact, startedAtMs: 1, finishedAtMs: 2 })
  const native = sealReceipt(PROVIDER, testReceipt(jobCommitment, toyInputs(plan, 3)))
  for (const other of [later, native]) {
    const [left, right] = [sealReceipt(PROVIDER, exact), other].sort(Buffer.compare) as [
      Uint8Array,
      Uint8Array,
    ]
    assert.is(await codeOf({ claim: 'receipts', job, receipts: [left, right] }), 'no-contradiction')
    // The trace that was signed for one receipt says nothing about the other.
    assert.is(await codeOf({ claim: 'receipt', job, receipt: other, commitment }), 'wrong-receipt')
  }
})

test('what colluding peers sign themselves accuses nobody else', async () => {
  const liar = runToy(plan, main.signed.inputs, {
    lies: { 5: { outputs: (values) => values.with(0, toyValue('a lie')) } },
  })!
  const theirs = signedTrace(plan, liar, main.signed.inputs, { signer: seededSigner(8) })
  const index = liar.leaves.length - 1
  const operands = toyOperands(liar, liar.leaves[index]!)
  const lied = liar.leaves.map(encodeLeaf)
  const leaf = { index, bytes: lied[index]!, path: merklePath(lied.map(hashLeaf), index) }
  const claim = { claim: 'execution' as const, job, leaf, operands }
  assert.is(await codeOf({ ...claim, receipt, commitment: theirs.commitment }), 'wrong-key')
  assert.is(await codeOf({ ...claim, receipt: theirs.receipt, commitment }), 'wrong-key')
  assert.is(await codeOf({ ...claim, receipt, commitment }), 'wrong-leaf')
  const verdict = await verify(
    encodeFraudProof({ ...claim, receipt: theirs.receipt, commitment: theirs.commitment }),
    [main],
  )
  assert.is(verdict.status === 'valid' && verdict.accused, seededSigner(8).peerId)
})

test.run()
