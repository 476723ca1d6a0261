/** Disputes driven by hand, event by event. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { JobSpec, Judgement, RequesterLimits, TraceFailureCode } from '../../src/requester/index.ts'
import { candidates, createBench, types } from '../fixtures/requester-bench.ts'

const GUILTY: Judgement = { status: 'guilty', kind: 'execution' }
const UNDECIDED: Judgement = { status: 'undecided' }
/** The search for more has ended, and patience with it. */
const LIMITS: Partial<RequesterLimits> = { patienceMs: 500 }

function createDispute(changes: Partial<JobSpec> = {}, limits: Partial<RequesterLimits> = {}, seed?: number) {
  const terms = { replicas: 2, quorum: 2, referee: true, ...changes }
  const bench = createBench(terms, { ...LIMITS, ...limits }, seed)
  return {
    ...bench,
    /** Two providers of `count` have answered otherwise, and one more is asked. */
    begin: (count = 6) => {
      bench.submit()
      bench.found(count)
      bench.result(0, 'x')
      bench.result(1, 'lie')
      if (bench.job.lane === 'native') bench.compared(0, 1, false)
    },
    /** A third provider answers as the first did, whose trace is asked for too. */
    join: (attempt: number, digest = 'x') => {
      const from = bench.of('compare').length
      bench.result(attempt, digest)
      for (const { left, right } of bench.of('compare').slice(from)) bench.compared(left, right, false)
    },
    /** No search finds more. */
    wait: (untilMs: number) => {
      for (let step = 0; step < 50 && bench.nowMs() < untilMs; step++) {
        bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: [], complete: true })
        bench.pass(Math.min(untilMs, bench.nowMs() + 100))
      }
    },
    settled: () => bench.of('settle')[0],
    verdict: () => bench.of('close')[0]?.verdict,
    failure: () => bench.of('fail')[0]?.failure,
  }
}

test('whoever agrees is not disputed', () => {
  const bench = createDispute()
  bench.submit()
  bench.found(6)
  bench.result(0, 'x')
  bench.result(1, 'y')
  bench.compared(0, 1, true)
  assert.is(bench.settled()?.verdict.label, 'replicated')
  assert.is(bench.of('trace').length, 0)
  assert.is(bench.settled()?.verdict.disputes, undefined)
})

test('with a referee all must agree: a quorum does not outvote the third', () => {
  const bench = createDispute({ replicas: 3, quorum: 2 })
  bench.submit()
  bench.found(3)
  bench.result(0, 'x')
  bench.result(1, 'x')
  assert.is(bench.settled(), undefined)
  bench.result(2, 'lie')
  assert.equal(
    bench.compared(0, 2, false).filter(({ type }) => type === 'trace'),
    [0, 1, 2].map((attempt) => ({ type: 'trace', jobId: 'job', attempt })),
  )
  assert.is(bench.settled(), undefined)
})

test('a disagreement has everyone traced, the false leaf judged, and the survivor matched by a third', () => {
  const bench = createDispute()
  bench.begin()
  assert.equal(
    bench.of('trace').map(({ attempt }) => attempt),
    [0, 1],
  )
  assert.is(bench.of('dispatch').length, 3)
  assert.equal(types(bench.traced(0, 'true')), [])
  assert.equal(bench.traced(1, 'false'), [{ type: 'judge', jobId: 'job', left: 0, right: 1 }])
  assert.equal(bench.judged(0, 1, { right: GUILTY }), [
    {
      type: 'recordEvidence',
      jobId: 'job',
      provider: bench.provider(1),
      evidence: 'lost-dispute',
      strength: 1,
    },
  ])
  bench.join(2)
  assert.is(bench.settled(), undefined, 'its answer alone is a count')
  bench.traced(2, 'true')
  const verdict = {
    label: 'refereed',
    agreed: [bench.provider(0), bench.provider(2)].sort(),
    disagreed: [bench.provider(1)],
    asked: 3,
    groups: 2,
    disputes: [
      {
        left: bench.provider(0),
        right: bench.provider(1),
        losers: [{ provider: bench.provider(1), kind: 'execution' }],
      },
    ],
    traced: [0, 1, 2].map(bench.provider).sort(),
    discarded: [{ provider: bench.provider(1), reason: 'lost-dispute' }],
  }
  assert.equal(bench.settled(), { type: 'settle', jobId: 'job', accepted: 0, exact: false, verdict })
  assert.equal(bench.verdict(), verdict)
  assert.equal(bench.evidence(), [
    `${bench.provider(1)} lost-dispute`,
    `${bench.provider(0)} agreed`,
    `${bench.provider(2)} agreed`,
  ])
  bench.end()
})

test('equal roots of the two that dispute show nothing: a third is drawn', () => {
  const bench = createDispute()
  bench.begin()
  bench.traced(0, 'alike')
  bench.traced(1, 'alike', false)
  assert.is(bench.settled(), undefined)
  bench.join(2)
  assert.is(bench.settled(), undefined)
  bench.traced(2, 'alike')
  assert.is(bench.settled()?.verdict.label, 'refereed')
  assert.is(bench.settled()?.accepted, 0)
  assert.ok(bench.evidence().includes(`${bench.provider(1)} contradicted-exact`))
  assert.not(bench.evidence().includes(`${bench.provider(1)} disagreed`), 'once is enough')
})

