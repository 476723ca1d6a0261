/** The liar of the other tests is a good one: where it does not lie, nobody can tell it from the lane itself. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createInProcessExactRuntime } from '../../models/runtime/index.ts'
import { encodeTensors } from '../../models/tensor/index.ts'
import { decodeLeaf } from '../../models/trace/index.ts'
import { supplyEngine } from './lane.ts'
import { createLiar } from './liar.ts'
import { TEST_SET } from './models/index.ts'

const signal = new AbortController().signal
/** Real ones, and those of thousands of leaves or megabytes, take long and hold no other kind of step. */
const SMALL_BYTES = 64 * 1024
const LEAVES_MAX = 200

test('a liar that does not lie traces what the exact lane does, to the last byte of leaves, outputs and operands', async () => {
  const supply = supplyEngine()
  let models = 0
  for (const { name, load, inputs: sample, leavesMin } of TEST_SET) {
    const files = load()
    if (files.model.byteLength > SMALL_BYTES || files.files.size > 0 || leavesMin > LEAVES_MAX) continue
    models++
    const runtime = createInProcessExactRuntime(files.model, { supplyEngine: supply })
    for (const seed of [1, 2]) {
      const inputs = encodeTensors(sample(seed))
      const lane = await runtime.trace(inputs, signal)
      const { leaves, outputs, operands } = createLiar(files, await supply()).testify(inputs)
      assert.equal(leaves.map(decodeLeaf), lane.leaves.map(decodeLeaf), name)
      assert.equal(Buffer.from(outputs), Buffer.from(lane.outputs), name)
      if (seed > 1) continue
      for (const { position } of leaves.map(decodeLeaf)) {
        const given = await runtime.operands(inputs, position, signal)
        assert.equal(Buffer.from(await operands(position)), Buffer.from(given), `${name} ${position}`)
      }
    }
  }
  assert.ok(models > 40, `only ${models} models`)
})

test.run()
