import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createBatchSizes } from '../../src/provider/batch-sizes.ts'
import {
  BATCH_TRIAL_EXECUTIONS,
  BATCH_TRIAL_INTERVAL,
  BATCH_TRIAL_SAMPLES,
} from '../../src/provider/constants.ts'

const INPUT_BYTES = 100

/** Runs `executions` executions of a model in front of which `waiting` jobs always wait; answers how many jobs each had. */
function run(
  sizes: ReturnType<typeof createBatchSizes>,
  serviceMs: (jobs: number) => number,
  waiting: number,
  executions: number,
): number[] {
  return Array.from({ length: executions }, () => {
    const jobs = Math.min(waiting, sizes.choose(waiting))
    sizes.add(jobs, jobs * INPUT_BYTES, serviceMs(jobs))
    return jobs
  })
}

test('tries sizes upwards, each as often as it must, and keeps the largest that each step made better', () => {
  const sizes = createBatchSizes(32)
  // As measured with three layers of 2048 x 2048: up to 8 each step saves, from then on nothing.
  const given = run(sizes, (jobs) => (jobs <= 8 ? 1 + 0.2 * jobs : 0.325 * jobs), 40, 30)
  const tried = [1, 2, 4, 8, 16].flatMap((size) => new Array(BATCH_TRIAL_SAMPLES).fill(size))
  assert.equal(given, [...tried, 8, 8, 8, 8, 8])
  assert.is(sizes.jobsMax, 8)
})

test('a model that takes longer for each job in a batch runs alone after one look', () => {
  const sizes = createBatchSizes(32)
  // As measured with text recognition.
  const given = run(sizes, (jobs) => 13.3 * jobs * 1.04 ** Math.log2(jobs), 40, 20)
  assert.equal(given.slice(0, 10), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
  assert.equal(new Set(given.slice(10)), new Set([1]))
  assert.is(sizes.jobsMax, 1)
})

test('a gain of a few percent is no gain', () => {
  const sizes = createBatchSizes(32)
  run(sizes, (jobs) => 100 * jobs * 0.97 ** Math.log2(jobs), 40, 20)
  assert.is(sizes.jobsMax, 1)
})

test('what messages between processes cost counts: for a tiny model they are all that a batch saves', () => {
  const sizes = createBatchSizes(32)
  run(sizes, (jobs) => 0.02 * jobs, 40, 50)
  assert.is(sizes.jobsMax, 32)
})

test('a larger batch only in front of a queue: until one was seen, jobs run alone', () => {
  const sizes = createBatchSizes(32)
  const given = run(sizes, () => 1, 1, 30)
  assert.equal(new Set(given), new Set([1]))
  assert.is(sizes.jobsMax, 1)
})

test('a size too large to be tried now does not keep sizes below it from being used', () => {
  const sizes = createBatchSizes(32)
  const given = run(sizes, () => 10, 7, 30)
  assert.equal(given.slice(-3), [7, 7, 7])
})

test('disturbed executions judge no size, as long as one of them was left in peace', () => {
  const sizes = createBatchSizes(8)
  let count = 0
  run(sizes, () => (count++ % 3 === 1 ? 10 : 100), 40, 30)
  assert.is(sizes.jobsMax, 8)
})

test('work is held back from the runtime for a few executions only, where no queue comes', () => {
  const sizes = createBatchSizes(32)
  run(sizes, () => 10, 1, BATCH_TRIAL_SAMPLES)
  assert.ok(sizes.isTrying)
  run(sizes, () => 10, 1, BATCH_TRIAL_EXECUTIONS)
  assert.not(sizes.isTrying)
  // A queue that comes by itself is still used for the trial.
  assert.is(sizes.choose(2), 2)
})

test('follows a change, in both directions, and uses what it knew while it tries', () => {
  const sizes = createBatchSizes(8)
  const helps = () => 10
  const harms = (jobs: number) => 10 * jobs ** 1.1
  run(sizes, helps, 40, 100)
  assert.is(sizes.jobsMax, 8)
  run(sizes, harms, 40, BATCH_TRIAL_INTERVAL)
  assert.is(sizes.jobsMax, 1)
  run(sizes, helps, 40, BATCH_TRIAL_INTERVAL)
  assert.is(sizes.jobsMax, 8)
})

test('trying costs little: of a thousand executions fewer than one in ten has not the best size', () => {
  const sizes = createBatchSizes(32)
  const given = run(sizes, () => 10, 40, 1000)
  assert.ok(given.filter((jobs) => jobs !== 32).length < 100)
})

test('what was measured before is used from the start, within the limit', () => {
  assert.is(createBatchSizes(32, 4).choose(40), 4)
  assert.is(createBatchSizes(32, 100).choose(40), 32)
  assert.is(createBatchSizes(32, 1).isTrying, false)
})

test('a batch that failed as a whole is not tried again soon, nor a larger one', () => {
  const sizes = createBatchSizes(32)
  run(sizes, () => 10, 40, 3 * BATCH_TRIAL_SAMPLES)
  assert.is(sizes.choose(40), 8)
  sizes.fail(8)
  assert.is(sizes.choose(40), 4)
  sizes.fail(2)
  assert.is(sizes.choose(40), 1)
  assert.not(sizes.isTrying)
})

test.run()