test('a match within one address group is no independent one', () => {
  for (const isElsewhere of [false, true]) {
    const bench = createDispute()
    bench.submit()
    bench.found(6, true, { group: 'one owner' })
    bench.result(0, 'x')
    bench.result(1, 'lie')
    bench.compared(0, 1, false)
    bench.traced(0, 'true')
    bench.traced(1, 'false')
    bench.judged(0, 1, { right: GUILTY })
    const group = isElsewhere ? 'another' : 'one owner'
    bench.tell({ type: 'resultReceived', jobId: 'job', attempt: 2, outputDigest: 'x', group })
    bench.traced(2, 'true')
    assert.is(bench.of('settle').length, isElsewhere ? 1 : 0)
    assert.is(bench.of('dispatch').length, isElsewhere ? 3 : 4, 'another is drawn')
  }
})

test('who was asked before the dispute matches nobody, nor who was then busy', () => {
  const bench = createDispute({ replicas: 3, quorum: 2 })
  bench.submit()
  bench.found(4)
  bench.result(0, 'x')
  bench.result(1, 'x')
  bench.failed(2, 'busy', 100)
  bench.result(3, 'lie')
  bench.compared(0, 3, false)
  bench.traced(0, 'true')
  bench.traced(1, 'true')
  bench.traced(3, 'false')
  bench.judged(0, 3, { right: GUILTY })
  assert.is(bench.settled(), undefined)
  bench.wait(200)
  assert.is(bench.provider(4), bench.provider(2))
  bench.join(4)
  bench.traced(4, 'true')
  assert.is(bench.settled(), undefined)
  bench.wait(2000)
  assert.is(bench.settled()?.verdict.label, 'replicated', 'the weaker label that the answers do support')
})

test('where nobody stands with the exact run, its outputs are the answer', () => {
  const bench = createDispute()
  bench.begin()
  bench.traced(0, 'true', false)
  bench.traced(1, 'true', false)
  bench.join(2, 'third')
  bench.traced(2, 'true', false)
  const { accepted, exact, verdict } = bench.settled()!
  assert.equal([accepted, exact, verdict.label, verdict.agreed], [0, true, 'refereed', []])
  const names = [0, 1, 2].map(bench.provider)
  assert.equal(verdict.disagreed, [...names].sort())
  assert.equal(
    bench.evidence(),
    names.map((provider) => `${provider} contradicted-exact`),
  )
})

for (const code of ['busy', 'cannot-trace', 'unreachable', 'not-comparable'] satisfies TraceFailureCode[]) {
  test(`${code} is no loss, but cannot be believed either`, () => {
    const bench = createDispute()
    bench.begin()
    bench.traced(0, 'true')
    bench.untraced(1, code, 9_000)
    bench.join(2)
    assert.is(bench.settled(), undefined)
    bench.traced(2, 'true')
    assert.is(bench.settled()?.verdict.label, 'refereed')
    assert.equal(bench.settled()?.verdict.discarded, [])
    assert.equal(bench.settled()?.verdict.disagreed, [bench.provider(1)])
    const against = bench.evidence().filter((line) => line.startsWith(`${bench.provider(1)} `))
    assert.equal(against, bench.of('close').length > 0 ? [`${bench.provider(1)} disagreed`] : [])
  })
}

for (const code of ['withheld', 'violated-protocol'] satisfies TraceFailureCode[]) {
  test(`who answers a demand with ${code} is out, and replaced`, () => {
    const bench = createDispute()
    bench.begin()
    bench.join(2)
    bench.untraced(1, code)
    bench.untraced(0, code)
    assert.equal(bench.evidence(), [`${bench.provider(1)} ${code}`, `${bench.provider(0)} ${code}`])
    assert.is(bench.of('dispatch').length, 4)
    bench.join(3)
    bench.traced(2, 'true')
    bench.traced(3, 'true')
    assert.is(bench.settled()?.accepted, 2)
    assert.equal(bench.settled()?.verdict.agreed, [bench.provider(2), bench.provider(3)].sort())
  })
}

test('a dissenter that is busy for a moment is waited for, though others agree', () => {
  const bench = createDispute()
  bench.begin()
  bench.untraced(0, 'busy', 300)
  bench.traced(1, 'false')
  bench.join(2, 'lie')
  bench.traced(2, 'false')
  assert.is(bench.settled(), undefined)
  bench.pass(299)
  assert.is(bench.of('trace').length, 3)
  bench.pass(300)
  bench.traced(0, 'true')
  bench.judged(0, 1, { right: GUILTY })
  bench.judged(0, 2, { right: GUILTY })
  assert.is(bench.settled(), undefined)
  assert.not(bench.evidence().some((line) => line.startsWith(bench.provider(0))))
})

test('a busy provider is asked for its trace again, and its trace then counts', () => {
  const bench = createDispute()
  bench.begin(2)
  bench.traced(0, 'true')
  bench.untraced(1, 'busy', 300)
  assert.is(bench.of('trace').length, 2)
  bench.wait(400)
  assert.equal(
    bench.of('trace').map(({ attempt }) => attempt),
    [0, 1, 1],
  )
  bench.traced(1, 'false')
  assert.is(bench.of('judge').length, 1)
})

