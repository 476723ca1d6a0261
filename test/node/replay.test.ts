/** Native answers that contradict their own exact run, where this node can run them again on hardware of the same class. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ExecutionOutcome, type ModelRuntime, RuntimeError } from '../../models/runtime/index.ts'
import { float32Elements } from '../../models/tensor/index.ts'
import { createLyingRuntime, honestTrace, randomNoise } from '../../src/adversary/index.ts'
import {
  ask,
  createScene,
  exactOutputs,
  type MeshOptions,
  type Scene,
  startMesh,
} from '../fixtures/dispute-mesh.ts'
import { stopNodes } from '../fixtures/nodes.ts'

const LIAR = 2
let scene: Scene
let truth: Float32Array

test.before(async () => {
  scene = await createScene()
  const [y] = await exactOutputs()
  truth = float32Elements(y!)
})
test.after(stopNodes)

/** Two honest providers and one that answers something else, all of whom trace honestly; everyone is asked. */
async function disagree(wrapNative: NonNullable<MeshOptions['wrapNative']>, forgery = honestTrace) {
  const mesh = await startMesh(scene, [undefined, undefined, forgery], { wrapNative })
  const result = await ask(mesh, { replicas: 3 })
  const { disputes, verdict } = await result.closed
  assert.equal([...float32Elements(result.outputs[0]!)], [...truth], 'the answer is right all the same')
  assert.is(verdict.label, 'refereed')
  const other = mesh.providers[LIAR]!.peerId
  assert.ok(verdict.disagreed.includes(other))
  return {
    disputes: disputes.map(({ kind, loser, proof }) => [kind, loser === other, proof]),
    evidence: mesh.evidence.filter((line) => line.startsWith(other)).map((line) => line.split(' ')[1]),
  }
}

test('a liar that says it has the hardware of this node is caught by running it here', async () => {
  const found = await disagree((native) => onClass(native, 'x64-avx512'))
  assert.equal(found.disputes, [['contradicted-replay', true, undefined]])
  assert.equal(found.evidence, ['contradicted-replay'], 'once')
})

test('hardware of another class is not replayed: it may honestly differ', async () => {
  const found = await disagree((native, node) => onClass(native, node === LIAR ? 'x64-avx2' : 'x64-avx512'))
  assert.equal(found.disputes, [['contradicted-exact', true, undefined]])
  assert.equal(found.evidence, ['contradicted-exact'])
})

test('a run that was shared with others is not replayed: batching changes bits', async () => {
  const found = await disagree((native, node) => {
    const same = onClass(native, 'x64-avx512')
    return node === LIAR ? eachOutcome(same, (outcome) => batched(outcome)) : same
  })
  assert.equal(found.disputes, [['contradicted-exact', true, undefined]])
})

test('an honest answer on an input on which engines part is cleared by hardware of its class', async () => {
  const found = await disagree((native, node) => {
    // What this class of processors gives for it is as far off the exact run as a lie.
    if (node !== LIAR && node !== 'requester') return onClass(native, 'x64-avx2')
    const inner =
      node === LIAR ? native : createLyingRuntime(native, { strategy: randomNoise, seed: LIAR + 1 })
    return onClass(inner, 'x64-avx512')
  })
  assert.equal(found.disputes, [], 'nobody lost')
  assert.equal(found.evidence, [], 'and nothing is held against it')
})

test('a replay that fails is nobody to blame for: what was known before still counts', async () => {
  const found = await disagree((native, node) => {
    const same = onClass(native, 'x64-avx512')
    if (node !== 'requester') return same
    return { ...same, execute: () => Promise.reject(new RuntimeError('crashed', 'the process died')) }
  })
  assert.equal(found.disputes, [['contradicted-exact', true, undefined]])
  assert.equal(found.evidence, ['contradicted-exact'])
})

test.run()

function onClass(native: ModelRuntime, instructionSet: string): ModelRuntime {
  return { ...native, info: { ...native.info, instructionSet } }
}

function eachOutcome(
  native: ModelRuntime,
  change: (outcome: ExecutionOutcome) => ExecutionOutcome,
): ModelRuntime {
  return {
    ...native,
    execute: async (batch, signal) => (await native.execute(batch, signal)).map(change),
  }
}

function batched(outcome: ExecutionOutcome): ExecutionOutcome {
  return outcome.ok ? { ok: true, value: { ...outcome.value, batched: true } } : outcome
}
