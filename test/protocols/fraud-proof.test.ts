import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeTensors, encodeTensors } from '../../models/tensor/index.ts'
import { ABSENT, digestValue, encodeLeaf, flagValue, type Value } from '../../models/trace/index.ts'
import {
  type Accused,
  decodeFraudProof,
  encodeFraudProof,
  FraudError,
  type FraudErrorCode,
  type FraudProof,
  fraudProofId,
  type ProvenFraud,
  proveEquivocation,
  proveExecution,
  proveReceipt,
  proveShape,
  proveWiring,
  type VerifiableModel,
  verifyFraudProof,
} from '../../protocols/fraud/index.ts'
import { sealReceipt } from '../../protocols/receipt/index.ts'
import { examineOutputs, examineTrace } from '../../src/verification/index.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { runToy, type ToyLies, type ToyTrace, toyInputs, toyOperands } from '../fixtures/toy-execution.ts'
import {
  PROVIDER,
  type Signing,
  signedTrace,
  TOY_LANE,
  toyJob,
  toyModel,
  toyReceipt,
} from '../fixtures/toy-parties.ts'
import { toyPlan, toyValue } from '../fixtures/toy-plans.ts'
import { readVector } from '../fixtures/vectors.ts'

const plan = toyPlan()
const INPUTS = toyInputs(plan)
const honest = runToy(plan, INPUTS)!
const model = toyModel(plan)
const signal = new AbortController().signal
const strange = digestValue(toyValue('strange'))
const lying = (values: (Value | undefined)[]) => values.with(0, toyValue('a lie'))
const isCode = (code: FraudErrorCode) => (error: unknown) =>
  error instanceof FraudError && error.code === code

function run(lies: ToyLies): ToyTrace {
  return runToy(plan, INPUTS, { lies })!
}

function liar(lies: ToyLies, signing: Signing = {}): Accused & { trace: ToyTrace } {
  const trace = run(lies)
  return { trace, ...signedTrace(plan, trace, INPUTS, signing) }
}

/** The proof that follows from the first violation of shape or wiring. */
function proveFirst(accused: Accused): Promise<ProvenFraud> {
  const violation =
    examineTrace(plan, accused.leaves, honest.inputs) ??
    examineOutputs(plan, accused.leaves, honest.inputs, digestsOf(accused.outputs))
  assert.ok(violation !== undefined)
  return violation.kind === 'shape'
    ? proveShape(accused, violation, model, signal)
    : proveWiring(accused, violation, model, signal)
}

function digestsOf(outputs: Uint8Array) {
  return decodeTensors(outputs).map((tensor) => ({ name: tensor.name, digest: digestValue(tensor) }))
}

function proveStep(position: string, outputs = lying, signing: Signing = {}): Promise<ProvenFraud> {
  const { trace, ...accused } = liar({ [position]: { outputs } }, signing)
  const index = trace.leaves.findIndex((leaf) => leaf.position === position)
  const operands = toyOperands(trace, trace.leaves[index]!)
  return proveExecution(accused, { index, operands }, model, signal)
}

