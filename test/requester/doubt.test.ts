/** Jobs in which the records of providers decide how many are asked, event by event. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createPosterior,
  NEWCOMER,
  REPUTATION_PARAMS,
  type TrackRecord,
} from '../../peers/reputation/index.ts'
import type { JobSpec } from '../../src/requester/index.ts'
import { createDoubt } from '../../src/routing/index.ts'
import { candidates, createBench, types } from '../fixtures/requester-bench.ts'

const posterior = createPosterior(REPUTATION_PARAMS)
const known = (checked: number): TrackRecord => ({ checked, streak: checked, suspicion: 0 })
const near = (actual: number | undefined, expected: number) =>
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-12, `${actual}, not ${expected}`)

function doubt(risk: number, floorRate = 0): Partial<JobSpec> {
  const replication = createDoubt({ risk, floorRate }, REPUTATION_PARAMS)
  return { replicas: 1, quorum: 1, attemptsMax: 16, replication }
}
/** The requester holds the model. */
const OWN = { referee: true, canRecompute: true }

test('newcomers are never alone: as many are asked at once as would be enough if they agree', () => {
  for (const [risk, count] of [
    [0.05, 2],
    [0.01, 4],
    [1e-3, 6],
    [1e-4, 8],
  ] as const) {
    const bench = createBench(doubt(risk))
    bench.submit()
    bench.found(12)
    assert.is(bench.of('dispatch').length, count, `${risk}`)
    for (let attempt = 0; attempt < count; attempt++) {
      assert.is(bench.of('settle').length, 0)
      bench.result(attempt, 'x')
    }
    const [settled] = bench.of('settle')
    assert.is(settled?.verdict.label, 'replicated')
    near(settled?.wrong, posterior.wrong(Array(count).fill(NEWCOMER)))
    assert.ok(settled!.wrong! <= risk)
    bench.end()
  }
})

test('nobody is asked before the search has ended, or as many are known as may be asked', () => {
  const bench = createBench(doubt(0.01))
  bench.submit()
  assert.equal(types(bench.found(5, false)), [])
  assert.equal(types(bench.found(15, false)), [])
  bench.found(16, false)
  assert.is(bench.of('dispatch').length, 4)
})

test('a provider that is known well is alone, but for the floor', () => {
  const alone = createBench(doubt(1e-3))
  alone.submit()
  alone.found(12, true, { record: known(200) })
  assert.is(alone.of('dispatch').length, 1)
  alone.result(0, 'x')
  const [settled] = alone.of('settle')
  assert.is(settled?.verdict.label, 'signed')
  near(settled?.wrong, posterior.wrong([known(200)]))
  alone.end()

  const floor = createBench(doubt(1e-3, 1))
  floor.submit()
  floor.found(12, true, { record: known(200) })
  assert.is(floor.of('dispatch').length, 2)
  floor.result(0, 'x')
  assert.is(floor.of('settle').length, 0)
  floor.result(1, 'x')
  assert.is(floor.of('settle')[0]?.verdict.label, 'replicated')
})

test('the floor is drawn for each job, after it was fixed, as often as it says', () => {
  let checked = 0
  for (let seed = 1; seed <= 2000; seed++) {
    const bench = createBench(doubt(1e-3, 0.2), {}, seed)
    bench.submit()
    bench.found(12, true, { record: known(200) })
    if (bench.of('dispatch').length === 2) checked += 1
  }
  // Four standard deviations.
  assert.ok(Math.abs(checked - 400) < 4 * Math.sqrt(2000 * 0.2 * 0.8), `${checked}`)
})

