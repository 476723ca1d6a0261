import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { candidates, createBench, type EffectOf, types } from '../fixtures/requester-bench.ts'

test('asks as soon as enough are known, without waiting for the search to end', () => {
  const bench = createBench()
  assert.equal(types(bench.submit()), ['find', 'schedule'])
  assert.equal(bench.found(2, false), [])
  assert.equal(types(bench.found(3, false)), ['dispatch', 'dispatch', 'dispatch', 'schedule'])
  assert.is(new Set(bench.of('dispatch').map(({ provider }) => provider)).size, 3)
  assert.is(bench.of('dispatch')[0]?.deadlineAtMs, 10_000)
})

test('of more candidates than are remembered, those that stand first in the list are not preferred', () => {
  const [limit, crowd, runs] = [8, 40, 200]
  let asked = 0
  for (let seed = 1; seed <= runs; seed++) {
    const bench = createBench({}, { candidatesMax: limit }, seed)
    bench.submit()
    bench.found(crowd)
    const providers = bench.of('dispatch').map(({ provider }) => Number(provider.slice(1)))
    asked += providers.filter((provider) => provider >= limit).length
  }
  // Of 3 asked each time, as many as the part of the list behind its first `limit`; four standard deviations of room.
  assert.ok(asked > runs * 3 * (1 - limit / crowd) - 4 * Math.sqrt(runs * 3 * 0.2), `${asked}`)
})

test('settles as soon as a quorum has the same digest, without comparing', () => {
  const bench = createBench()
  bench.submit()
  bench.found(3)
  assert.equal(bench.result(0, 'x'), [])
  assert.equal(types(bench.result(2, 'x')), ['settle'])
  assert.is(bench.of('settle')[0]?.accepted, 0)
  assert.equal(types(bench.result(1, 'x')), [
    'recordEvidence',
    'recordEvidence',
    'recordEvidence',
    'unschedule',
    'close',
  ])
  assert.equal(bench.of('close')[0]?.verdict, {
    label: 'replicated',
    agreed: ['p0', 'p1', 'p2'],
    disagreed: [],
    asked: 3,
    groups: 3,
  })
  assert.is(bench.requester.jobs, 0)
})

test('a verdict counts the address groups that answers came from, not those that were announced', () => {
  const bench = createBench()
  bench.submit()
  bench.found(3)
  for (const attempt of [0, 1, 2]) {
    const group = attempt === 2 ? 'elsewhere' : 'one owner'
    bench.tell({ type: 'resultReceived', jobId: 'job', attempt, outputDigest: 'x', group })
  }
  assert.is(bench.of('settle')[0]?.verdict.groups, 1)
  assert.is(bench.of('close')[0]?.verdict?.groups, 2)
})

test('compares different digests and settles when they agree', () => {
  const bench = createBench()
  bench.submit()
  bench.found(3)
  bench.result(0, 'x')
  assert.equal(bench.result(1, 'y'), [{ type: 'compare', jobId: 'job', left: 0, right: 1 }])
  assert.equal(types(bench.compared(0, 1, true)), ['settle'])
})

test('while a comparison is awaited, nobody more is asked: it may settle the job', () => {
  const bench = createBench({ replicas: 2, quorum: 2 })
  bench.submit()
  bench.found(4)
  bench.result(0, 'x')
  assert.equal(types(bench.result(1, 'y')), ['compare'])
  assert.ok(types(bench.compared(0, 1, false)).includes('dispatch'))
})

test('a replacement comes from an address group that is not at work on the job yet', () => {
  const groups = { a: ['a1', 'a2', 'a3', 'a4'], b: ['b1', 'b2', 'b3', 'b4'] }
  const found = Object.entries(groups).flatMap(([group, providers]) =>
    candidates(4).map((candidate, index) => ({ ...candidate, group, provider: providers[index]! })),
  )
  for (let seed = 0; seed < 8; seed++) {
    const bench = createBench({ replicas: 2, quorum: 2 }, {}, seed)
    bench.submit()
    bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: found, complete: true })
    bench.failed(0, 'hung-up')
    const [gone, , replacement] = bench.of('dispatch')
    assert.is(replacement?.provider[0], gone?.provider[0], `seed ${seed}`)
  }
})

test('a chain of near neighbours makes no quorum of three', () => {
  const bench = createBench({ replicas: 5, quorum: 3 })
  bench.submit()
  bench.found(6)
  for (const [attempt, digest] of ['a', 'b', 'c', 'd', 'e'].entries()) bench.result(attempt, digest)
  assert.is(bench.of('compare').length, 10)
  for (const { left, right } of bench.of('compare')) bench.compared(left, right, right - left === 1)
  assert.is(bench.of('settle').length, 0)
  assert.is(bench.of('dispatch').length, 6, 'one more is asked: it could complete a clique')
})