const CLAIMS: Record<string, () => Promise<ProvenFraud>> = {
  'shape: a leaf': () => proveFirst(liar({ '1!': { outputs: lying } })),
  'shape: neighbours': () =>
    proveFirst(signedTrace(plan, honest, INPUTS, { leaves: honest.leaves.map(encodeLeaf).toSpliced(6, 1) })),
  'shape: the first leaf': () =>
    proveFirst(signedTrace(plan, honest, INPUTS, { leaves: honest.leaves.map(encodeLeaf).slice(1) })),
  'shape: the last leaf': () =>
    proveFirst(signedTrace(plan, honest, INPUTS, { leaves: honest.leaves.map(encodeLeaf).slice(0, -1) })),
  'shape: no leaf': () => proveFirst(signedTrace(plan, honest, INPUTS, { leaves: [] })),
  'shape: not a leaf': () =>
    proveFirst(
      signedTrace(plan, honest, INPUTS, { leaves: honest.leaves.map(encodeLeaf).with(3, new Uint8Array(0)) }),
    ),
  'wiring: another step': () => proveFirst(liar({ 5: { operands: (digests) => digests.with(0, strange) } })),
  'wiring: a constant': () => proveFirst(liar({ 0: { operands: (digests) => digests.with(1, strange) } })),
  'wiring: an input': () => proveFirst(signedTrace(plan, runToy(plan, toyInputs(plan, 1))!, INPUTS)),
  'wiring: the branch of an If': () =>
    proveFirst(
      liar({
        '1!': {
          operands: (digests) => digests.with(0, strange),
          outputs: (values) => values.with(0, toyValue('strange')),
        },
      }),
    ),
  'wiring: what a branch passes through': () =>
    proveFirst(
      liar({
        '1!': {
          operands: (digests) => digests.with(1, strange),
          outputs: (values) => values.with(1, toyValue('strange')),
        },
      }),
    ),
  'wiring: an output': () => proveFirst(signedTrace(plan, honest, INPUTS, { outputs: changedOutputs('y') })),
  'wiring: an output that is an input': () =>
    proveFirst(signedTrace(plan, honest, INPUTS, { outputs: changedOutputs('passed') })),
  'wiring: an output that is a constant': () =>
    proveFirst(signedTrace(plan, honest, INPUTS, { outputs: changedOutputs('fixed') })),
  'wiring: outputs of another model': () =>
    proveFirst(
      signedTrace(plan, honest, INPUTS, { outputs: encodeTensors(decodeTensors(honest.outputs).slice(1)) }),
    ),
  'wiring: outputs that are no tensors': () =>
    proveWiring(
      signedTrace(plan, honest, INPUTS, { outputs: new Uint8Array(20) }),
      { at: 'output', leaves: [] },
      model,
      signal,
    ),
  'wiring: outputs of another length': () =>
    proveWiring(
      signedTrace(plan, honest, INPUTS, { commitment: { outputBytes: 3 } }),
      { at: 'output', leaves: [] },
      model,
      signal,
    ),
  'wiring: the receipt': () =>
    proveReceipt(signedTrace(plan, honest, INPUTS, { receipt: { outputDigest: strange } }), model, signal),
  'execution: an operator': () => proveStep('2[1]/1'),
  'execution: a trip count': () => proveStep('2?1', (values) => values.with(0, flagValue(false))),
  'execution: a scan output': () => proveStep('2!2', (values) => values.with(1, toyValue('a lie'))),
  'execution: the last step': () => proveStep('5'),
  'equivocation: receipts': () => proveEquivocation(twoReceipts(), { modelOf: () => model }, signal),
  'equivocation: commitments': () => proveEquivocation(twoCommitments(), { modelOf: () => model }, signal),
}

const VECTORS: Record<string, string> = {
  'shape: a leaf': 'fraud-shape',
  'wiring: an input': 'fraud-wiring',
  'execution: an operator': 'fraud-execution',
  'equivocation: receipts': 'fraud-equivocation',
}

function changedOutputs(name: string): Uint8Array {
  return encodeTensors(
    decodeTensors(honest.outputs).map((tensor) =>
      tensor.name === name ? { ...toyValue('a lie'), name } : tensor,
    ),
  )
}

function twoReceipts(changes: Parameters<typeof toyReceipt>[2] = {}, signer = PROVIDER) {
  const job = toyJob(INPUTS)
  const other = { outputDigest: strange, ...changes }
  return {
    job: job.envelope,
    receipts: [
      sealReceipt(PROVIDER, toyReceipt(job.commitment, honest.outputs)),
      sealReceipt(signer, toyReceipt(job.commitment, honest.outputs, other)),
    ] as [Uint8Array, Uint8Array],
  }
}

