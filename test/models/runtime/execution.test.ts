import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { executeBatch, type RawOutcome, type RunModel } from '../../../models/runtime/host-execution.ts'
import { decodeTensors, float32Elements, float32Tensor, type Tensor } from '../../../models/tensor/index.ts'
import { payloadOf, rowsOf, signatureOf } from './executions.ts'

/** Doubles every element and counts its runs. */
function createDoubler(): { run: RunModel; runs: () => number } {
  let runs = 0
  const run: RunModel = async ([x]) => {
    runs++
    if (float32Elements(x!).includes(13)) throw new Error('unlucky')
    return [
      float32Tensor(
        'y',
        x!.dims,
        float32Elements(x!).map((value) => value * 2),
      ),
    ]
  }
  return { run, runs: () => runs }
}

const model = (run: RunModel, batching = true) => ({ run, signature: signatureOf(2), batching, now: () => 0 })

function valuesOf(outcome: RawOutcome | undefined): number[] | string {
  if (outcome === undefined) return 'missing'
  if (!outcome.ok) return outcome.error.code
  return [...float32Elements(decodeTensors(new Uint8Array(Buffer.concat(outcome.outputs)))[0]!)]
}

test('entries of different row counts share one run and get back their own rows', async () => {
  const doubler = createDoubler()
  const batch = [rowsOf([1, 2]), rowsOf([3, 4], [5, 6]), rowsOf([7, 8])].map((x) => payloadOf(x))
  const { outcomes, note } = await executeBatch(model(doubler.run), batch)
  assert.equal(outcomes.map(valuesOf), [
    [2, 4],
    [6, 8, 10, 12],
    [14, 16],
  ])
  assert.is(doubler.runs(), 1)
  assert.is(note, undefined)
  assert.ok(outcomes.every((outcome) => outcome.ok && outcome.batched))
})

test('an entry with wrong inputs fails alone; the others still share a run', async () => {
  const doubler = createDoubler()
  const batch = [
    payloadOf(rowsOf([1, 2])),
    payloadOf(rowsOf([1, 2, 3])),
    payloadOf(rowsOf([5, 6])),
    new Uint8Array(40),
  ]
  const { outcomes } = await executeBatch(model(doubler.run), batch)
  assert.equal(outcomes.map(valuesOf), [[2, 4], 'input-mismatch', [10, 12], 'input-mismatch'])
  assert.is(doubler.runs(), 1)
})

test('an entry that makes the engine fail does not fail those it shares a run with', async () => {
  const doubler = createDoubler()
  const batch = [rowsOf([1, 2]), rowsOf([13, 0]), rowsOf([3, 4])].map((x) => payloadOf(x))
  const { outcomes, note } = await executeBatch(model(doubler.run), batch)
  assert.equal(outcomes.map(valuesOf), [[2, 4], 'run-failed', [6, 8]])
  assert.match(note ?? '', /unlucky/)
  assert.ok(outcomes.every((outcome) => !outcome.ok || !outcome.batched))
})

test('a model whose outputs are not one row for each row is run entry by entry, and it is told', async () => {
  const sum: RunModel = async ([x]) => {
    const total = float32Elements(x!).reduce((a, b) => a + b, 0)
    return [float32Tensor('y', [1], new Float32Array([total]))]
  }
  const batch = [rowsOf([1, 2]), rowsOf([3, 4])].map((x) => payloadOf(x))
  const { outcomes, note } = await executeBatch(model(sum), batch)
  assert.equal(outcomes.map(valuesOf), [[3], [7]])
  assert.match(note ?? '', /\[1\] for 2 rows/)
})

test('without batching every entry is its own run', async () => {
  const doubler = createDoubler()
  const batch = [rowsOf([1, 2]), rowsOf([3, 4])].map((x) => payloadOf(x))
  const { outcomes } = await executeBatch(model(doubler.run, false), batch)
  assert.equal(outcomes.map(valuesOf), [
    [2, 4],
    [6, 8],
  ])
  assert.is(doubler.runs(), 2)
})

test('an input of the wrong element type is refused with what was expected and given', async () => {
  const x: Tensor = { name: 'x', dtype: 'int32', dims: [1, 2], data: new Uint8Array(8) }
  const { outcomes } = await executeBatch(model(createDoubler().run), [payloadOf(x)])
  const [outcome] = outcomes
  assert.ok(outcome !== undefined && !outcome.ok)
  assert.is(outcome.error.code, 'input-mismatch')
  assert.match(outcome.error.message, /expected float32\[batch, 2\], given int32\[1, 2\]/)
})

test.run()
