/**
 * Honest providers with the real exact lane, and a requester that wants to frame one: it asks the same of two of them in
 * different words, and puts together what they signed. Every answer here comes from the code that answers on the wire.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createInProcessExactRuntime, type ExactRuntime } from '../../models/runtime/index.ts'
import { digestTensors, encodeTensors } from '../../models/tensor/index.ts'
import { decodeLeaf } from '../../models/trace/index.ts'
import { DemandRefused, readDemandedJob, verifyDemand, withInputs } from '../../protocols/dispute/demand.ts'
import type { DisputeAnswer } from '../../protocols/dispute/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import {
  type Accused,
  FraudError,
  type FraudVerifier,
  proveEquivocation,
  proveReceipt,
  type VerifiableModel,
  verifyFraudProof,
} from '../../protocols/fraud/index.ts'
import { type Job, type SealedJob, sealReceipt } from '../../protocols/receipt/index.ts'
import { type Findings, inputDigests, judgeTraces } from '../../src/node/judging.ts'
import { proveGuilt } from '../../src/node/proving.ts'
import { createTracing } from '../../src/node/tracing.ts'
import { sideOf } from '../exact/dispute.ts'
import { disputedInputs, disputedModel } from '../exact/disputed-model.ts'
import { supplyEngine } from '../exact/lane.ts'
import { createLiar, type Testimony } from '../exact/liar.ts'
import { lied } from '../exact/lies.ts'
import { assembleProof, type SignedRun } from '../fixtures/assembled-proofs.ts'
import { MODEL, SALT, testReceipt } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { PROVIDER, REQUESTER, toyJob } from '../fixtures/toy-parties.ts'
import { generator } from '../fixtures/toy-plans.ts'

const signal = new AbortController().signal
const OTHER_MODEL = `${MODEL.slice(0, -1)}a`
const OTHER_LANE = '1.26.0+wasm.fedcba9876543210+trace.1'
const ACCOMPLICE = seededSigner(9)
const INPUTS = encodeTensors(disputedInputs())
const OTHER_INPUTS = encodeTensors(disputedInputs({ x: [-1, 0.5, 2, 1.5, 4] }))
/** Within the day for which a provider answers for its receipts. */
const WALL_MS = 1_790_000_000_200

interface Asked {
  readonly provider?: Signer
  readonly runtime?: ExactRuntime
  readonly job?: SealedJob
  readonly salt?: Uint8Array
  readonly inputs?: Uint8Array
  readonly startedAtMs?: number
}

interface Run extends SignedRun {
  readonly testimony: Testimony
}

let here: ExactRuntime
let elsewhere: ExactRuntime
let model: VerifiableModel
let main: Run
/** What else honest providers signed, by what is other about it. */
let foreign: Readonly<Record<string, Run>>

test.before(async () => {
  const supplied = { supplyEngine: supplyEngine() }
  here = createInProcessExactRuntime(disputedModel().model, supplied)
  elsewhere = createInProcessExactRuntime(disputedModel({ half: 0.25 }).model, supplied)
  model = { plan: await here.plan(signal), laneId: here.info.version, runStep: here.runStep }
  // Another build of the engine, and just as honest, has other last bits.
  const liar = createLiar(disputedModel(), await supplied.supplyEngine())
  const older: ExactRuntime = {
    ...here,
    info: { ...here.info, version: OTHER_LANE },
    trace: async (inputs) => ({ ...liar.testify(inputs, { 0: lied() }), serviceMs: 1 }),
  }
  const salt = new Uint8Array(32).fill(3)
  main = await provide({})
  foreign = {
    'another job': await provide({ job: jobOf({ nonce: new Uint8Array(16).fill(9) }) }),
    'other inputs under the same nonce': await provide({ inputs: OTHER_INPUTS }),
    'another salt': await provide({ salt, job: jobOf({ inputDigest: digestTensors(salt, INPUTS) }) }),
    'another policy': await provide({
      job: jobOf({ policy: { replicas: 3, quorum: 2, referee: true, publicDisputes: true } }),
    }),
    'another model': await provide({ runtime: elsewhere, job: jobOf({ model: OTHER_MODEL }) }),
    'another wasm': await provide({ runtime: older }),
    'another provider': await provide({ provider: seededSigner(7) }),
    'another time': await provide({ startedAtMs: 1_790_000_000_105 }),
    'a native answer': await provide({ job: jobOf({ lane: 'native', tau: 1e-4 }) }),
  }
})

function jobOf(changes: Partial<Job> = {}, inputs = INPUTS): SealedJob {
  return toyJob(inputs, changes)
}