function twoCommitments(
  changes: NonNullable<Signing['commitment']> = { traceRoot: strange },
  signer = PROVIDER,
) {
  const { job, commitment } = signedTrace(plan, honest, INPUTS)
  const other = signedTrace(plan, honest, INPUTS, { commitment: changes, signer })
  return { job, commitments: [commitment, other.commitment] as [Uint8Array, Uint8Array] }
}

for (const [claim, build] of Object.entries(CLAIMS)) {
  test(`a proof holds: ${claim}`, async () => {
    const { bytes, id, verdict } = await build()
    assert.is(verdict.status, 'valid')
    assert.is(verdict.accused, PROVIDER.peerId)
    assert.is(verdict.kind, claim.split(':')[0])
    assert.is(verdict.publishable, true)
    assert.is(verdict.jobId, Buffer.from(toyJob(INPUTS).commitment).toString('hex'))
    assert.is(id, fraudProofId(bytes))
    assert.equal(Buffer.from(encodeFraudProof(decodeFraudProof(bytes))), Buffer.from(bytes))
  })

  test(`no byte of it can be changed, added or taken away: ${claim}`, async () => {
    const { bytes } = await build()
    // All of them for one proof of each kind; of the others, which share most of it, some.
    const step = VECTORS[claim] === undefined ? 13 : 1
    for (let at = 0; at < bytes.byteLength; at += step) {
      const changed = bytes.slice()
      changed[at]! ^= 1 << (at % 8)
      const { status } = await verifyFraudProof(changed, { modelOf: () => model }, signal)
      assert.is(status, 'invalid', `byte ${at} of ${bytes.byteLength}`)
    }
    for (const changed of [bytes.slice(0, -1), Buffer.concat([bytes, Uint8Array.of(0)]), bytes.slice(1)]) {
      assert.is((await verifyFraudProof(changed, { modelOf: () => model }, signal)).status, 'invalid')
    }
  })

  test(`without the model, or with another plan or lane, nothing is said: ${claim}`, async () => {
    const { bytes } = await build()
    const verify = async (found: VerifiableModel | undefined) => {
      const verdict = await verifyFraudProof(bytes, { modelOf: () => found }, signal)
      return verdict.status === 'undecided' ? verdict.code : verdict.status
    }
    assert.is(await verify(undefined), 'unknown-model')
    assert.is(await verify({ ...model, laneId: 'another lane' }), 'other-lane')
    const isAboutPlan = !claim.startsWith('equivocation: receipts')
    if (isAboutPlan) assert.is(await verify({ ...model, plan: { ...plan, root: strange } }), 'other-plan')
    const failed = await verifyFraudProof(
      bytes,
      { modelOf: () => Promise.reject(new Error('no disk')) },
      signal,
    )
    assert.is(failed.status === 'undecided' && failed.code, 'cannot-run')
  })
}

test('a verdict says where, and which operator', async () => {
  const { verdict } = await proveStep('2[1]/1')
  assert.equal(verdict, {
    status: 'valid',
    accused: PROVIDER.peerId,
    kind: 'execution',
    jobId: Buffer.from(toyJob(INPUTS).commitment).toString('hex'),
    model: 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
    publishable: true,
    position: '2[1]/1',
    operator: 'Sub',
  })
})

test('a proof about a job whose disputes are private is valid, and not to be published', async () => {
  const job = toyJob(INPUTS, { policy: { replicas: 2, quorum: 2, referee: true, publicDisputes: false } })
  const { verdict } = await proveStep('5', lying, { job })
  assert.is(verdict.publishable, false)
})