test('who always says busy is asked for its trace ever more rarely, and no more than so often', () => {
  const bench = createDispute({}, { tracesMax: 5 })
  bench.begin(2)
  bench.traced(0, 'true')
  for (let step = 0; bench.failure() === undefined && step < 200; step++) {
    bench.untraced(1, 'busy')
    bench.wait(bench.nowMs() + 100)
  }
  assert.is(bench.of('trace').length, 5)
  assert.is(bench.failure()?.code, 'undecided-dispute')
  bench.end()
})

test('calling the job invalid ends no dispute about it', () => {
  const bench = createDispute()
  bench.begin()
  bench.failed(2, 'invalid-job')
  bench.failed(3, 'invalid-job')
  bench.join(4)
  bench.traced(0, 'true')
  bench.traced(1, 'false')
  bench.judged(0, 1, { right: GUILTY })
  bench.traced(4, 'true')
  assert.is(bench.settled()?.verdict.label, 'refereed')
  assert.is(bench.evidence().filter((line) => line.endsWith('failed')).length, 2)
})

test('a search for one more is not content with those that were asked already', () => {
  const bench = createDispute()
  bench.begin(2)
  bench.pass(100)
  assert.equal(
    bench.of('find').map(({ atLeast }) => atLeast),
    [2, 3],
  )
})

test('a dispute that has not got anywhere is none once its dissenter was found out elsewhere', () => {
  const bench = createDispute()
  bench.begin()
  const [, liar] = bench.of('dispatch').map(({ provider }) => provider)
  const from = bench.of('trace').length
  assert.is(from, 2)
  bench.tell({ type: 'exposed', provider: liar! })
  assert.is(bench.of('endDispute').length, 1)
  // The provider that was asked in its place answers as the honest one did.
  bench.result(2, 'x')
  assert.is(bench.settled()?.verdict.label, 'replicated')
  assert.is(bench.of('trace').length, from)
})

test('a dispute in which somebody has traced goes on, though its dissenter is gone', () => {
  const bench = createDispute()
  bench.begin()
  const [, liar] = bench.of('dispatch').map(({ provider }) => provider)
  bench.tell({ type: 'traced', jobId: 'job', attempt: 0, root: 'r', outputDigest: 'x', agrees: true })
  bench.tell({ type: 'exposed', provider: liar! })
  assert.is(bench.of('endDispute').length, 0)
})

test('who was found out without a proof is not asked again by a requester that can run jobs itself', () => {
  const own = createDispute({ canRecompute: true })
  own.begin()
  const [, liar] = own.of('dispatch').map(({ provider }) => provider)
  own.tell({ type: 'traceFailed', jobId: 'job', attempt: 1, code: 'withheld', retryAfterMs: 0 })
  own.tell({ type: 'submitted', job: { ...own.job, id: 'later' } })
  const names = candidates(6)
  own.tell({ type: 'candidatesFound', jobId: 'later', candidates: names, complete: true })
  const asked = own.of('dispatch').filter(({ jobId }) => jobId === 'later')
  assert.is(asked.length, 2)
  assert.not.ok(asked.some(({ provider }) => provider === liar))
})

test('an answer near its own exact run, but not near enough, is taken by nobody and held against nobody', () => {
  const bench = createDispute()
  bench.begin()
  const off = { type: 'traced', jobId: 'job', root: 'r', outputDigest: 'e', agrees: false } as const
  bench.tell({ ...off, attempt: 0, contradicts: false })
  assert.is(bench.of('recordEvidence').filter(({ evidence }) => evidence === 'contradicted-exact').length, 0)
  bench.tell({ ...off, attempt: 1 })
  assert.is(bench.of('recordEvidence').filter(({ evidence }) => evidence === 'contradicted-exact').length, 1)
})

test('a native answer that hardware of its own class does not give weighs more, and is told once', () => {
  const bench = createDispute({ canRecompute: true })
  bench.begin()
  const liar = bench.provider(1)
  bench.traced(0, 'true')
  bench.traced(1, 'true', false, 'elsewhere')
  bench.join(2)
  bench.traced(2, 'true')
  assert.equal(bench.settled()?.verdict.discarded, [{ provider: liar, reason: 'contradicted-replay' }])
  assert.equal(
    bench.settled()?.verdict.traced,
    [0, 1, 2].map(bench.provider).sort(),
    'its trace still counts',
  )
  assert.equal(
    bench.evidence().filter((line) => line.startsWith(`${liar} `)),
    [`${liar} contradicted-replay`],
  )
  bench.tell({ type: 'submitted', job: { ...bench.job, id: 'later' } })
  bench.tell({ type: 'candidatesFound', jobId: 'later', candidates: candidates(6), complete: true })
  const asked = bench.of('dispatch').filter(({ jobId }) => jobId === 'later')
  assert.ok(asked.length === 2 && !asked.some(({ provider }) => provider === liar), 'nor is it asked again')
})