test('whom one is decides how many more: a stranger among the known gets company', () => {
  const counts = new Set<number>()
  for (let seed = 1; seed <= 40; seed++) {
    const bench = createBench(doubt(1e-3), {}, seed)
    bench.submit()
    const found = candidates(10).map((one, index) => (index < 5 ? { ...one, record: known(200) } : one))
    bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: found, complete: true })
    const asked = bench.of('dispatch').map(({ provider }) => found.find((one) => one.provider === provider)!)
    const records = asked.map(({ record = NEWCOMER }) => record)
    assert.ok(posterior.wrong(records) <= 1e-3, `seed ${seed}`)
    assert.ok(posterior.wrong(records.slice(0, -1)) > 1e-3, `seed ${seed}: one too many`)
    counts.add(asked.length)
  }
  assert.ok(counts.size > 1)
})

test('in place of who fails another is asked', () => {
  const bench = createBench(doubt(0.05))
  bench.submit()
  bench.found(5)
  bench.result(0, 'x')
  bench.failed(1, 'hung-up')
  assert.is(bench.of('dispatch').length, 3)
  bench.result(2, 'x')
  assert.is(bench.of('settle').length, 1)
})

test('a disagreement is decided by the own run at once, and nobody more is asked', () => {
  const bench = createBench({ ...doubt(0.05), ...OWN })
  bench.submit()
  bench.found(8)
  bench.result(0, 'x')
  bench.result(1, 'lie')
  assert.equal(
    types(bench.compared(0, 1, false)).filter((type) => type !== 'schedule'),
    ['recompute'],
  )
  assert.is(bench.of('dispatch').length, 2)
  bench.recomputed('true', [0], 'x')
  const [settled] = bench.of('settle')
  assert.equal([settled?.accepted, settled?.verdict.label, settled?.wrong], [0, 'recomputed', 0])
  assert.equal(settled?.verdict.disagreed, [bench.provider(1)])
  // Who contradicts the own run is heard about it, though the answer no longer waits for that.
  assert.equal(
    bench.of('trace').map(({ attempt }) => attempt),
    [1],
  )
  bench.untraced(1, 'cannot-trace')
  assert.ok(bench.evidence().includes(`${bench.provider(1)} disagreed`))
  const strengths = bench.of('recordEvidence').map(({ evidence, strength }) => [evidence, strength])
  assert.equal(strengths.sort(), [
    ['agreed', 1],
    ['disagreed', 1],
  ])
  bench.end()
})

test('where the own run fails, the disagreement becomes a dispute', () => {
  const bench = createBench({ ...doubt(0.05), ...OWN })
  bench.submit()
  bench.found(8)
  bench.result(0, 'x')
  bench.result(1, 'lie')
  bench.compared(0, 1, false)
  bench.tell({ type: 'recomputeFailed', jobId: 'job', message: 'no room' })
  assert.equal(
    bench
      .of('trace')
      .map(({ attempt }) => attempt)
      .sort(),
    [0, 1],
  )
  assert.ok(bench.of('dispatch').length > 2, 'an independent one is drawn')
})

test('without the model an answer prevails by the records of those who give it, and not before', () => {
  const risk = 0.1
  const bench = createBench(doubt(risk, 1))
  bench.submit()
  bench.found(12, true, { record: known(200) })
  bench.result(0, 'x')
  bench.result(1, 'lie')
  bench.compared(0, 1, false)
  assert.is(bench.of('settle').length, 0, 'one against one of equal records')
  assert.is(bench.of('dispatch').length, 3)
  bench.result(2, 'x')
  const [settled] = bench.of('settle')
  assert.is(settled?.verdict.label, 'replicated')
  assert.equal(settled?.verdict.agreed, [bench.provider(0), bench.provider(2)].sort())
  assert.equal(settled?.verdict.disagreed, [bench.provider(1)])
  // More than those two alone would be wrong, since somebody who is known contradicts them.
  assert.ok(settled!.wrong! > posterior.wrong([known(200), known(200)]) && settled!.wrong! <= risk)
  assert.ok(bench.evidence().includes(`${bench.provider(1)} disagreed`))
  assert.is(bench.of('recompute').length, 0)
  bench.end()
})