test('at most two runs, and none where the static part fails', async () => {
  const { bytes } = await proveStep('5')
  const calls = { count: 0 }
  assert.is((await verifyFraudProof(bytes, { modelOf: () => toyModel(plan, calls) }, signal)).status, 'valid')
  assert.is(calls.count, 2)
  const proof = decodeFraudProof(bytes) as FraudProof & { claim: 'execution' }
  const others: FraudProof[] = [
    { ...proof, operands: toyOperands(honest, honest.leaves[0]!) },
    { ...proof, leaf: { ...proof.leaf, index: 0 } },
    { ...proof, receipt: sealReceipt(PROVIDER, toyReceipt(toyJob(INPUTS).commitment, INPUTS)) },
  ]
  for (const other of others)
    await verifyFraudProof(encodeFraudProof(other), { modelOf: () => toyModel(plan, calls) }, signal)
  assert.is(calls.count, 2)
})

test('where the engine fails, contradicts itself or is stopped, nothing is said', async () => {
  const { bytes } = await proveStep('5')
  const verify = async (runStep: VerifiableModel['runStep'], within = signal) => {
    const verdict = await verifyFraudProof(bytes, { modelOf: () => ({ ...model, runStep }) }, within)
    return verdict.status === 'undecided' ? verdict.code : verdict.status
  }
  assert.is(await verify(() => Promise.reject(new Error('out of memory'))), 'cannot-run')
  let runs = 0
  const wavering = async () => ({ outputs: [digestValue(toyValue(runs++)), ABSENT, strange], serviceMs: 0 })
  assert.is(await verify(wavering), 'cannot-run')
  const stopped = new AbortController()
  const never = () => {
    stopped.abort()
    return Promise.reject(new Error('stopped'))
  }
  assert.is(await verify(never, stopped.signal), 'aborted')
  assert.is(await verify(model.runStep, stopped.signal), 'aborted')
})

test('operands must be those that the leaf names, all that the step needs and no others', async () => {
  const { trace, ...accused } = liar({ 5: { outputs: lying } })
  const index = trace.leaves.length - 1
  const right = decodeTensors(toyOperands(trace, trace.leaves[index]!))
  const payloads = {
    missing: encodeTensors(right.slice(1)),
    none: new Uint8Array(0),
    'one too many': encodeTensors([
      ...right,
      { ...toyValue('more'), name: Buffer.from(strange).toString('hex') },
    ]),
    'another value': encodeTensors(
      right.map((tensor, at) => (at === 0 ? { ...tensor, ...toyValue('more') } : tensor)),
    ),
    'another type': encodeTensors(
      right.map((tensor, at) => (at === 0 ? { ...tensor, dtype: 'int8' as const } : tensor)),
    ),
    'another shape': encodeTensors(
      right.map((tensor, at) => (at === 0 ? { ...tensor, dims: [4, 8] } : tensor)),
    ),
    'no tensors': new Uint8Array(64),
  }
  const { bytes } = await proveExecution(accused, { index, operands: encodeTensors(right) }, model, signal)
  const proof = decodeFraudProof(bytes) as FraudProof & { claim: 'execution' }
  for (const [what, operands] of Object.entries(payloads)) {
    const verdict = await verifyFraudProof(
      encodeFraudProof({ ...proof, operands }),
      { modelOf: () => model },
      signal,
    )
    assert.is(verdict.status === 'invalid' && verdict.code, 'wrong-operands', what)
    await proveExecution(accused, { index, operands }, model, signal).then(
      () => assert.unreachable(what),
      (error) => assert.ok(isCode('unproven')(error), what),
    )
  }
})

test('equivocation needs two plain exact runs of one lane, and different outputs', async () => {
  const runtime = { ...toyReceipt(strange, INPUTS).runtime }
  const innocent = {
    'a native answer': { runtime: { ...runtime, lane: 'native' as const } },
    'a batched run': { runtime: { ...runtime, batched: true } },
    'another version': { runtime: { ...runtime, version: 'another lane' } },
    'another engine': { runtime: { ...runtime, engine: 'another engine' } },
    'further processing': { stepsDigest: strange },
    'another time only': {
      outputDigest: toyReceipt(strange, honest.outputs).outputDigest,
      finishedAtMs: 1_790_000_000_999,
    },
  }
  for (const [what, changes] of Object.entries(innocent)) {
    assert.is(
      await unproven(proveEquivocation(twoReceipts(changes), { modelOf: () => model }, signal)),
      'no-contradiction',
      what,
    )
  }
  const other = twoReceipts({}, seededSigner(9))
  assert.is(await unproven(proveEquivocation(other, { modelOf: () => model }, signal)), 'wrong-key')
  const elsewhere = twoReceipts({ jobCommitment: strange })
  assert.is(await unproven(proveEquivocation(elsewhere, { modelOf: () => model }, signal)), 'wrong-job')
  const { job, receipts } = twoReceipts()
  assert.throws(
    () => encodeFraudProof({ claim: 'receipts', job, receipts: [receipts[0], receipts[0]] }),
    isCode('malformed'),
  )
})

