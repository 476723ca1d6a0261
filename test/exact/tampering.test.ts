/** One bit, anywhere: the referee finds the step, the liar and nobody else. `npm run bench:exact` does the same a thousand times. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { TEST_SET } from './models/index.ts'
import { createSamples, sample } from './models/model.ts'
import { changeElement, isPinned, setTamperingScene, supplyEngines } from './tampering.ts'

const LIES_PER_MODEL = 3
/** Large ones take long to set up, and the bench has them. */
const SLOW = ['ocr-detection', 'gather-40mb', 'ocr-classification']

test('a liar by one bit is pinned to its very step, on every model, and the honest party to nothing', async () => {
  const engines = supplyEngines()
  let lies = 0
  for (const model of TEST_SET) {
    if (SLOW.includes(model.name)) continue
    const scene = await setTamperingScene(model, engines)
    for (let seed = 0; seed < LIES_PER_MODEL; seed++) {
      const run = await scene.tamper(seed)
      if (run === undefined) continue
      lies++
      assert.ok(isPinned(run), `seed ${seed}: ${JSON.stringify(run)}`)
    }
  }
  assert.ok(lies > 100, `only ${lies} lies`)
})

test('an element changes by the least that it can, and what cannot is left', () => {
  const random = createSamples(1)
  const [float] = [sample('x', 'float32', [1], [1])]
  const next = changeElement(float!, random)!
  assert.is(new Float32Array(next.data.buffer)[0], 1 + 2 ** -23)
  assert.equal([...changeElement(sample('x', 'bool', [1], [1]), random)!.data], [0])
  assert.equal([...changeElement(sample('x', 'uint8', [1], [255]), random)!.data], [0])
  assert.is(changeElement(sample('x', 'float32', [1], [Number.NaN]), random), undefined)
  assert.is(changeElement(sample('x', 'float32', [0], []), random), undefined)
})

test.run()