test('where nobody is left and the risk is not reached, the job fails as too doubtful, and says how doubtful', () => {
  const bench = createBench(doubt(1e-3))
  bench.submit()
  bench.found(3)
  for (const attempt of [0, 1, 2]) bench.result(attempt, 'x')
  let searches = 1
  for (let step = 0; step < 40 && bench.of('fail').length === 0; step++) {
    bench.pass(bench.nowMs() + 250)
    for (; searches < bench.of('find').length; searches++) bench.found(3)
  }
  const [failed] = bench.of('fail')
  assert.is(failed?.failure.code, 'too-doubtful')
  assert.match(failed!.failure.message, /3 of 3 providers .*up to 0\.011/)
  assert.is(bench.of('settle').length, 0)
  bench.end()
})

test('where nobody is left, the own run stands in for those who are missing', () => {
  const bench = createBench({ ...doubt(1e-3), ...OWN })
  bench.submit()
  bench.found(3)
  for (const attempt of [0, 1, 2]) bench.result(attempt, 'x')
  for (let searches = 1; searches < bench.of('find').length; searches++) bench.found(3)
  assert.is(bench.of('recompute').length, 1)
  bench.recomputed('true', [0, 1, 2], 'x')
  assert.equal([bench.of('settle')[0]?.verdict.label, bench.of('settle')[0]?.wrong], ['recomputed', 0])
})

test('a check counts by the chance that one of those who agreed is of no coalition with the checked', () => {
  const strengthsOf = (records: readonly TrackRecord[], risk: number) => {
    const bench = createBench(doubt(risk, 1))
    bench.submit()
    const found = candidates(records.length).map((one, index) => ({ ...one, record: records[index]! }))
    bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: found, complete: true })
    for (const { attempt } of bench.of('dispatch')) bench.result(attempt, 'x')
    return new Map(bench.of('recordEvidence').map(({ provider, strength }) => [provider, strength]))
  }
  const strangers = strengthsOf([NEWCOMER, NEWCOMER], 0.05)
  assert.is(strangers.size, 2)
  for (const strength of strangers.values()) near(strength, 1 - 0.35)
  const mixed = strengthsOf([NEWCOMER, known(300)], 0.5)
  near(mixed.get('p0'), 1 - posterior.saboteur(known(300)))
  near(mixed.get('p1'), 1 - 0.35)
})

test('a run that nobody checked is worth nothing to who gave it', () => {
  const bench = createBench(doubt(0.01))
  bench.submit()
  bench.found(3, true, { record: known(200) })
  bench.result(0, 'x')
  assert.equal(
    bench.of('recordEvidence').map(({ evidence, strength }) => [evidence, strength]),
    [['agreed', 0]],
  )
})

test('whom an own run contradicts is drawn for no other job until that is looked into', () => {
  const bench = createBench({ ...doubt(1e-3, 1), ...OWN })
  bench.submit()
  bench.found(2, true, { record: known(200) })
  bench.result(0, 'x')
  bench.result(1, 'lie')
  bench.compared(0, 1, false)
  bench.recomputed('true', [0], 'x')
  const suspect = bench.provider(1)
  const ask = (id: string): string[] => {
    const before = bench.of('dispatch').length
    bench.tell({ type: 'submitted', job: { ...bench.job, ...doubt(1e-3), id } })
    const found = candidates(4, { record: known(200) })
    bench.tell({ type: 'candidatesFound', jobId: id, candidates: found, complete: true })
    const asked = bench.of('dispatch').slice(before)
    for (const { attempt } of asked)
      bench.tell({ type: 'resultReceived', jobId: id, attempt, outputDigest: 'x' })
    return asked.map(({ provider }) => provider)
  }
  for (let job = 0; job < 30; job++) assert.not.ok(ask(`while ${job}`).includes(suspect), `job ${job}`)
  bench.untraced(1, 'cannot-trace')
  assert.is(
    bench.of('close').some(({ jobId }) => jobId === 'job'),
    true,
  )
  const later = Array.from({ length: 30 }, (_, job) => ask(`then ${job}`)).flat()
  assert.ok(later.includes(suspect))
})

