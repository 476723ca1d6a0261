/** Disputes over real connections: nodes of this process, with the real engine and referee, and liars of every kind. */
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createInProcessExactRuntime } from '../../models/runtime/index.ts'
import { float32Elements } from '../../models/tensor/index.ts'
import { verifyFraudProof } from '../../protocols/fraud/index.ts'
import { verifyBundle } from '../../protocols/receipt/index.ts'
import {
  type Forgery,
  forgeLastStep,
  forgeMiddleStep,
  forgeOperand,
  honestTrace,
  skipStep,
} from '../../src/adversary/index.ts'
import {
  ask,
  createScene,
  exactOutputs,
  type MeshOptions,
  ONNX,
  type Scene,
  startMesh as startMeshOf,
  type TestMesh,
} from '../fixtures/dispute-mesh.ts'
import { scratchDirectory, stopNodes } from '../fixtures/nodes.ts'
import { until } from '../fixtures/until.ts'

let scene: Scene
let truth: Float32Array

test.before(async () => {
  scene = await createScene()
  const [y] = await exactOutputs()
  truth = float32Elements(y!)
})
test.after(stopNodes)

test('one liar of two is exposed by a proof that anyone can verify, and the answer is refereed', async () => {
  const mesh = await startMesh([undefined, undefined, forgeMiddleStep])
  const receipts = await scratchDirectory()
  const result = await askEveryone(mesh, { bundleDirectory: receipts })
  const { verdict, disputes, bundle } = await result.closed
  assert.is(verdict.label, 'refereed')
  assert.equal([...float32Elements(result.outputs[0]!)], [...truth])
  const [dispute] = disputes
  assert.is(disputes.length, 1)
  assert.is(dispute?.loser, mesh.providers[2]!.peerId)
  assert.is(dispute?.kind, 'execution')
  assert.ok(dispute!.step >= 1 && dispute!.step <= dispute!.steps)
  assert.ok(dispute!.operator !== '' && dispute!.bytes > 0 && dispute!.refereeMs > 0)
  await verifyProof(dispute?.proof, mesh.providers[2]!.peerId)
  // Whose answers were disputed sees so itself, and that nothing is proved against it here.
  const { standing } = mesh.providers[0]!.status()
  assert.equal([standing.condemned, standing.traced >= 1, standing.untraced], [false, true, 0])
  assert.equal(standing.untraceable, [])
  assert.is((await verifyBundle(readFileSync(bundle!))).label, 'refereed')
  // Known from now on: it is not even asked.
  for (let job = 0; job < 3; job++) {
    const later = await ask(mesh)
    assert.not.ok((await later.closed).answers.some(({ provider }) => provider === mesh.providers[2]!.peerId))
  }
})

for (const [name, forgery, kind] of [
  ['a forged last step', forgeLastStep, 'execution'],
  ['operands of another step', forgeOperand, 'wiring'],
  ['a step that was left out', skipStep, 'shape'],
] as const) {
  test(`${name} is proved: ${kind}`, async () => {
    const mesh = await startMesh([undefined, undefined, forgery])
    const result = await askEveryone(mesh)
    const { disputes } = await result.closed
    assert.equal(
      disputes.map((dispute) => dispute.kind),
      [kind],
    )
    assert.equal([...float32Elements(result.outputs[0]!)], [...truth])
    await verifyProof(disputes[0]?.proof, mesh.providers[2]!.peerId)
  })
}

test('a native lie with an honest trace is found out, but nothing is proved to others', async () => {
  const mesh = await startMesh([undefined, undefined, honestTrace])
  const result = await askEveryone(mesh)
  const { disputes } = await result.closed
  assert.equal(
    disputes.map(({ kind, proof, loser }) => [kind, proof, loser]),
    [['contradicted-exact', undefined, mesh.providers[2]!.peerId]],
  )
  assert.equal([...float32Elements(result.outputs[0]!)], [...truth])
})