test('a native answer that hardware of its own class gives too is not taken, and nothing is held against it', () => {
  for (const recompute of [false, true]) {
    const bench = createDispute({ canRecompute: true, recompute })
    bench.begin()
    const honest = bench.provider(1)
    bench.traced(0, 'true')
    bench.traced(1, 'true', false, 'same')
    bench.join(2)
    bench.traced(2, 'true')
    if (recompute) bench.recomputed('true', [0, 2])
    const about = recompute ? 'recomputed' : 'refereed'
    assert.equal(bench.settled()?.verdict.disagreed, [honest], about)
    assert.not.equal(bench.settled()?.accepted, 1, about)
    bench.pass(9_999)
    assert.equal(
      bench.evidence().filter((line) => line.startsWith(`${honest} `)),
      [],
      about,
    )
    bench.tell({ type: 'submitted', job: { ...bench.job, id: 'later' } })
    const again = candidates(6).filter(({ provider }) => [honest, bench.provider(0)].includes(provider))
    bench.tell({ type: 'candidatesFound', jobId: 'later', candidates: again, complete: true })
    const asked = bench.of('dispatch').filter(({ jobId }) => jobId === 'later')
    assert.is(asked.length, 2, about)
  }
})

test('an exact answer that is not its own trace is excused by no replay', () => {
  const bench = createDispute({ lane: 'exact' })
  bench.begin()
  bench.traced(1, 'true', false, 'same')
  assert.equal(bench.evidence(), [`${bench.provider(1)} contradicted-exact`])
})

test('a demand that waits for its turn on this side is nobody slow', () => {
  const bench = createDispute()
  bench.begin()
  bench.join(2)
  for (const attempt of [0, 1, 2]) bench.tell({ type: 'traceTurn', jobId: 'job', attempt, begun: false })
  const asked = bench.of('dispatch').length
  bench.pass(bench.nowMs() + bench.job.attemptTimeoutMs + 1)
  assert.is(bench.of('dispatch').length, asked, 'nobody was drawn for the two')
  for (const attempt of [0, 1, 2]) bench.tell({ type: 'traceTurn', jobId: 'job', attempt, begun: true })
  bench.pass(bench.nowMs() + bench.job.attemptTimeoutMs + 1)
  assert.ok(bench.of('dispatch').length > asked, 'from its turn on the time counts')
})

test('dissent of who was found out elsewhere without a proof is not silenced: the own run decides', () => {
  const bench = createDispute({ canRecompute: true })
  bench.begin()
  const [, dissenter] = bench.of('dispatch').map(({ provider }) => provider)
  // In another job the same provider shows nothing.
  bench.tell({ type: 'submitted', job: { ...bench.job, id: 'other' } })
  const both = candidates(6)
    .filter(({ provider }) => ['p0', 'p1', dissenter].includes(provider))
    .slice(0, 2)
  bench.tell({
    type: 'candidatesFound',
    jobId: 'other',
    candidates: [
      ...both.filter(({ provider }) => provider !== dissenter).slice(0, 1),
      ...candidates(6).filter(({ provider }) => provider === dissenter),
    ],
    complete: true,
  })
  for (const { attempt, provider } of bench.of('dispatch').filter(({ jobId }) => jobId === 'other')) {
    bench.tell({
      type: 'resultReceived',
      jobId: 'other',
      attempt,
      outputDigest: provider === dissenter ? 'a' : 'b',
    })
  }
  bench.tell({ type: 'compared', jobId: 'other', left: 0, right: 1, agrees: false })
  const demand = bench
    .of('trace')
    .filter(({ jobId }) => jobId === 'other')
    .find(({ attempt }) =>
      bench
        .of('dispatch')
        .some((sent) => sent.jobId === 'other' && sent.attempt === attempt && sent.provider === dissenter),
    )
  bench.tell({
    type: 'traceFailed',
    jobId: 'other',
    attempt: demand!.attempt,
    code: 'withheld',
    retryAfterMs: 0,
  })
  assert.is(bench.of('recompute').filter(({ jobId }) => jobId === 'job').length, 1)
  assert.is(bench.of('settle').filter(({ jobId }) => jobId === 'job').length, 0)
})

test('a key that was exposed before the answer was settled is not counted in it, whatever it answered', () => {
  const bench = createDispute()
  bench.begin()
  bench.join(2)
  const [, liar, exposed] = bench.of('dispatch').map(({ provider }) => provider)
  bench.tell({ type: 'exposed', provider: exposed! })
  bench.tell({ type: 'exposed', provider: liar! })
  const open = bench.of('dispatch').filter(({ attempt }) => attempt > 2)
  for (const { attempt } of open) bench.result(attempt, 'x')
  const agreed = bench.settled()?.verdict.agreed ?? []
  assert.is(agreed.length, 2)
  assert.not.ok(agreed.includes(exposed!))
})

test('both may have lied: both are out, and two are drawn', () => {
  const bench = createDispute()
  bench.begin()
  bench.traced(0, 'false')
  bench.traced(1, 'otherwise false')
  bench.judged(0, 1, { left: GUILTY, right: GUILTY })
  assert.is(bench.of('dispatch').length, 4)
  bench.join(2, 'truth')
  bench.traced(2, 'true')
  assert.is(bench.settled(), undefined)
  bench.join(3, 'truth')
  bench.traced(3, 'true')
  assert.equal(bench.settled()?.verdict.agreed, [bench.provider(2), bench.provider(3)].sort())
  bench.end()
})