/** What a provider says to a demand: as it does on the wire, from verifying it to its commitment. */
async function answer(asked: Asked, receipt: Uint8Array, conflicting: Uint8Array): Promise<DisputeAnswer> {
  const { provider = PROVIDER, runtime = here, salt = SALT, inputs = INPUTS, job = jobOf({}, inputs) } = asked
  const message = {
    job: job.envelope,
    salt,
    receipt,
    conflicting,
    inputBytes: inputs.byteLength,
    timeoutMs: 10_000,
    laneId: runtime.info.version,
  }
  const context = { remotePeer: REQUESTER.peerId, self: provider.peerId, wallMs: WALL_MS }
  const demand = await withInputs(verifyDemand(message, readDemandedJob(message), context), inputs)
  return createTracing({ signer: provider, modelOf: () => ({ runtime }) })(demand, signal)
}

/** An honest run: the receipt of a provider, and its trace when it is asked for it. */
async function provide(asked: Asked): Promise<Run> {
  const { provider = PROVIDER, runtime = here, salt = SALT, inputs = INPUTS, job = jobOf({}, inputs) } = asked
  const { outputs } = await runtime.trace(inputs, signal)
  const ran =
    job.job.lane === 'exact'
      ? { runtime: { ...runtime.info, batched: false }, outputDigest: digestTensors(salt, outputs) }
      : { outputDigest: new Uint8Array(32).fill(1) }
  const receipt = sealReceipt(
    provider,
    testReceipt(job.commitment, outputs, {
      ...ran,
      ...(asked.startedAtMs && { startedAtMs: asked.startedAtMs }),
    }),
  )
  const conflicting = sealReceipt(
    ACCOMPLICE,
    testReceipt(job.commitment, outputs, { ...ran, outputDigest: new Uint8Array(32).fill(2) }),
  )
  const said = await answer(asked, receipt, conflicting)
  if (said.kind !== 'committed') throw new Error(said.message)
  const { leaves, commitment } = said
  const positions = leaves.map((leaf) => decodeLeaf(leaf).position)
  const payloads = await Promise.all(positions.map((position) => said.operandsOf(position, signal)))
  return {
    signed: { job: job.envelope, receipt, commitment, leaves, salt, inputs, outputs: said.outputs },
    operands: (index) => payloads[index]!,
    testimony: {
      leaves,
      outputs: said.outputs,
      operands: (position) => payloads[positions.indexOf(position)]!,
    },
  }
}

const verifier: FraudVerifier = {
  modelOf: async (cid) =>
    cid === MODEL ? model : { ...model, plan: await elsewhere.plan(signal), runStep: elsewhere.runStep },
}

test('nothing that honest providers signed, however it is put together, makes a valid proof', async () => {
  const runs = [main, ...Object.values(foreign)]
  const seen = new Map<string, number>()
  for (let seed = 0; seed < 800; seed++) {
    const proof = assembleProof(runs, generator(seed))
    if (proof === undefined) continue
    const verdict = await verifyFraudProof(proof, verifier, signal)
    assert.is.not(verdict.status, 'valid', JSON.stringify({ seed, verdict }))
    const code = verdict.status === 'valid' ? 'valid' : verdict.code
    seen.set(code, (seen.get(code) ?? 0) + 1)
  }
  // They come as far as the question whether anything contradicts anything.
  assert.ok((seen.get('no-contradiction') ?? 0) > 100, JSON.stringify([...seen]))
  for (const code of [
    'wrong-job',
    'wrong-receipt',
    'wrong-key',
    'wrong-leaf',
    'wrong-operands',
    'wrong-input',
    'other-lane',
  ]) {
    assert.ok(seen.has(code), `${code}: ${JSON.stringify([...seen])}`)
  }
})

/** How the pieces of a run that was about something else can be put beside those of the job in question. */
const MIXTURES: Record<string, (run: Accused) => Accused> = {
  'its commitment': (run) => ({ ...main.signed, commitment: run.commitment, leaves: run.leaves }),
  'its commitment and receipt': (run) => ({ ...run, job: main.signed.job, inputs: main.signed.inputs }),
  'its leaves': (run) => ({ ...main.signed, leaves: run.leaves }),
  'its job too, but the inputs in question': (run) => ({ ...run, inputs: main.signed.inputs }),
  'its outputs': (run) => ({ ...main.signed, outputs: run.outputs }),
  'its receipt': (run) => ({ ...main.signed, receipt: run.receipt }),
}