test('the liar is told from the rest when all have answered', () => {
  const bench = createBench()
  bench.submit()
  bench.found(3)
  bench.result(0, 'lie')
  bench.result(1, 'x')
  bench.compared(0, 1, false)
  assert.is(types(bench.result(2, 'x'))[0], 'settle')
  const agreed = [bench.provider(1), bench.provider(2)].sort()
  assert.equal(bench.of('close')[0]?.verdict?.agreed, agreed)
  assert.equal(bench.of('close')[0]?.verdict?.disagreed, [bench.provider(0)])
  assert.ok(bench.evidence().includes(`${bench.provider(0)} disagreed`))
})

test('what was not compared by the end of observing stands on neither side', () => {
  const bench = createBench()
  bench.submit()
  bench.found(3)
  bench.result(0, 'x')
  bench.result(1, 'x')
  bench.result(2, 'y')
  bench.pass(3000)
  assert.equal(bench.of('close')[0]?.verdict?.disagreed, [])
  assert.is(bench.of('close')[0]?.verdict?.asked, 3)
  assert.is(bench.evidence().length, 2)
})

test('no majority: asks more, and fails with no-quorum at attemptsMax', () => {
  const bench = createBench({ attemptsMax: 4 })
  bench.submit()
  bench.found(9)
  for (const attempt of [0, 1, 2]) bench.result(attempt, `lie ${attempt}`)
  for (const { left, right } of bench.of('compare')) bench.compared(left, right, false)
  assert.is(bench.of('dispatch').length, 4)
  bench.result(3, 'lie 3')
  for (const { left, right } of bench.of('compare').slice(3)) bench.compared(left, right, false)
  assert.is(bench.of('fail')[0]?.failure.code, 'no-quorum')
  assert.equal(bench.evidence(), [], 'nobody knows who lied')
  bench.end()
})

for (const [code, evidence] of [
  ['unreachable', undefined],
  ['hung-up', undefined],
  ['stopping', undefined],
  ['unknown-model', undefined],
  ['refused', undefined],
  ['timeout', 'timed-out'],
  ['failed', 'failed'],
  ['protocol-violation', 'violated-protocol'],
] as const) {
  test(`after ${code} another provider is asked; evidence: ${evidence ?? 'none'}`, () => {
    const bench = createBench()
    bench.submit()
    bench.found(4)
    const effects = bench.failed(1, code)
    assert.is(effects.filter(({ type }) => type === 'dispatch').length, 1)
    assert.equal(bench.evidence(), evidence === undefined ? [] : [`${bench.provider(1)} ${evidence}`])
    assert.is(new Set(bench.of('dispatch').map(({ provider }) => provider)).size, 4)
  })
}

test('a busy provider is asked again when it said, once nobody else is left', () => {
  const bench = createBench()
  bench.submit()
  bench.found(3)
  const effects = bench.failed(0, 'busy', 300)
  assert.not(types(effects).includes('dispatch'))
  bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: [], complete: true })
  assert.not(types(bench.pass(299)).includes('dispatch'))
  const again = bench.pass(300).filter((effect): effect is EffectOf<'dispatch'> => effect.type === 'dispatch')
  assert.equal(
    again.map(({ provider, attempt }) => [provider, attempt]),
    [[bench.provider(0), 3]],
  )
  for (const attempt of [1, 2, 3]) bench.result(attempt, 'x')
  assert.is(bench.of('close')[0]?.verdict?.asked, 3, 'asked again is not asked more')
  bench.end()
})

test('a provider that always says busy at once is asked ever more rarely', () => {
  const bench = createBench({ replicas: 1, quorum: 1 }, { busyBackoffMs: 20, patienceMs: 100 })
  bench.submit()
  bench.found(1)
  for (let attempt = 0; bench.of('fail').length === 0; attempt++) {
    assert.ok(attempt < 20, 'bounded')
    bench.failed(attempt, 'busy', 0)
    bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: [], complete: true })
    while (bench.of('dispatch').length === attempt + 1 && bench.of('fail').length === 0) {
      const next = bench.of('schedule').at(-1)!.atMs
      bench.pass(next)
      bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: [], complete: true })
    }
  }
  assert.ok(bench.of('dispatch').length <= 10, `${bench.of('dispatch').length} requests in 10 s`)
  bench.end()
})

test('nobody is asked before the time that the book says', () => {
  const bench = createBench({ replicas: 1, quorum: 1 })
  bench.submit()
  bench.found(1, true, { notBeforeMs: 700 })
  assert.is(bench.of('dispatch').length, 0)
  assert.not(types(bench.pass(699)).includes('dispatch'))
  assert.ok(types(bench.pass(700)).includes('dispatch'))
})