test('each party falls by its own judgement: those that lie alike are judged one by one', () => {
  const bench = createDispute()
  bench.begin()
  bench.join(2, 'lie')
  bench.traced(0, 'true')
  bench.traced(1, 'false')
  bench.traced(2, 'false')
  assert.is(bench.of('judge').length, 1, 'one at a time')
  bench.judged(0, 1, { right: GUILTY })
  assert.equal(
    bench.of('judge').map(({ left, right }) => [left, right]),
    [
      [0, 1],
      [0, 2],
    ],
  )
  assert.not(bench.evidence().includes(`${bench.provider(2)} lost-dispute`))
  bench.judged(0, 2, { right: GUILTY })
  assert.ok(bench.evidence().includes(`${bench.provider(2)} lost-dispute`))
})

test('undecided costs nobody anything; without a decision the job fails and says so', () => {
  const bench = createDispute()
  bench.begin(3)
  bench.traced(0, 'true')
  bench.traced(1, 'false')
  bench.judged(0, 1, { left: UNDECIDED, right: UNDECIDED })
  bench.join(2)
  bench.traced(2, 'true')
  assert.equal([bench.of('judge').at(-1)?.left, bench.of('judge').at(-1)?.right], [1, 2])
  bench.judged(1, 2, { left: UNDECIDED })
  assert.is(bench.settled(), undefined, 'two against one is a count')
  bench.wait(2000)
  assert.is(bench.failure()?.code, 'undecided-dispute')
  assert.match(bench.failure()!.message, /3 .* asked.*differ.*3 traces.*verimesh models add/)
  assert.equal(bench.evidence(), [])
  bench.end()
})

test('a judgement that never comes counts as undecided, and is still welcome', () => {
  const bench = createDispute()
  bench.begin()
  bench.traced(0, 'true')
  bench.traced(1, 'false')
  bench.join(2)
  bench.traced(2, 'true')
  bench.pass(1000)
  assert.is(bench.of('judge').length, 2)
  bench.pass(1500)
  bench.judged(0, 1, { right: GUILTY })
  bench.judged(1, 2, { left: GUILTY })
  assert.is(bench.settled()?.verdict.label, 'refereed')
  assert.is(bench.evidence().filter((line) => line.includes('lost')).length, 1)
})

test('a slow trace is not waited for, but still counts when it comes', () => {
  for (const comes of [true, false]) {
    const bench = createDispute({ attemptTimeoutMs: 1000 })
    bench.begin()
    bench.join(2)
    bench.traced(0, 'true')
    assert.is(bench.of('dispatch').length, 3)
    bench.traced(2, 'true')
    bench.pass(999)
    assert.is(bench.settled(), undefined, 'it may still speak')
    if (comes) bench.traced(1, 'false')
    bench.pass(1000)
    assert.is(bench.of('judge').length, comes ? 1 : 0)
    if (comes) bench.judged(0, 1, { right: GUILTY })
    assert.is(bench.settled()?.verdict.label, 'refereed')
    const against = bench.evidence().filter((line) => line.startsWith(`${bench.provider(1)} `))
    assert.equal(
      against.map((line) => line.split(' ')[1]),
      comes ? ['lost-dispute'] : ['disagreed', 'timed-out'],
    )
  }
})

test('nobody is left to draw: the own run matches the survivor', () => {
  const bench = createDispute({ canRecompute: true })
  bench.begin(2)
  bench.traced(0, 'true')
  bench.traced(1, 'false')
  assert.is(bench.of('recompute').length, 0, 'others are cheaper')
  bench.judged(0, 1, { right: GUILTY })
  bench.wait(200)
  assert.is(bench.of('recompute').length, 1)
  bench.recomputed('true', [0])
  assert.equal([bench.settled()?.accepted, bench.settled()?.exact], [0, false])
  assert.is(bench.settled()?.verdict.label, 'refereed')
  assert.equal(bench.settled()?.verdict.agreed, [bench.provider(0)])
  bench.end()
})

test('the own run contradicts everyone: they are judged against it, and its outputs are the answer', () => {
  const bench = createDispute({ canRecompute: true })
  bench.begin(2)
  bench.traced(0, 'false')
  bench.traced(1, 'false')
  bench.wait(200)
  const effects = bench.recomputed('true', [])
  assert.equal(types(effects).slice(0, 2), ['settle', 'judge'])
  assert.equal([bench.settled()?.accepted, bench.settled()?.exact], ['self', true])
  assert.is(bench.settled()?.verdict.label, 'recomputed')
  assert.equal(bench.settled()?.verdict.agreed, [])
  bench.judged(0, 'self', { left: GUILTY, right: GUILTY })
  bench.judged(1, 'self', { left: GUILTY })
  assert.equal(
    bench.evidence(),
    [0, 1].map((attempt) => `${bench.provider(attempt)} lost-dispute`),
  )
  const { disputes } = bench.verdict()!
  assert.equal(
    disputes?.map(({ right, losers }) => [right, losers.length]),
    [
      ['self', 1],
      ['self', 1],
    ],
  )
  bench.end()
})

