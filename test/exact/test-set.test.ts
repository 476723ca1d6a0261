/** The exact lane on the models of the test set: it computes what onnxruntime computes, and the same each time. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createWasmEngine } from '../../models/runtime/wasm-engine.ts'
import { encodeTensors } from '../../models/tensor/index.ts'
import { compareTensors } from '../../src/verification/index.ts'
import { openLane } from './lane.ts'
import { TEST_SET } from './models/index.ts'
import { openNative } from './native.ts'
import { runParty } from './tampering.ts'

const SEEDS = [1, 2, 3]

test('one run of all has more than 4,000 leaves, and each has at least those it must have', async () => {
  const engine = await createWasmEngine()
  let leaves = 0
  for (const model of TEST_SET) {
    const { party } = runParty(openLane(model.load(), engine), model.inputs(1))
    assert.ok(party.leaves.length >= model.leavesMin, `${model.name}: ${party.leaves.length} leaves`)
    leaves += party.leaves.length
  }
  assert.ok(leaves > 4_000, `${leaves} leaves`)
})

test('gives what onnxruntime gives, in values, shapes and types, branch by branch and turn by turn', async () => {
  const engine = await createWasmEngine()
  for (const model of TEST_SET) {
    // Some broken models would end this process.
    if (model.native === 'broken') continue
    const files = model.load()
    if (model.native === 'refused') {
      const loaded = await openNative(files, 1).then(
        () => true,
        () => false,
      )
      assert.not(loaded, `${model.name} is loaded by onnxruntime now: compare it`)
      continue
    }
    const native = await openNative(files, 1)
    const lane = openLane(files, engine)
    for (const seed of SEEDS) {
      const inputs = model.inputs(seed)
      const [exact, other] = [lane.walk(inputs, () => {}), await native.run(inputs)]
      const describe = (tensors: typeof other) =>
        tensors.map(({ name, dtype, dims }) => ({ name, dtype, dims }))
      assert.equal(describe([...exact]), describe(other), `${model.name}, seed ${seed}`)
      assert.ok(
        compareTensors(encodeTensors(exact), encodeTensors(other), model.native),
        `${model.name}, seed ${seed}: further apart than ${model.native}`,
      )
    }
    await native.release()
  }
})

test('two engines give the same trace, and the second run of one the same as its first', async () => {
  const engines = [await createWasmEngine(), await createWasmEngine()]
  for (const model of TEST_SET) {
    const files = model.load()
    const lanes = engines.map((engine) => openLane(files, engine))
    const inputs = model.inputs(2)
    const [first, other, second] = [lanes[0]!, lanes[1]!, lanes[0]!].map(
      (lane) => runParty(lane, inputs).party,
    )
    assert.equal(other, first, `${model.name} on another engine`)
    assert.equal(second, first, `${model.name} again`)
  }
})

test.run()