/** Why a commitment of such a run is nothing that the one in question could be held to. */
const FOREIGN: Record<string, string> = {
  'another job': 'wrong-job',
  'other inputs under the same nonce': 'wrong-job',
  'another salt': 'wrong-job',
  'another policy': 'wrong-job',
  'another model': 'wrong-job',
  'another wasm': 'wrong-receipt',
  'another provider': 'wrong-key',
  'another time': 'wrong-receipt',
  'a native answer': 'wrong-job',
}

test('a trace of another job, model, wasm, policy or provider proves nothing, though a referee may find it false', async () => {
  const falseThere: string[] = []
  for (const [what, run] of Object.entries(foreign)) {
    const findings = await judgeAgainst(run.testimony)
    assert.equal(findings.right.settlement, { status: 'clear' }, what)
    const { settlement, operands } = findings.left
    if (settlement.status === 'guilty') falseThere.push(what)
    for (const [how, mix] of Object.entries(MIXTURES)) {
      const about = `${what}: ${how}`
      const accused = mix(run.signed)
      if (settlement.status === 'guilty') {
        await unproven(proveGuilt(accused, settlement.violation, operands, model, signal), about)
      }
      const last = { kind: 'wiring', at: 'output', output: 0, leaves: [accused.leaves.length - 1] } as const
      await unproven(proveGuilt(accused, last, undefined, model, signal), about)
      const why = await unproven(proveReceipt(accused, model, signal), about)
      if (how === 'its commitment') assert.match(why, `(${FOREIGN[what]})`, about)
    }
  }
  assert.equal(falseThere, ['other inputs under the same nonce', 'another model', 'another wasm'])
})

test('two statements of one provider about different things are no equivocation', async () => {
  for (const [what, { signed }] of Object.entries(foreign)) {
    for (const job of [main.signed.job, signed.job]) {
      const commitments = [main.signed.commitment, signed.commitment] as const
      await unproven(proveEquivocation({ job, commitments }, verifier, signal), what)
      const receipts = [main.signed.receipt, signed.receipt] as const
      if (Buffer.compare(...receipts) === 0) continue
      await unproven(proveEquivocation({ job, receipts }, verifier, signal), what)
    }
  }
})

test('two providers are given different inputs under one job: one of them runs and signs nothing', async () => {
  const { receipt, job } = main.signed
  const conflicting = sealReceipt(
    ACCOMPLICE,
    testReceipt(jobOf().commitment, INPUTS, { runtime: { ...here.info, batched: false } }),
  )
  assert.is((await answer({}, receipt, conflicting)).kind, 'committed')
  let traces = 0
  const counting: ExactRuntime = {
    ...here,
    trace: (inputs, within) => {
      traces++
      return here.trace(inputs, within)
    },
  }
  for (const wrong of [
    { inputs: OTHER_INPUTS },
    { salt: new Uint8Array(32) },
    { inputs: Buffer.concat([INPUTS, new Uint8Array(8)]) },
    { inputs: encodeTensors(disputedInputs().slice(1)) },
  ]) {
    try {
      await answer({ job: jobOf(), runtime: counting, ...wrong }, receipt, conflicting)
      assert.unreachable('it was answered')
    } catch (error) {
      assert.instance(error, DemandRefused)
    }
  }
  assert.is(traces, 0)
  assert.equal(job, jobOf().envelope)
  // Nor does anybody answer such a job in the first place.
  const { inputDigest } = jobOf().job
  const [outcome] = await here.execute([{ inputs: OTHER_INPUTS, salt: SALT, inputDigest }], signal)
  assert.is(outcome?.ok === false && outcome.error.code, 'digest-mismatch')
})

test('a requester that makes up the conflict condemns its own key alone', async () => {
  const liar = createLiar(disputedModel(), await supplyEngine()())
  const findings = await judgeAgainst(liar.testify(INPUTS, { '5[1]/0': lied() }))
  assert.equal(findings.right.settlement, { status: 'clear' })
  const { settlement, operands } = findings.left
  assert.is(settlement.status, 'guilty')
  if (settlement.status !== 'guilty') return
  await unproven(proveGuilt(main.signed, settlement.violation, operands, model, signal), 'the made-up lie')
})

/** As the referee of the job in question has it, with the honest trace on the right. */
function judgeAgainst(testimony: Testimony): Promise<Findings> {
  const inputs = inputDigests(model.plan, INPUTS)
  const [left, right] = [sideOf(testimony), sideOf(main.testimony)]
  return judgeTraces({ plan: model.plan, inputs, left, right }, here, signal)
}

/** Why there is no such proof. */
async function unproven(proving: Promise<unknown>, about: string): Promise<string> {
  try {
    await proving
  } catch (error) {
    if (error instanceof FraudError) return error.message
    throw error
  }
  throw new Error(`proved: ${about}`)
}

test.run()
