/** Slow providers are hedged: who takes much longer than expected is late, and another is asked in its place. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { candidates, createBench, types } from '../fixtures/requester-bench.ts'

/** Both lines at once: a provider is late after `3 x 200 ms`, and overdue after 5 s. */
const TERMS = { replicas: 1, quorum: 1, attemptTimeoutMs: 5000 }
const MEASURED = { serviceMs: 200, rttMs: 0 }

test('who takes three times as long as expected is late, and another is asked', () => {
  const bench = createBench(TERMS)
  bench.submit()
  bench.found(3, true, MEASURED)
  assert.equal(types(bench.pass(599)), [])
  assert.ok(types(bench.pass(600)).includes('dispatch'))
  assert.is(bench.of('dispatch').length, 2)
  assert.not.equal(bench.provider(0), bench.provider(1))
})

test('the answer of the late is as welcome as that of whoever was asked in its place', () => {
  for (const first of [0, 1]) {
    const bench = createBench(TERMS)
    bench.submit()
    bench.found(3, true, MEASURED)
    bench.pass(600)
    bench.result(first, 'x')
    assert.is(bench.of('settle')[0]?.accepted, first)
    // The other one is waited for, for the record, as anyone who has not had its time.
    assert.is(bench.of('close').length, 0)
    bench.result(1 - first, 'x')
    assert.is(bench.of('close').length, 1)
    assert.equal(
      bench.evidence().sort(),
      [`${bench.provider(0)} agreed`, `${bench.provider(1)} agreed`].sort(),
    )
  }
})

test('being late is held against nobody; not to have answered by the end of its time is', () => {
  const early = createBench({ ...TERMS, observeMs: 1000 })
  early.submit()
  early.found(3, true, MEASURED)
  early.pass(600)
  early.result(1, 'x')
  early.pass(1600)
  assert.is(early.of('close').length, 1)
  assert.equal(early.evidence(), [`${early.provider(1)} agreed`])

  const long = createBench({ ...TERMS, observeMs: 8000 })
  long.submit()
  long.found(3, true, MEASURED)
  long.pass(600)
  long.result(1, 'x')
  long.pass(5000)
  assert.is(long.of('close').length, 1)
  assert.ok(long.evidence().includes(`${long.provider(0)} timed-out`))
})

test('where as many were asked in place of others as may be, the late are waited for', () => {
  const bench = createBench(TERMS, { hedgesBurst: 1, hedgeShare: 0 })
  bench.submit()
  bench.found(4, true, MEASURED)
  bench.pass(4999)
  assert.is(bench.of('dispatch').length, 2, 'one was, and none for that one')
  bench.result(1, 'x')
  assert.is(bench.of('settle')[0]?.accepted, 1)
})

test('nobody is late before half a second has passed, however fast it should be', () => {
  const bench = createBench(TERMS)
  bench.submit()
  bench.found(3, true, { serviceMs: 1, rttMs: 0 })
  bench.pass(499)
  assert.is(bench.of('dispatch').length, 1)
  bench.pass(500)
  assert.is(bench.of('dispatch').length, 2)
})

test('where nobody was measured, what is claimed makes nobody late', () => {
  const load = { running: 0, queued: 0, capacity: 8, serviceMs: 1 }
  const bench = createBench(TERMS)
  bench.submit()
  bench.found(3, true, { load })
  bench.pass(4999)
  assert.is(bench.of('dispatch').length, 1)
  bench.pass(5000)
  assert.is(bench.of('dispatch').length, 2)
})

test('whoever was not measured is expected to be as others are, or as slow as it says', () => {
  const load = { running: 0, queued: 0, capacity: 8, serviceMs: 1000 }
  for (const [claim, lateMs] of [
    [undefined, 600],
    [load, 3000],
  ] as const) {
    const bench = createBench(TERMS)
    bench.submit()
    const [known, unknown] = candidates(2, MEASURED)
    const found = [
      { ...known!, notBeforeMs: 100 },
      { ...unknown!, serviceMs: undefined, load: claim },
    ]
    bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: found, complete: true })
    assert.is(bench.provider(0), unknown!.provider)
    bench.pass(lateMs - 1)
    assert.is(bench.of('dispatch').length, 1, `${lateMs}`)
    bench.pass(lateMs)
    assert.is(bench.of('dispatch').length, 2, `${lateMs}`)
  }
})

test('where nobody else is left, the late is waited for, and nothing is computed in its place', () => {
  // Whatever the rule of replication: two are enough.
  const replication = {
    name: 'two',
    isEnough: (parties: readonly unknown[]) => parties.length > 1,
    prevails: () => false,
    wrong: () => 0,
  }
  for (const rule of [{ replicas: 2, quorum: 2 }, { replication }]) {
    const bench = createBench({ ...TERMS, referee: true, canRecompute: true, ...rule })
    bench.submit()
    bench.found(2, true, MEASURED)
    bench.result(0, 'x')
    bench.pass(700)
    bench.found(2, true, MEASURED)
    bench.pass(4000)
    assert.is(bench.of('dispatch').length, 2)
    assert.is(bench.of('recompute').length, 0)
    assert.is(bench.of('fail').length, 0)
    bench.result(1, 'x')
    assert.is(bench.of('settle')[0]?.verdict.agreed.length, 2)
  }
})

test('of a job in the exact lane only those are asked who serve it, also where the lane is learnt late', () => {
  const bench = createBench({ ...TERMS, replicas: 2, quorum: 2, lane: 'exact' })
  bench.submit()
  bench.found(4, false)
  const [first, second] = [bench.provider(0), bench.provider(1)]
  const lanes = ['native']
  const news = candidates(4).map((one) => (one.provider === first ? one : { ...one, lanes }))
  bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: news, complete: true })
  bench.failed(0, 'unknown-model')
  assert.is(bench.of('dispatch').length, 2, `nobody but ${first} and ${second} is asked`)
  const serving = candidates(5, { lanes: ['native', 'exact'] }).slice(4)
  bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: serving, complete: true })
  assert.is(bench.provider(2), 'p4')
})

test('of a job for one class of instructions only those are asked who announce it', () => {
  const bench = createBench({ ...TERMS, replicas: 2, quorum: 2, instructionSet: 'x64-avx2' })
  bench.submit()
  bench.found(3, true, { instructionSet: 'x64-avx512' })
  assert.is(bench.of('dispatch').length, 0)
  bench.found(2, true, { instructionSet: 'x64-avx2' })
  assert.is(bench.of('dispatch').length, 2)
})

test('whose queue is longer than the job has time is asked last', () => {
  const load = { running: 0, queued: 7, capacity: 8, serviceMs: 2000 }
  for (let seed = 1; seed <= 20; seed++) {
    const bench = createBench(TERMS, {}, seed)
    bench.submit()
    const found = candidates(4, MEASURED).map((one, index) =>
      index < 2 ? { ...one, serviceMs: 2000, load } : { ...one, load: { ...load, queued: 0 } },
    )
    bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: found, complete: true })
    bench.failed(0, 'hung-up')
    bench.failed(1, 'hung-up')
    const asked = [0, 1, 2].map((attempt) => bench.provider(attempt))
    assert.equal(asked.slice(0, 2).sort(), ['p2', 'p3'], `seed ${seed}`)
    assert.ok(['p0', 'p1'].includes(asked[2]!), `seed ${seed}`)
  }
})

test.run()
