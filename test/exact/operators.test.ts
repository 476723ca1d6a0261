/** A part of what `bench/exact/operators.ts` does in whole: the list is earned, and a step that gives something else is seen. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listedOperators } from '../../models/graph/operators.ts'
import { createWasmEngine } from '../../models/runtime/wasm-engine.ts'
import { earn } from './earning.ts'
import { openLane } from './lane.ts'
import { TEST_SET } from './models/index.ts'
import { startReplayer, type TracedStep } from './replay.ts'
import { buildZooModel, casesOf, listedCells } from './zoo/index.ts'

/** In these versions between them every operator of the list has a case. */
const OPSETS = [9, 18, 21]

test('the zoo knows every operator of the list', () => {
  const unknown = listedCells().filter((cell) => casesOf(cell) === undefined)
  assert.equal([...new Set(unknown.map(({ type }) => type))], [])
})

test('every operator is executed again alone, bit by bit, in a process that has run nothing else', async () => {
  const cells = listedOperators().flatMap(({ domain, type, opsetFirst, opsetLast, dtypes }) => {
    const dtype = dtypes.has('float32') ? 'float32' : [...dtypes][0]!
    const opsets =
      domain === '' ? OPSETS.filter((one) => one >= opsetFirst && one <= opsetLast) : [opsetFirst]
    return opsets.map((opset) => ({ domain, type, opset, dtype }))
  })
  const small = TEST_SET.filter(({ name }) => !name.startsWith('ocr-') && name !== 'gather-40mb')
  const { failures, uses } = await earn(small, cells)
  assert.equal(failures, [])
  const used = new Set([...uses].map((use) => use.split(' ')[0]))
  const missing = listedOperators().filter(({ domain, type }) => !used.has(`${domain}:${type}`))
  assert.equal(
    missing.map(({ type }) => type),
    [],
  )
})

test('a step that gives something else is a failure, and so is one on other operands', async () => {
  const cell = { domain: '', type: 'Add', opset: 17, dtype: 'float32' } as const
  const { bytes, inputs } = buildZooModel(cell, casesOf(cell)!.slice(0, 1))
  const files = { model: bytes, files: new Map() }
  const steps: TracedStep[] = []
  openLane(files, await createWasmEngine()).walk(inputs, ({ leaf, payload }) =>
    steps.push({ ...leaf, payload: payload() }),
  )
  const [step] = steps
  const replayer = startReplayer()
  try {
    assert.equal((await replayer.replay(files, [step!])).failures, [])
    const other = step!.outputs.map((digest) => digest.map((byte) => byte ^ 1))
    assert.match((await replayer.replay(files, [{ ...step!, outputs: other }])).failures[0]!, /other outputs/)
    const payload = step!.payload.map((byte, at) => (at === step!.payload.byteLength - 1 ? byte ^ 1 : byte))
    assert.is((await replayer.replay(files, [{ ...step!, payload }])).failures.length, 1)
  } finally {
    await replayer.close()
  }
})

test.run()