test('nobody gets more than its share where there are others, and the best known are asked first', () => {
  const bench = createBench(doubt(0.01), { poolSize: 1, newcomerShare: 0, shareMax: 0.05 })
  const found = candidates(4).map((one, index) => ({ ...one, record: known(400 - index) }))
  const counts = new Map<string, number>()
  for (let job = 0; job < 32; job++) {
    const jobId = `job ${job}`
    bench.tell({ type: 'submitted', job: { ...bench.job, id: jobId } })
    bench.tell({ type: 'candidatesFound', jobId, candidates: found, complete: true })
    const { provider, attempt } = bench.of('dispatch').at(-1)!
    counts.set(provider, (counts.get(provider) ?? 0) + 1)
    bench.tell({ type: 'resultReceived', jobId, attempt, outputDigest: 'x' })
  }
  // Eight are always allowed, see `SHARE_SLACK`.
  assert.equal(
    [...counts],
    [
      ['p0', 8],
      ['p1', 8],
      ['p2', 8],
      ['p3', 8],
    ],
  )
})

test('a traced run counts into the share as what it costs', () => {
  for (const traceExecutions of [0, 9.5]) {
    const limits = { shareMax: 0.05, traceExecutions, newcomerShare: 0, poolSize: 1 }
    const bench = createBench({ ...doubt(0.05), ...OWN }, limits)
    bench.submit()
    bench.found(2)
    bench.result(0, 'x')
    bench.result(1, 'lie')
    bench.compared(0, 1, false)
    bench.tell({ type: 'recomputeFailed', jobId: 'job', message: 'no room' })
    assert.is(bench.of('trace').length, 2)
    bench.tell({ type: 'submitted', job: { ...bench.job, id: 'next' } })
    const known200 = candidates(1, { record: known(200) })
    const strangers = candidates(8).slice(2)
    bench.tell({
      type: 'candidatesFound',
      jobId: 'next',
      candidates: [...known200, ...strangers],
      complete: true,
    })
    const asked = bench.of('dispatch').filter(({ jobId }) => jobId === 'next')
    assert.is(
      asked.some(({ provider }) => provider === 'p0'),
      traceExecutions === 0,
    )
  }
})

test('a circle of the known is worked with, and strangers are drawn by their share', () => {
  let strangers = 0
  for (let seed = 1; seed <= 1000; seed++) {
    const bench = createBench(doubt(1e-3), { poolSize: 4, newcomerShare: 0.1 }, seed)
    bench.submit()
    const found = candidates(16).map((one, index) => (index < 4 ? { ...one, record: known(200) } : one))
    bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: found, complete: true })
    const [first] = bench.of('dispatch')
    if (Number(first!.provider.slice(1)) >= 4) strangers += 1
  }
  // Four standard deviations.
  assert.ok(Math.abs(strangers - 100) < 4 * Math.sqrt(1000 * 0.1 * 0.9), `${strangers}`)
})

test('who is shunned is asked only where nobody else is left', () => {
  const shunned = { checked: 0, streak: 0, suspicion: Math.log(1000) }
  for (let seed = 1; seed <= 20; seed++) {
    const bench = createBench(doubt(0.05), {}, seed)
    bench.submit()
    const found = candidates(6).map((one, index) => (index < 3 ? { ...one, record: shunned } : one))
    bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: found, complete: true })
    for (const { provider } of bench.of('dispatch')) assert.ok(Number(provider.slice(1)) >= 3, `seed ${seed}`)
  }
  const nobody = createBench(doubt(0.05))
  nobody.submit()
  nobody.found(3, true, { record: shunned })
  assert.ok(nobody.of('dispatch').length > 0)
})

test.run()