test('a slow provider is hedged, and its answer still counts', () => {
  const bench = createBench()
  bench.submit()
  bench.found(5)
  bench.result(0, 'x')
  const effects = bench.pass(1000)
  assert.is(effects.filter(({ type }) => type === 'dispatch').length, 2)
  assert.not(types(effects).includes('cancel'))
  assert.equal(types(bench.result(2, 'x')), ['settle'])
  bench.result(3, 'x')
  bench.result(4, 'x')
  assert.ok(bench.evidence().includes(`${bench.provider(1)} timed-out`), 'the one that never came')
  assert.equal(
    bench.of('cancel').map(({ attempt }) => attempt),
    [1],
  )
  assert.is(bench.of('close')[0]?.verdict?.agreed.length, 4)
  bench.end()
})

test('late, repeated and unknown answers change nothing', () => {
  const bench = createBench()
  bench.submit()
  bench.found(4)
  bench.result(0, 'x')
  assert.equal(bench.result(0, 'y'), [], 'a provider counts once')
  assert.equal(bench.failed(0, 'failed'), [])
  assert.equal(bench.result(99, 'x'), [])
  bench.failed(1, 'hung-up')
  assert.equal(bench.result(1, 'x'), [], 'it was replaced')
  assert.equal(bench.compared(0, 2, true), [], 'nobody asked')
  assert.equal(bench.tell({ type: 'timerExpired', timer: 'another' }), [])
  assert.equal(bench.tell({ type: 'cancelled', jobId: 'another' }), [])
  bench.result(2, 'x')
  bench.result(3, 'x')
  assert.is(bench.of('close').length, 1)
  assert.equal(bench.result(2, 'x'), [])
  assert.equal(bench.tell({ type: 'cancelled', jobId: 'job' }), [])
  bench.end()
})

test('the same comparison told twice counts once', () => {
  const bench = createBench()
  bench.submit()
  bench.found(3)
  bench.result(0, 'x')
  bench.result(1, 'y')
  bench.compared(0, 1, false)
  assert.equal(bench.compared(0, 1, true), [])
  assert.is(bench.of('settle').length, 0)
})

test('one provider cannot end a job by calling it invalid, and is remembered for it', () => {
  for (const replicas of [1, 3]) {
    const bench = createBench({ replicas, quorum: Math.floor(replicas / 2) + 1 })
    bench.submit()
    bench.found(4)
    assert.ok(types(bench.failed(0, 'invalid-job')).includes('dispatch'))
    for (let attempt = 1; attempt <= replicas; attempt++) bench.result(attempt, 'x')
    assert.is(bench.of('settle').length, 1)
    assert.ok(bench.evidence().includes(`${bench.provider(0)} failed`))
    bench.end()
  }
})

test('a quorum that calls a job invalid ends it, with the reason', () => {
  const bench = createBench()
  bench.submit()
  bench.found(6)
  bench.failed(0, 'invalid-job')
  bench.failed(1, 'invalid-job')
  assert.is(bench.of('fail')[0]?.failure.code, 'invalid-job')
  assert.equal(bench.evidence(), [])
  bench.end()
})

test('the only provider there is may call a job invalid', () => {
  const bench = createBench({ replicas: 1, quorum: 1 }, { patienceMs: 500 })
  bench.submit()
  bench.found(1)
  bench.failed(0, 'invalid-job')
  bench.found(1)
  bench.pass(100)
  bench.found(1)
  bench.pass(600)
  bench.found(1)
  assert.is(bench.of('fail')[0]?.failure.code, 'invalid-job')
  bench.end()
})

test('too few providers: keeps looking for a while, then says found, needed and what to do', () => {
  const bench = createBench()
  bench.submit()
  let searches = 0
  for (; bench.of('fail').length === 0; searches++) {
    assert.ok(searches < 20)
    bench.found(2)
    bench.pass(bench.of('schedule').at(-1)!.atMs)
  }
  const { failure } = bench.of('fail')[0]!
  assert.is(failure.code, 'not-enough-providers')
  assert.equal([failure.found, failure.needed], [2, 3])
  assert.match(failure.message, /2 of the 3 .* model model.*--replicas/)
  assert.ok(searches > 3 && searches < 10, `${searches} searches`)
  bench.end()
})

test('a mesh that is still forming is waited for', () => {
  const bench = createBench()
  bench.submit()
  bench.found(0)
  bench.pass(100)
  assert.is(bench.of('find').length, 2)
  bench.found(3)
  assert.is(bench.of('dispatch').length, 3)
})

test('a search that never ends is ended by the deadline', () => {
  const bench = createBench()
  bench.submit()
  bench.pass(10_000)
  assert.is(bench.of('fail')[0]?.failure.code, 'not-enough-providers')
  bench.end()
})