test('who answered rightly over a false trace survives no own run', () => {
  const bench = createDispute({ canRecompute: true })
  bench.begin(2)
  bench.traced(0, 'false')
  bench.traced(1, 'true', false)
  bench.judged(0, 1, { left: UNDECIDED })
  bench.wait(200)
  bench.recomputed('true', [0])
  assert.equal([bench.settled()?.accepted, bench.settled()?.verdict.label], ['self', 'recomputed'])
  assert.equal(bench.settled()?.verdict.agreed, [])
  assert.equal(bench.of('judge').at(-1), { type: 'judge', jobId: 'job', left: 0, right: 'self' })
})

test('an own run that fails stands in for nobody', () => {
  const bench = createDispute({ canRecompute: true })
  bench.begin(2)
  bench.traced(0, 'true')
  bench.traced(1, 'false')
  bench.judged(0, 1, { right: GUILTY })
  bench.wait(100)
  bench.tell({ type: 'recomputeFailed', jobId: 'job', message: 'no room' })
  bench.wait(3000)
  assert.is(bench.of('recompute').length, 1)
  assert.is(bench.failure()?.code, 'undecided-dispute')
  assert.match(bench.failure()!.message, /no room/)
  bench.end()
})

test('a dissenter that could not be heard is heard by the own run, where there is one', () => {
  for (const canRecompute of [true, false]) {
    const bench = createDispute({ canRecompute })
    bench.begin()
    bench.untraced(0, 'cannot-trace')
    bench.traced(1, 'false')
    bench.join(2, 'lie')
    bench.traced(2, 'false')
    assert.is(bench.of('settle').length, canRecompute ? 0 : 1)
    if (!canRecompute) continue
    bench.recomputed('true', [0])
    assert.equal([bench.settled()?.accepted, bench.settled()?.verdict.label], [0, 'recomputed'])
    assert.equal(bench.settled()?.verdict.disagreed, [bench.provider(1), bench.provider(2)].sort())
  }
})

test('what answered while the own run was under way is not held to contradict it', () => {
  const bench = createDispute({ replicas: 3, quorum: 2, recompute: true, referee: false })
  bench.submit()
  bench.found(3)
  bench.result(0, 'x')
  bench.result(1, 'x')
  assert.is(bench.of('recompute').length, 1)
  bench.result(2, 'y')
  bench.recomputed('true', [0, 1])
  assert.is(bench.settled()?.verdict.label, 'recomputed')
  assert.equal(bench.settled()?.verdict.disagreed, [])
  bench.compared(0, 2, true)
  assert.equal(bench.verdict()?.agreed, [0, 1, 2].map(bench.provider).sort())
})

test('a re-run that agrees labels the answer recomputed', () => {
  for (const referee of [true, false]) {
    const bench = createDispute({ recompute: true, referee })
    bench.submit()
    bench.found(2)
    bench.result(0, 'x')
    assert.equal(types(bench.result(1, 'x')), ['recompute'])
    assert.ok(types(bench.recomputed('true', [0, 1])).includes('settle'))
    assert.equal([bench.settled()?.accepted, bench.settled()?.verdict.label], [0, 'recomputed'])
    assert.is(bench.of('trace').length, 0)
    bench.end()
  }
})

test('a re-run catches those that agree in a lie: traced, judged, and not believed', () => {
  const bench = createDispute({ recompute: true })
  bench.submit()
  bench.found(2)
  bench.result(0, 'lie')
  bench.result(1, 'lie')
  assert.equal(types(bench.recomputed('true', [])).slice(0, 3), ['settle', 'trace', 'trace'])
  assert.equal([bench.settled()?.accepted, bench.settled()?.exact], ['self', true])
  bench.traced(0, 'false')
  bench.untraced(1, 'withheld')
  bench.judged(0, 'self', { left: GUILTY })
  assert.equal(bench.evidence(), [`${bench.provider(1)} withheld`, `${bench.provider(0)} lost-dispute`])
  assert.equal(bench.verdict()?.disagreed, [bench.provider(0), bench.provider(1)].sort())
  bench.end()
})

test('a native answer outside the own exact run is no lie in itself: an equal root is not judged', () => {
  const bench = createDispute({ recompute: true })
  bench.submit()
  bench.found(2)
  bench.result(0, 'x')
  bench.result(1, 'x')
  bench.recomputed('true', [])
  bench.traced(0, 'true', true)
  bench.traced(1, 'true', false)
  assert.is(bench.of('judge').length, 0)
  assert.equal(bench.evidence(), [
    `${bench.provider(1)} contradicted-exact`,
    `${bench.provider(0)} disagreed`,
  ])
  bench.end()
})