test('two commitments to one trace, or of different lanes or plans, are no equivocation', async () => {
  const innocent = {
    'another receipt': { receiptDigest: strange },
    'another lane': { laneId: 'x' },
    'another plan': { planRoot: strange },
  }
  for (const [what, changes] of Object.entries(innocent)) {
    const { receiptDigest } = { receiptDigest: undefined, ...changes }
    const rest = receiptDigest === undefined ? { ...changes, traceRoot: strange } : changes
    assert.is(
      await unproven(proveEquivocation(twoCommitments(rest), { modelOf: () => model }, signal)),
      'no-contradiction',
      what,
    )
  }
  for (const changes of [{ leafCount: 3 }, { outputDigest: strange }, { outputBytes: 9 }]) {
    const { verdict } = await proveEquivocation(twoCommitments(changes), { modelOf: () => model }, signal)
    assert.is(verdict.kind, 'equivocation')
  }
  const other = twoCommitments({ traceRoot: strange }, seededSigner(9))
  assert.is(await unproven(proveEquivocation(other, { modelOf: () => model }, signal)), 'wrong-key')
})

test('who knows the lane needs no model for an equivocation', async () => {
  const modelOf = () => undefined
  for (const statements of [twoReceipts(), twoCommitments()]) {
    const { bytes } = await proveEquivocation(statements, { modelOf, laneId: TOY_LANE }, signal)
    const verdict = await verifyFraudProof(bytes, { modelOf, laneId: 'another lane' }, signal)
    assert.is(verdict.status === 'undecided' && verdict.code, 'other-lane')
  }
})

test('a native receipt never contradicts its own exact trace', async () => {
  const runtime = { ...toyReceipt(strange, INPUTS).runtime }
  const innocent = {
    native: { outputDigest: strange, runtime: { ...runtime, lane: 'native' as const } },
    batched: { outputDigest: strange, runtime: { ...runtime, batched: true } },
    'another lane': { outputDigest: strange, runtime: { ...runtime, version: 'another lane' } },
    processed: { outputDigest: strange, stepsDigest: strange },
    'the same': {},
  }
  for (const [what, receipt] of Object.entries(innocent)) {
    const signed = signedTrace(plan, honest, INPUTS, { receipt })
    assert.is(await unproven(proveReceipt(signed, model, signal)), 'no-contradiction', what)
  }
})

test('a proof larger than one may be is refused before it is looked at', () => {
  assert.throws(() => decodeFraudProof(new Uint8Array(66 * 1024 * 1024)), isCode('too-large'))
})

test('proofs have the bytes that their vectors say', async () => {
  for (const [claim, name] of Object.entries(VECTORS)) {
    const { bytes, id } = await CLAIMS[claim]!()
    const { hex, fields } = readVector(name)
    assert.is(Buffer.from(bytes).toString('hex'), hex, name)
    assert.is(id, fields.id, name)
  }
})

async function unproven(building: Promise<ProvenFraud>): Promise<string> {
  try {
    await building
    return 'proven'
  } catch (error) {
    assert.ok(isCode('unproven')(error), String(error))
    return /\(([a-z-]+)\)/.exec((error as Error).message)![1]!
  }
}

test.run()
