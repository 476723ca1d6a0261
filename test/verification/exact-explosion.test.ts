/** Steps that explode in memory: whoever claims one gains nothing, whoever is given one loses nothing, and the referee goes on. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { modelSignature, readModel } from '../../models/graph/index.ts'
import {
  createExactRuntime,
  createInProcessExactRuntime,
  type ExactRuntime,
} from '../../models/runtime/index.ts'
import { createWasmEngine, type WasmEngine } from '../../models/runtime/wasm-engine.ts'
import { encodeTensors } from '../../models/tensor/index.ts'
import { hashLeaf, merklePath, type Value } from '../../models/trace/index.ts'
import { encodeFraudProof, verifyFraudProof } from '../../protocols/fraud/index.ts'
import { receiptDigest, sealReceipt } from '../../protocols/receipt/index.ts'
import { judgeTraces } from '../../src/node/judging.ts'
import { createTracing } from '../../src/node/tracing.ts'
import { assertPinned, type Found, type Outcome, type Scene, setScene, sideOf } from '../exact/dispute.ts'
import { createLiar, type Lies, type Testimony } from '../exact/liar.ts'
import { lied } from '../exact/lies.ts'
import { constant, graphModel, node, sample, value, values } from '../exact/models/model.ts'
import { SALT, testReceipt } from '../fixtures/jobs.ts'
import { elementBytes } from '../fixtures/onnx-builder.ts'
import { PROVIDER, REQUESTER, toyJob } from '../fixtures/toy-parties.ts'

const signal = new AbortController().signal

/** 0 Add: a shape; 1 ConstantOfShape: as much as the shape says; 2 ReduceSum. */
const MODEL = graphModel(
  'explosive',
  () => ({
    inputs: [value('n', 'int64', ['k'])],
    outputs: values('y:0'),
    nodes: [
      node('Add', 'n one', 'shape'),
      node('ConstantOfShape', 'shape', 'much'),
      node('ReduceSum', 'much', 'y', { integers: { keepdims: 0 } }),
    ],
    initializers: [constant('one', [], [1], 'int64')],
  }),
  () => [sample('n', 'int64', [3], [1, 2, 3])],
  { opset: 13 },
).load()
const longs = (elements: readonly number[]): Value => ({
  dtype: 'int64',
  dims: [elements.length],
  data: elementBytes('int64', elements),
})
const INPUTS = encodeTensors([{ ...longs([1, 2, 3]), name: 'n' }])
const EXPLODING = encodeTensors([{ ...longs([1290, 1000, 1000]), name: 'n' }])

/** Says that five gigabytes were asked for, and that this came of it. */
function exploding(result: number): Lies {
  const claimed: Value = { dtype: 'float32', dims: [1], data: elementBytes('float32', [result]) }
  return { 0: lied(0, () => longs([1290, 1000, 1000])), 1: { claims: () => [claimed] } }
}

const engines: WasmEngine[] = []
/** The last engine, unless an explosion has spent it. */
async function supply(): Promise<WasmEngine> {
  const last = engines.at(-1)
  if (last !== undefined && !last.isSpent()) return last
  engines.push(await createWasmEngine())
  return engines.at(-1)!
}

let runtime: ExactRuntime
let scene: Scene
let lie: (lies: Lies) => Testimony
test.before(async () => {
  runtime = createInProcessExactRuntime(MODEL.model, { supplyEngine: supply })
  scene = await setScene(runtime, INPUTS)
  // Of its own: the referee's may end.
  const liar = createLiar(MODEL, await createWasmEngine())
  lie = (lies) => liar.testify(INPUTS, lies)
})

const UNDECIDED: Found = { settlement: { status: 'undecided', index: 1, position: '1' }, proof: undefined }
const BOTH_UNDECIDED: Outcome = { divergence: 1, left: UNDECIDED, right: UNDECIDED }

test('who alone claims a step that explodes is guilty of what made it so, and nothing explodes', async () => {
  assertPinned(await scene.dispute(lie(exploding(7)), scene.honest), 'execution', '0')
  assert.is(engines.length, 1)
})

test('two that explode alike and part there are both undecided, and the next dispute is decided as ever', async () => {
  const before = engines.length
  assert.equal(await scene.dispute(lie(exploding(7)), lie(exploding(8))), BOTH_UNDECIDED)
  // The one that was there ended in the first seating, its successor in the second; nobody has needed a third yet.
  assert.is(engines.length - before, 1)
  assert.ok(engines.every((engine) => engine.isSpent()))
  assertPinned(await scene.dispute(lie({ 1: lied() }), scene.honest), 'execution', '1')
  // Each of the two is still guilty against anybody honest.
  assertPinned(await scene.dispute(lie(exploding(8)), scene.honest), 'execution', '0')
})

test('in a process of its own the referee survives it too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'verimesh-explosion-'))
  const modelPath = join(directory, 'model.onnx')
  await writeFile(modelPath, MODEL.model)
  const child = createExactRuntime({ modelPath, signature: modelSignature(readModel(MODEL.model)) })
  try {
    await child.load()
    const { pid } = child.status()
    const { plan, digests: inputs } = scene
    const [left, right] = [sideOf(lie(exploding(7))), sideOf(lie(exploding(8)))]
    const judged = await judgeTraces({ plan, inputs, left, right }, child, signal)
    assert.equal(
      [judged.left.settlement, judged.right.settlement],
      [UNDECIDED.settlement, UNDECIDED.settlement],
    )
    const again = sideOf(lie({ 1: lied() }))
    const decided = await judgeTraces(
      { plan, inputs, left: again, right: sideOf(scene.honest) },
      child,
      signal,
    )
    assert.equal(
      [decided.left, decided.right].map(({ settlement }) => settlement.status),
      ['guilty', 'clear'],
    )
    assert.is.not(child.status().pid, pid)
  } finally {
    await child.close()
    await rm(directory, { recursive: true })
  }
})

test('a proof about a step that explodes is undecided to whoever verifies it', async () => {
  const testimony = lie(exploding(7))
  const { job, receipt, commitment } = scene.sign(testimony)
  const hashes = testimony.leaves.map(hashLeaf)
  const leaf = { index: 1, bytes: testimony.leaves[1]!, path: merklePath(hashes, 1) }
  const operands = await testimony.operands('1')
  const proof = encodeFraudProof({ claim: 'execution', job, receipt, commitment, leaf, operands })
  const verdict = await verifyFraudProof(proof, { modelOf: () => scene.model }, signal)
  assert.equal(verdict.status !== 'valid' && [verdict.status, verdict.code], ['undecided', 'cannot-run'])
})

test('a provider that is given inputs that explode signs that it cannot trace, and nothing else', async () => {
  const trace = createTracing({ signer: PROVIDER, modelOf: () => ({ runtime }) })
  for (const [inputs, kind] of [
    [EXPLODING, 'refused'],
    [INPUTS, 'committed'],
  ] as const) {
    const job = toyJob(inputs)
    const receipt = testReceipt(job.commitment, inputs, { runtime: { ...runtime.info, batched: false } })
    const sealed = sealReceipt(PROVIDER, receipt)
    const own = { sealed, receipt, digest: receiptDigest(sealed) }
    const answer = await trace(
      {
        remotePeer: REQUESTER.peerId,
        job,
        salt: SALT,
        receipt: own,
        conflicting: { ...own, provider: REQUESTER.peerId },
        inputs,
        laneId: runtime.info.version,
        timeoutMs: 10_000,
      },
      signal,
    )
    assert.is(answer.kind, kind)
    if (answer.kind === 'refused') assert.is(answer.code, 'cannot-trace')
  }
})

test.run()