test('answering late evades no re-run; a re-run that fails lets the answer pass for what it is', () => {
  const late = createDispute({ recompute: true })
  late.submit()
  late.found(2)
  late.result(0, 'x')
  late.result(1, 'x')
  late.pass(10_000)
  assert.is(late.failure()?.code, 'deadline')
  const failing = createDispute({ recompute: true })
  failing.submit()
  failing.found(2)
  failing.result(0, 'x')
  failing.result(1, 'x')
  failing.tell({ type: 'recomputeFailed', jobId: 'job', message: 'no room' })
  assert.is(failing.settled()?.verdict.label, 'replicated')
  late.end()
  failing.end()
})

test('a dispute in a job drawn for a re-run ends with the own run', () => {
  const bench = createDispute({ recompute: true, canRecompute: true })
  bench.begin()
  bench.traced(0, 'true')
  bench.traced(1, 'false')
  bench.judged(0, 1, { right: GUILTY })
  bench.join(2)
  assert.ok(types(bench.traced(2, 'true')).includes('recompute'))
  bench.recomputed('true', [0, 2])
  assert.equal([bench.settled()?.accepted, bench.settled()?.verdict.label], [0, 'recomputed'])
})

test('in the exact lane only equal digests agree, whatever is said of them', () => {
  const bench = createDispute({ lane: 'exact' })
  bench.begin()
  assert.is(bench.of('compare').length, 0)
  bench.tell({ type: 'traced', jobId: 'job', attempt: 0, root: 'true', outputDigest: 'x', agrees: true })
  bench.tell({ type: 'traced', jobId: 'job', attempt: 1, root: 'true', outputDigest: 'x', agrees: true })
  assert.equal(bench.evidence(), [`${bench.provider(1)} contradicted-exact`])
  bench.result(2, 'x')
  bench.tell({ type: 'traced', jobId: 'job', attempt: 2, root: 'true', outputDigest: 'x', agrees: false })
  assert.equal(bench.settled()?.verdict.agreed, [bench.provider(0), bench.provider(2)].sort())
})

test('an exposed provider is cancelled, replaced and asked no more', () => {
  const bench = createDispute()
  bench.submit()
  bench.found(3)
  const [first, second] = [bench.provider(0), bench.provider(1)]
  bench.result(0, 'lie')
  const effects = bench.tell({ type: 'exposed', provider: second })
  assert.equal(types(effects).slice(0, 3), ['cancel', 'recordEvidence', 'dispatch'])
  bench.tell({ type: 'exposed', provider: first })
  assert.equal(bench.result(1, 'lie'), [], 'too late')
  bench.tell({ type: 'candidatesFound', jobId: 'job', candidates: candidates(6), complete: true })
  bench.result(2, 'x')
  bench.result(3, 'x')
  bench.compared(0, 2, false)
  assert.is(bench.settled()?.accepted, 2)
  assert.equal(bench.settled()?.verdict.disagreed, [first])
  assert.equal(bench.verdict()?.discarded, [
    ...[first, second].sort().map((provider) => ({ provider, reason: 'exposed' as const })),
  ])
  assert.equal(bench.evidence().slice(0, 2), [`${second} fraud-proof`, `${first} fraud-proof`])
  assert.equal(bench.tell({ type: 'exposed', provider: first }), [], 'once')
  bench.end()
})

test('every job drops an exposed provider, and those that come later do not know it', () => {
  const bench = createDispute()
  bench.submit()
  bench.found(3)
  bench.submit({ ...bench.job, id: 'second' })
  bench.tell({ type: 'candidatesFound', jobId: 'second', candidates: candidates(3), complete: true })
  const exposed = bench.provider(0)
  const asked = bench.of('dispatch').filter(({ provider }) => provider === exposed)
  const effects = bench.tell({ type: 'exposed', provider: exposed })
  assert.is(effects.filter(({ type }) => type === 'cancel').length, asked.length)
  bench.submit({ ...bench.job, id: 'third' })
  bench.tell({ type: 'candidatesFound', jobId: 'third', candidates: candidates(3), complete: true })
  const third = bench.of('dispatch').filter(({ jobId }) => jobId === 'third')
  assert.is(third.length, 2)
  assert.not(third.some(({ provider }) => provider === exposed))
})

test('an answer that was settled keeps its verdict when one that it rested on is exposed', () => {
  const bench = createDispute({ replicas: 2 })
  bench.submit()
  bench.found(4)
  bench.pass(1000)
  bench.result(0, 'x')
  bench.result(1, 'x')
  assert.is(bench.settled()?.verdict.label, 'replicated')
  assert.is(bench.of('close').length, 0, 'others are still waited for')
  bench.tell({ type: 'exposed', provider: bench.provider(0) })
  for (const { attempt } of bench.of('dispatch').slice(2)) bench.result(attempt, 'x')
  assert.ok(bench.verdict()?.agreed.includes(bench.provider(0)))
  assert.equal(bench.verdict()?.discarded, [{ provider: bench.provider(0), reason: 'exposed' }])
  assert.not(bench.evidence().includes(`${bench.provider(0)} agreed`))
})