test('the deadline ends a job and says what was missing', () => {
  const bench = createBench({ attemptTimeoutMs: 20_000 })
  bench.submit()
  bench.found(3)
  bench.result(0, 'x')
  bench.pass(9_999)
  assert.is(bench.of('fail').length, 0)
  bench.pass(10_000)
  const { failure } = bench.of('fail')[0]!
  assert.is(failure.code, 'deadline')
  assert.match(failure.message, /3 providers were asked, 1 answered, 1 agreed where 2 must/)
  assert.is(failure.attempts.length, 2)
  assert.is(bench.of('cancel').length, 2)
  bench.end()
})

test('observing ends with the deadline at the latest', () => {
  const bench = createBench({ observeMs: 60_000, attemptTimeoutMs: 60_000 })
  bench.submit()
  bench.found(3)
  bench.result(0, 'x')
  bench.result(1, 'x')
  bench.pass(10_000)
  assert.is(bench.of('close')[0]?.verdict?.agreed.length, 2)
  bench.end()
})

test('while observing, nobody new is asked', () => {
  const bench = createBench()
  bench.submit()
  bench.found(6)
  bench.result(0, 'x')
  bench.result(1, 'x')
  assert.not(types(bench.failed(2, 'failed')).includes('dispatch'))
  assert.is(bench.of('close').length, 1)
})

test('a cancelled job cancels what is under way; a settled one keeps its answer', () => {
  const early = createBench()
  early.submit()
  early.found(3)
  const effects = early.tell({ type: 'cancelled', jobId: 'job' })
  assert.equal(types(effects), ['cancel', 'cancel', 'cancel', 'unschedule', 'fail', 'close'])
  assert.is(early.of('fail')[0]?.failure.code, 'cancelled')
  early.end()

  const late = createBench()
  late.submit()
  late.found(3)
  late.result(0, 'x')
  late.result(1, 'x')
  late.tell({ type: 'cancelled', jobId: 'job' })
  assert.is(late.of('fail').length, 0)
  assert.is(late.of('close')[0]?.verdict?.agreed.length, 2)
  late.end()
})

test('more jobs than fit fail at once with overloaded', () => {
  const bench = createBench({}, { jobsMax: 1 })
  bench.submit()
  assert.equal(types(bench.submit({ ...bench.job, id: 'second' })), ['fail', 'close'])
  assert.is(bench.of('fail')[0]?.failure.code, 'overloaded')
  assert.is(bench.requester.jobs, 1)
  assert.throws(() => bench.submit(), /already in flight/)
})

test('a job that could not be judged is refused before anyone is asked', () => {
  for (const wrong of [
    { quorum: 1, replicas: 2 },
    { quorum: 2, replicas: 4 },
    { quorum: 4, replicas: 3 },
    { replicas: 0, quorum: 1 },
    { replicas: 7, quorum: 4 },
    { attemptsMax: 17 },
    { deadlineAtMs: Number.NaN },
  ]) {
    const bench = createBench(wrong)
    assert.equal(types(bench.submit()), ['fail', 'close'], JSON.stringify(wrong))
    assert.is(bench.of('fail')[0]?.failure.code, 'invalid-job')
  }
})

test('candidates that claim to be endless fill no memory', () => {
  const bench = createBench({ replicas: 5, quorum: 3 }, { candidatesMax: 4 })
  bench.submit()
  bench.found(1000)
  assert.is(bench.of('dispatch').length, 0)
})

test('the verdict at close does not depend on the order of arrival', () => {
  // Two honest machines that differ in the last bits, and a liar among five.
  const digests = ['x', 'x', 'y', 'lie', 'y']
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5, maxLength: 5 })
  const verdictOf = (arrival: readonly number[]) => {
    const bench = createBench({ replicas: 5, quorum: 3, attemptsMax: 5 })
    bench.submit()
    bench.found(5)
    const attemptOf = new Map(bench.of('dispatch').map(({ provider, attempt }) => [provider, attempt]))
    const digestOf = new Map<number, string>()
    for (const index of arrival) {
      const attempt = attemptOf.get(`p${index}`)!
      digestOf.set(attempt, digests[index]!)
      for (const effect of bench.result(attempt, digests[index]!)) {
        if (effect.type !== 'compare') continue
        const pair = [digestOf.get(effect.left), digestOf.get(effect.right)]
        bench.compared(effect.left, effect.right, !pair.includes('lie'))
      }
    }
    bench.end()
    return bench.of('close')[0]?.verdict
  }
  const expected = verdictOf([0, 1, 2, 3, 4])
  assert.equal(expected?.agreed, ['p0', 'p1', 'p2', 'p4'])
  fc.assert(fc.property(order, (arrival) => assert.equal(verdictOf(arrival), expected)))
})

test.run()