test('where nobody else is left, the requester runs it itself', async () => {
  const mesh = await startMesh([undefined, forgeLastStep])
  const result = await askEveryone(mesh)
  const { verdict, disputes } = await result.closed
  assert.is(disputes.length, 1)
  assert.is(verdict.label, 'refereed')
  assert.equal([...float32Elements(result.outputs[0]!)], [...truth])
  const later = await ask(mesh)
  assert.is((await later.closed).verdict.label, 'recomputed')
})

test('those who lie alike are believed, unless the requester computes it again', async () => {
  const mesh = await startMesh([forgeLastStep, forgeLastStep], { alike: true })
  const receipts = await scratchDirectory()
  const believed = await ask(mesh, { bundleDirectory: receipts })
  const { verdict, bundle } = await believed.closed
  assert.is(verdict.label, 'replicated')
  assert.not.equal([...float32Elements(believed.outputs[0]!)], [...truth])

  const checked = await ask(mesh, { recomputeRate: 1, bundleDirectory: receipts })
  const closed = await checked.closed
  assert.is((await verifyBundle(await readFile(closed.bundle!))).label, 'recomputed')
  assert.is(closed.verdict.label, 'recomputed')
  assert.equal([...float32Elements(checked.outputs[0]!)], [...truth])
  assert.equal(
    closed.disputes.map(({ loser }) => loser).sort(),
    mesh.providers.map(({ peerId }) => peerId).sort(),
  )
  // And what they were believed before is told to whoever believed it.
  await until('the earlier answer is checked again', () => mesh.rechecks.length > 0)
  assert.is(mesh.rechecks[0]?.outcome, 'wrong')
  assert.is(mesh.rechecks[0]?.jobId, believed.jobId)
  assert.ok(existsSync(`${bundle}.recheck.json`))
})

test('a proof that the job allows to be published exposes the key to those whom it concerns', async () => {
  const mesh = await startMesh([undefined, undefined, forgeLastStep])
  await askEveryone(mesh, { publicDisputes: true })
  const liar = mesh.providers[2]!.peerId
  const [honest] = mesh.providers
  // It asks, and finds no liar among those it could ask.
  await until('the honest provider has verified it too', () => mesh.exposed(honest!, liar))
})

test('in the exact lane an answer that is not its own trace is a proof', async () => {
  const mesh = await startMesh([undefined, undefined, forgeLastStep])
  const result = await askEveryone(mesh, { lane: 'exact' })
  const { verdict, disputes } = await result.closed
  assert.is(verdict.label, 'refereed')
  assert.equal([...float32Elements(result.outputs[0]!)], [...truth])
  await verifyProof(disputes[0]?.proof, mesh.providers[2]!.peerId)
})

test.run()

function startMesh(forgeries: readonly (Forgery | undefined)[], options?: MeshOptions): Promise<TestMesh> {
  return startMeshOf(scene, forgeries, options)
}

/** Asks everybody, the liar among them. */
async function askEveryone(mesh: TestMesh, terms: Parameters<typeof ask>[1] = {}) {
  const bundleDirectory = await scratchDirectory()
  const result = await ask(mesh, { replicas: mesh.providers.length, bundleDirectory, ...terms })
  const { disputes, verdict, bundle } = await result.closed
  assert.ok(disputes.length > 0, 'the liar was asked')
  assert.is((await verifyBundle(await readFile(bundle!))).label, verdict.label)
  return result
}

async function verifyProof(path: string | undefined, accused: string): Promise<void> {
  const exact = createInProcessExactRuntime(ONNX)
  const signal = new AbortController().signal
  const verdict = await verifyFraudProof(
    readFileSync(path!),
    {
      modelOf: async () => ({
        plan: await exact.plan(signal),
        laneId: exact.info.version,
        runStep: (...step) => exact.runStep(...step),
      }),
    },
    signal,
  )
  assert.is(verdict.status === 'valid' && verdict.accused, accused)
}