test('too few providers for exposed keys: the own run stands in, where there is one', () => {
  for (const canRecompute of [true, false]) {
    const bench = createDispute({ canRecompute })
    bench.tell({ type: 'exposed', provider: 'p0' })
    bench.submit()
    bench.found(2)
    assert.is(bench.of('dispatch').length, canRecompute ? 1 : 0)
    if (!canRecompute) {
      bench.wait(3000)
      assert.is(bench.failure()?.code, 'not-enough-providers')
      continue
    }
    assert.is(bench.provider(0), 'p1')
    assert.ok(types(bench.result(0, 'x')).includes('recompute'))
    bench.recomputed('true', [0])
    assert.equal([bench.settled()?.accepted, bench.settled()?.verdict.label], [0, 'recomputed'])
    bench.end()
  }
})

test('the own run that should have stood in fails: too few providers, as ever', () => {
  const bench = createDispute({ canRecompute: true })
  bench.tell({ type: 'exposed', provider: 'p0' })
  bench.submit()
  bench.found(2)
  bench.result(0, 'x')
  bench.tell({ type: 'recomputeFailed', jobId: 'job', message: 'no room' })
  bench.wait(3000)
  assert.is(bench.failure()?.code, 'not-enough-providers')
  bench.end()
})

test('late, repeated and unknown words about a dispute change nothing', () => {
  const bench = createDispute()
  bench.submit()
  bench.found(6)
  bench.result(0, 'x')
  assert.equal(bench.traced(0, 'true'), [], 'nobody asked')
  bench.result(1, 'lie')
  bench.compared(0, 1, false)
  assert.equal(bench.traced(9, 'true'), [])
  assert.equal(bench.judged(0, 1, { left: GUILTY }), [], 'nobody asked')
  assert.equal(bench.recomputed('true', []), [], 'nobody asked')
  bench.traced(0, 'true')
  assert.equal(bench.traced(0, 'false'), [])
  assert.equal(bench.untraced(0, 'withheld'), [])
  bench.traced(1, 'false')
  assert.equal(bench.judged(1, 0, { left: GUILTY }), [], 'the other way round')
  bench.judged(0, 1, { right: GUILTY })
  assert.equal(bench.judged(0, 1, { left: GUILTY }), [])
  assert.equal(bench.untraced(1, 'violated-protocol'), [])
  assert.is(bench.evidence().length, 1)
})

test('a dispute ends with its job: nothing is asked of anyone afterwards', () => {
  const bench = createDispute()
  bench.begin()
  bench.traced(0, 'true')
  bench.tell({ type: 'cancelled', jobId: 'job' })
  assert.is(bench.failure()?.code, 'cancelled')
  assert.equal(bench.traced(1, 'false'), [])
  assert.is(bench.of('judge').length, 0)
  bench.end()
})

test('the deadline ends a dispute, with the answer that nobody contradicts any more, if there is one', () => {
  const open = createDispute()
  open.begin(2)
  open.pass(10_000)
  assert.is(open.failure()?.code, 'deadline')
  open.end()
})

test('the verdict does not depend on the order in which answers, traces and judgements arrive', () => {
  const conducts = [
    { digest: 'x', root: 'true', isLie: false },
    { digest: 'lie', root: 'false', isLie: true },
    { digest: 'y', root: 'true', isLie: false },
    { digest: 'lie', root: 'false', isLie: true },
    { digest: 'other', root: 'also false', isLie: true },
    { digest: 'x', root: 'true', isLie: false },
  ]
  const play = (seed: number, order: readonly number[]) => {
    const bench = createDispute({ replicas: 3, quorum: 2 }, {}, seed)
    const conduct = (attempt: number) => conducts[Number(bench.provider(attempt).slice(1))]!
    const pending: (() => void)[] = []
    let seen = 0
    const take = () => {
      const effects = bench.all().slice(seen)
      seen = bench.all().length
      for (const effect of effects) {
        if (effect.type === 'dispatch') {
          pending.push(() => bench.result(effect.attempt, conduct(effect.attempt).digest))
        } else if (effect.type === 'compare') {
          const { left, right } = effect
          pending.push(() => bench.compared(left, right, !conduct(left).isLie && !conduct(right).isLie))
        } else if (effect.type === 'trace') {
          pending.push(() => bench.traced(effect.attempt, conduct(effect.attempt).root))
        } else if (effect.type === 'judge') {
          const [left, right] = [effect.left, Number(effect.right)]
          const side = (attempt: number): Judgement =>
            conduct(attempt).isLie ? GUILTY : { status: 'cleared' }
          pending.push(() => bench.judged(left, right, { left: side(left), right: side(right) }))
        }
      }
    }
    bench.submit()
    bench.found(6)
    take()
    for (let step = 0; pending.length > 0; step++) {
      assert.ok(step < 200)
      const index = order[step % order.length]! % pending.length
      pending.splice(index, 1)[0]!()
      take()
    }
    bench.end()
    return bench.verdict()
  }
  const expected = new Map(
    Array.from({ length: 64 }, (_, seed) => seed).map((seed) => [seed, play(seed, [0])]),
  )
  const labels = [...expected.values()].map((verdict) => verdict?.label)
  assert.equal([...new Set(labels)].sort(), ['refereed', 'replicated'])
  const orders = fc.array(fc.nat(11), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(fc.constantFrom(...expected.keys()), orders, (seed, order) =>
      assert.equal(play(seed, order), expected.get(seed)),
    ),
    { numRuns: 500 },
  )
})

test.run()
