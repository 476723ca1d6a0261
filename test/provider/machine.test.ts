import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createProvider,
  type ProviderEffect,
  type ProviderEvent,
  type ProviderLimits,
  type ProviderRequest,
} from '../../src/provider/index.ts'

type EffectOf<T extends ProviderEffect['type']> = Extract<ProviderEffect, { type: T }>

/**
 * One provider driven by hand, with a model that takes 100 ms by its guess. `batching`: true for a model of which it is
 * known already that batches of any size help, 'unknown' for one of which nothing is.
 */
function createBench(limits: Partial<ProviderLimits> = {}, batching: boolean | 'unknown' = true) {
  const provider = createProvider({ limits })
  const all: ProviderEffect[] = []
  const timers = new Map<string, number>()
  let nowMs = 0
  const tell = (event: ProviderEvent): ProviderEffect[] => {
    const effects = provider.handle(event, nowMs)
    for (const effect of effects) {
      if (effect.type === 'schedule') {
        assert.ok(effect.atMs >= nowMs)
        timers.set(effect.timer, effect.atMs)
      } else if (effect.type === 'unschedule') assert.ok(timers.delete(effect.timer), effect.timer)
    }
    all.push(...effects)
    return effects
  }
  const pass = (untilMs: number): ProviderEffect[] => {
    const from = all.length
    for (;;) {
      const [next] = [...timers].sort(([, a], [, b]) => a - b)
      if (next === undefined || next[1] > untilMs) break
      timers.delete(next[0])
      nowMs = next[1]
      tell({ type: 'timerExpired', timer: next[0] })
    }
    nowMs = untilMs
    return all.slice(from)
  }
  tell({
    type: 'modelReady',
    model: 'm',
    batching: batching !== false,
    serviceMsGuess: 100,
    ...(batching === true ? { batchJobsKnown: 32 } : {}),
  })
  return {
    provider,
    tell,
    pass,
    /** A request `r/NAME` for the job `NAME`, from the requester that is NAME's first letter. */
    request: (name: string, changes: Partial<ProviderRequest> = {}) =>
      tell({
        type: 'requested',
        request: {
          requestId: `r/${name}`,
          jobId: name,
          requester: name[0]!,
          model: 'm',
          inputBytes: 10,
          batchKey: 'key',
          rows: 1,
          deadlineAtMs: 60_000,
          ...changes,
        },
      }),
    executed: (batchId: number, count: number, serviceMs = 100) =>
      tell({
        type: 'executed',
        batchId,
        serviceMs,
        outcomes: Array.from({ length: count }, () => ({ ok: true, outputBytes: 10 }) as const),
      }),
    of: <T extends ProviderEffect['type']>(type: T): EffectOf<T>[] =>
      all.filter((effect): effect is EffectOf<T> => effect.type === type),
    batches: () => all.flatMap((effect) => (effect.type === 'execute' ? [effect.requestIds] : [])),
    refusals: () =>
      all.flatMap((effect) => (effect.type === 'refuse' ? `${effect.requestId} ${effect.code}` : [])),
  }
}

function types(effects: readonly ProviderEffect[]): string[] {
  return effects.map(({ type }) => type)
}

test('an idle model runs what comes at once, and answers it', () => {
  const bench = createBench()
  assert.equal(types(bench.request('a1')), ['execute', 'schedule', 'schedule'])
  assert.equal(bench.executed(1, 1)[0], { type: 'respond', requestId: 'r/a1', batchId: 1, index: 0 })
})

test('what queued while it ran runs together afterwards', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2', 'a3', 'a4']) bench.request(name)
  assert.equal(bench.batches(), [['r/a1']])
  bench.executed(1, 1)
  assert.equal(bench.batches()[1], ['r/a2', 'r/a3', 'r/a4'])
  const answers = bench.executed(2, 3).filter(({ type }) => type === 'respond') as EffectOf<'respond'>[]
  assert.equal(
    answers.map(({ requestId, index }) => [requestId, index]),
    [
      ['r/a2', 0],
      ['r/a3', 1],
      ['r/a4', 2],
    ],
  )
})

test('only requests of one batch key share a batch, and an empty key shares none', () => {
  const bench = createBench({ batchWindowMs: 0 })
  bench.request('a0')
  for (const [name, batchKey] of [
    ['a1', 'x'],
    ['a2', 'y'],
    ['a3', 'x'],
    ['a4', ''],
    ['a5', ''],
  ] as const) {
    bench.request(name, { batchKey })
  }
  for (const [batch, count] of [1, 2, 1, 1].entries()) bench.executed(batch + 1, count)
  assert.equal(bench.batches(), [['r/a0'], ['r/a1', 'r/a3'], ['r/a2'], ['r/a4'], ['r/a5']])
})

test('a batch has no more rows than allowed; a job with more runs alone', () => {
  const bench = createBench({ batchRowsMax: 4, batchWindowMs: 0 })
  bench.request('a0')
  for (const [name, rows] of [
    ['a1', 3],
    ['a2', 2],
    ['a3', 1],
    ['a4', 9],
  ] as const)
    bench.request(name, { rows })
  for (const [batch, count] of [1, 2, 1].entries()) bench.executed(batch + 1, count)
  assert.equal(bench.batches(), [['r/a0'], ['r/a1', 'r/a3'], ['r/a2'], ['r/a4']])
})

test('a model that is not batch-independent runs alone what comes, and the runtime has the next at hand', () => {
  const bench = createBench({}, false)
  for (const name of ['a1', 'a2', 'a3', 'a4']) bench.request(name)
  assert.equal(bench.batches(), [['r/a1'], ['r/a2']])
  bench.executed(1, 1)
  bench.executed(2, 1)
  assert.equal(bench.batches(), [['r/a1'], ['r/a2'], ['r/a3'], ['r/a4']])
})

test('where batches are known not to help, all run alone, with the next at hand and no window', () => {
  const bench = createBench({}, 'unknown')
  let batch = 0
  for (let round = 0; round < 12; round++) {
    for (const job of [1, 2, 3, 4]) bench.request(`a${round}.${job}`)
    while (batch < bench.of('execute').length) {
      const { length } = bench.batches()[batch]!
      bench.executed(++batch, length, 100 * length)
    }
  }
  const sizes = bench.batches().map(({ length }) => length)
  assert.equal(sizes.slice(0, 7), [1, 1, 1, 1, 1, 2, 1], 'tried where two wait')
  const before = bench.batches().length
  bench.request('b1')
  bench.request('b2')
  bench.request('b3')
  assert.is(bench.batches().length, before + 2)
  bench.executed(before + 1, 1)
  assert.is(bench.batches().length, before + 3)
  assert.not(bench.of('schedule').some(({ timer }) => timer.startsWith('window')))
})

test('where batches are found to help, what waits gathers while one runs', () => {
  const bench = createBench({}, 'unknown')
  let batch = 0
  for (let round = 0; round < 24; round++) {
    for (const job of [1, 2, 3, 4, 5]) bench.request(`a${round}.${job}`)
    while (batch < bench.of('execute').length)
      bench.executed(++batch, bench.batches()[batch - 1]!.length, 100)
  }
  assert.equal(
    bench
      .batches()
      .slice(-2)
      .map(({ length }) => length),
    [1, 4],
  )
})

test('what the runtime has at hand counts as waiting, in what is announced and in what is refused', () => {
  const bench = createBench({ queuedMax: 2 }, false)
  for (const name of ['a1', 'b1', 'c1', 'd1']) bench.request(name)
  assert.is(bench.batches().length, 2)
  assert.equal(bench.provider.load('m'), { running: 1, queued: 2, capacity: 3, serviceMs: 100 })
  assert.equal(bench.refusals(), ['r/d1 busy'])
  assert.is(bench.of('refuse')[0]?.retryAfterMs, 250)
})

test('the time of an execution at hand counts from when the one before ended', () => {
  const bench = createBench({ abortGraceMs: 500 }, false)
  bench.request('a1')
  bench.request('a2', { deadlineAtMs: 3000 })
  bench.pass(2500)
  bench.executed(1, 1, 100)
  bench.pass(3500)
  assert.is(bench.of('abort').length, 1)
  bench.request('a3')
  bench.executed(3, 1, 5000)
  // The median of 100, of the 1000 since the first had ended, and of 5000.
  assert.is(bench.provider.load('m')?.serviceMs, 1000)
})

test('what is given up while it lies at hand measures nothing', () => {
  const bench = createBench({ abortGraceMs: 500 }, false)
  bench.request('a1')
  bench.request('a2')
  bench.tell({ type: 'cancelled', requestId: 'r/a2' })
  bench.pass(5000)
  assert.equal(bench.of('abort'), [{ type: 'abort', batchId: 2 }])
  assert.is(bench.provider.load('m')?.serviceMs, 100, 'the guess')
  bench.executed(1, 1, 7)
  assert.is(bench.provider.load('m')?.serviceMs, 7)
})

test('a batch that failed as a whole makes the next ones smaller', () => {
  const bench = createBench({ batchWindowMs: 0 })
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) bench.request(name)
  bench.executed(1, 1)
  bench.tell({ type: 'executionFailed', batchId: 2, code: 'failed', message: '', retryAfterMs: 0 })
  for (const batch of [3, 4, 5, 6]) bench.executed(batch, 1)
  for (const name of ['b1', 'b2', 'b3', 'b4']) bench.request(name)
  bench.executed(7, 1)
  assert.equal(bench.batches().slice(1), [
    ['r/a2', 'r/a3', 'r/a4', 'r/a5'],
    ['r/a2'],
    ['r/a3'],
    ['r/a4'],
    ['r/a5'],
    ['r/b1'],
    ['r/b2', 'r/b3'],
  ])
})

test('a requester that sends many does not make another wait for all of them', () => {
  const bench = createBench({}, false)
  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2']) bench.request(name)
  for (let batch = 1; batch <= 6; batch++) bench.executed(batch, 1)
  assert.equal(bench.batches().flat(), ['r/a1', 'r/a2', 'r/a3', 'r/b1', 'r/c1', 'r/a4', 'r/b2'])
})

test('a batch is held open for a moment for those who were just answered', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2', 'a3', 'a4']) bench.request(name)
  bench.executed(1, 1)
  bench.request('a5')
  const effects = bench.executed(2, 3)
  assert.ok(
    effects.some((effect) => effect.type === 'schedule' && effect.timer === 'window:m' && effect.atMs === 3),
  )
  bench.request('a6')
  assert.is(bench.batches().length, 2)
  bench.request('a7')
  assert.equal(bench.batches()[2], ['r/a5', 'r/a6', 'r/a7'], 'as many as before: no reason to wait on')
})

test('the window closes by itself, and an empty queue opens none', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2', 'a3']) bench.request(name)
  bench.executed(1, 1)
  bench.request('a4')
  bench.executed(2, 2)
  assert.is(bench.batches().length, 2)
  bench.pass(3)
  assert.equal(bench.batches()[2], ['r/a4'])
  assert.not(bench.executed(3, 1).some((effect) => effect.type === 'schedule'))
  bench.request('a5')
  assert.equal(bench.batches()[3], ['r/a5'])
})

test('a short execution is worth no window', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2', 'a3']) bench.request(name)
  bench.executed(1, 1, 0.2)
  bench.request('a4')
  bench.executed(2, 2, 0.2)
  assert.is(bench.batches().length, 3)
})

test('a job asked again after it was answered is repeated, until it is forgotten', () => {
  const bench = createBench({ answersMax: 1 })
  bench.request('a1')
  bench.executed(1, 1)
  assert.equal(bench.request('a1', { requestId: 'again' }), [
    { type: 'repeat', requestId: 'again', jobId: 'a1' },
  ])
  bench.request('a2')
  assert.ok(bench.executed(2, 1).some((effect) => effect.type === 'forget' && effect.jobId === 'a1'))
  assert.ok(types(bench.request('a1', { requestId: 'once more' })).includes('execute'))
})

test('a job asked again while it waits or runs is executed once and answered to both with the same bytes', () => {
  const bench = createBench()
  bench.request('a1')
  bench.request('a1', { requestId: 'while it runs' })
  bench.request('a2')
  bench.request('a2', { requestId: 'while it waits' })
  assert.equal(bench.executed(1, 1).slice(0, 2), [
    { type: 'respond', requestId: 'r/a1', batchId: 1, index: 0 },
    { type: 'repeat', requestId: 'while it runs', jobId: 'a1' },
  ])
  assert.equal(bench.batches(), [['r/a1'], ['r/a2']])
  bench.tell({ type: 'cancelled', requestId: 'r/a2' })
  assert.equal(bench.executed(2, 1)[0], {
    type: 'respond',
    requestId: 'while it waits',
    batchId: 2,
    index: 0,
  })
})

test('one job can be asked for only so often at once', () => {
  const bench = createBench({ requestsPerJobMax: 2 })
  for (const requestId of ['1', '2', '3']) bench.request('a1', { requestId })
  assert.equal(bench.refusals(), ['3 busy'])
})

test('answers are bounded in bytes, and forgotten when their deadline has passed', () => {
  const bench = createBench({ answersBytesMax: 25 })
  for (const name of ['a1', 'a2', 'a3']) bench.request(name, { deadlineAtMs: 5000 })
  bench.executed(1, 1)
  bench.executed(2, 2)
  assert.equal(
    bench.of('forget').map(({ jobId }) => jobId),
    ['a1'],
  )
  bench.pass(7000)
  assert.equal(
    bench.of('forget').map(({ jobId }) => jobId),
    ['a1', 'a2', 'a3'],
  )
})

test('nobody is woken to forget what can still be asked for', () => {
  const bench = createBench()
  for (const [index, deadlineAtMs] of [5000, 60_000].entries()) {
    bench.request(`a${index}`, { deadlineAtMs })
    bench.executed(index + 1, 1)
  }
  bench.pass(62_000)
  assert.equal(
    bench.of('forget').map(({ jobId }) => jobId),
    ['a0', 'a1'],
  )
  const sweeps = bench.of('schedule').filter(({ timer }) => timer === 'sweep').length
  assert.ok(sweeps <= 4, `woken ${sweeps} times in a minute`)
})

test('an unknown model and a late job are refused', () => {
  const bench = createBench()
  bench.pass(10)
  bench.request('a1', { model: 'other' })
  bench.request('a2', { deadlineAtMs: 10 })
  assert.equal(bench.refusals(), ['r/a1 unknown-model', 'r/a2 expired'])
  assert.is(bench.provider.load('other'), undefined)
})

test('says busy, and when to come again, when the queue of the model is full', () => {
  const bench = createBench({ queuedMax: 2 })
  for (const name of ['a1', 'b1', 'c1', 'd1']) bench.request(name)
  const [refusal] = bench.of('refuse')
  assert.is(refusal?.code, 'busy')
  // Half of what runs, and two that wait, at 100 ms each.
  assert.is(refusal?.retryAfterMs, 250)
  assert.equal(bench.provider.load('m'), { running: 1, queued: 2, capacity: 3, serviceMs: 100 })
})

test('says busy to one requester that fills its share, and not to another', () => {
  const bench = createBench({ queuedPerRequesterMax: 2 })
  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1']) bench.request(name)
  assert.equal(bench.refusals(), ['r/a4 busy'])
})

test('says busy when the inputs would fill the memory, and takes more once some are done', () => {
  const bench = createBench({ inputBytesMax: 25 })
  for (const name of ['a1', 'a2', 'a3']) bench.request(name)
  assert.equal(bench.refusals(), ['r/a3 busy'])
  bench.executed(1, 1)
  bench.request('a4')
  assert.is(bench.refusals().length, 1)
})

test('says busy when a job would miss its deadline in the queue; an idle model always tries', () => {
  const bench = createBench()
  bench.request('a1', { deadlineAtMs: 50 })
  bench.request('a2', { deadlineAtMs: 140 })
  bench.request('a3', { deadlineAtMs: 160 })
  assert.equal(bench.refusals(), ['r/a2 busy'])
})

test('what it tells of its speed is the median of what it measured', () => {
  const bench = createBench()
  for (const [index, serviceMs] of [10, 12, 900, 11, 13].entries()) {
    bench.request(`a${index}`)
    bench.executed(index + 1, 1, serviceMs)
  }
  assert.is(bench.provider.load('m')?.serviceMs, 12)
})

test('a waiting job that becomes late is refused and never runs', () => {
  const bench = createBench()
  bench.request('a1')
  bench.request('a2', { deadlineAtMs: 300 })
  bench.pass(300)
  assert.equal(bench.refusals(), ['r/a2 expired'])
  bench.executed(1, 1)
  assert.is(bench.batches().length, 1)
})

test('an execution that nobody waits for is ended after a grace, and its slot is free', () => {
  const bench = createBench({ abortGraceMs: 500 })
  bench.request('a1')
  bench.request('a2')
  bench.tell({ type: 'cancelled', requestId: 'r/a1' })
  bench.pass(499)
  assert.is(bench.of('abort').length, 0)
  bench.pass(500)
  assert.equal(bench.of('abort'), [{ type: 'abort', batchId: 1 }])
  assert.equal(bench.batches(), [['r/a1'], ['r/a2']])
  assert.equal(bench.executed(1, 1), [], 'what it reports late is ignored')
})

test('an execution past the deadline of all is ended; past that of some, it goes on', () => {
  const bench = createBench({ abortGraceMs: 500 })
  bench.request('a1')
  for (const [name, deadlineAtMs] of [
    ['a2', 1000],
    ['a3', 2000],
  ] as const)
    bench.request(name, { deadlineAtMs })
  bench.executed(1, 1)
  assert.is(bench.of('execute')[1]?.deadlineAtMs, 2500)
  bench.pass(1999)
  assert.equal([bench.refusals(), bench.of('abort').length], [['r/a2 expired'], 0])
  bench.pass(2500)
  assert.equal([bench.refusals(), bench.of('abort').length], [['r/a2 expired', 'r/a3 expired'], 1])
})

test('a cancelled job that was nearly done is neither answered nor remembered', () => {
  const bench = createBench()
  bench.request('a1')
  bench.tell({ type: 'cancelled', requestId: 'r/a1' })
  assert.equal(bench.of('respond'), [])
  bench.executed(1, 1)
  assert.equal(bench.of('respond'), [])
  assert.ok(types(bench.request('a1')).includes('execute'))
})

test('a job asked again in its grace is answered after all', () => {
  const bench = createBench({ abortGraceMs: 500 })
  bench.request('a1')
  bench.tell({ type: 'cancelled', requestId: 'r/a1' })
  bench.request('a1', { requestId: 'again' })
  bench.pass(600)
  assert.is(bench.of('abort').length, 0)
  assert.is(bench.executed(1, 1)[0]?.type, 'respond')
})

test('an entry that fails alone does not fail the others', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2', 'a3']) bench.request(name)
  bench.executed(1, 1)
  const ok = { ok: true, outputBytes: 1 } as const
  const wrong = { ok: false, code: 'invalid-job', message: 'shape' } as const
  bench.tell({ type: 'executed', batchId: 2, serviceMs: 100, outcomes: [wrong, ok] })
  assert.equal(bench.refusals(), ['r/a2 invalid-job'])
  assert.equal(bench.of('respond').at(-1)?.requestId, 'r/a3')
})

test('a batch that failed as a whole runs again job by job: only the one that spoilt it fails', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2', 'a3']) bench.request(name)
  bench.executed(1, 1)
  const crash = { type: 'executionFailed', code: 'failed', message: 'crashed', retryAfterMs: 0 } as const
  bench.tell({ ...crash, batchId: 2 })
  bench.tell({ ...crash, batchId: 3 })
  bench.executed(4, 1)
  assert.equal(bench.batches().slice(2), [['r/a2'], ['r/a3']])
  assert.equal(bench.refusals(), ['r/a2 failed'])
  assert.equal(bench.of('respond').at(-1)?.requestId, 'r/a3')
})

test('a runtime that asks for a pause is given one, and everyone is told until when', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2']) bench.request(name)
  bench.tell({ type: 'executionFailed', batchId: 1, code: 'busy', message: 'backing off', retryAfterMs: 800 })
  bench.request('a3')
  assert.equal(bench.refusals(), ['r/a1 busy', 'r/a2 busy', 'r/a3 busy'])
  assert.is(bench.of('refuse').at(-1)?.retryAfterMs, 800)
  bench.pass(800)
  assert.ok(types(bench.request('a4')).includes('execute'))
})

test('a batch that ended in a pause is nobody’s fault; a job that did so alone has failed', () => {
  const crash = { type: 'executionFailed', code: 'failed', message: 'crashed', retryAfterMs: 100 } as const
  const bench = createBench()
  for (const name of ['a1', 'a2', 'a3']) bench.request(name)
  bench.executed(1, 1)
  bench.tell({ ...crash, batchId: 2 })
  bench.pass(100)
  bench.request('a4')
  bench.tell({ ...crash, batchId: 3 })
  assert.equal(bench.refusals(), ['r/a2 busy', 'r/a3 busy', 'r/a4 failed'])
})

test('an execution in which every entry was refused measures nothing', () => {
  const bench = createBench()
  bench.request('a1')
  const wrong = { ok: false, code: 'invalid-job', message: 'shape' } as const
  bench.tell({ type: 'executed', batchId: 1, serviceMs: 0, outcomes: [wrong] })
  assert.is(bench.provider.load('m')?.serviceMs, 100)
})

test('a model that goes hands back what waits; what runs still ends', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2']) bench.request(name)
  bench.tell({ type: 'modelGone', model: 'm' })
  bench.request('a3')
  assert.equal(bench.refusals(), ['r/a2 unknown-model', 'r/a3 unknown-model'])
  assert.is(bench.executed(1, 1)[0]?.type, 'respond')
})

test('draining hands back what waits, finishes what runs, takes nothing new, and tells once when done', () => {
  const bench = createBench()
  for (const name of ['a1', 'a2']) bench.request(name)
  assert.not(types(bench.tell({ type: 'draining' })).includes('drained'))
  bench.request('a3')
  assert.equal(bench.refusals(), ['r/a2 stopping', 'r/a3 stopping'])
  assert.equal(
    types(bench.executed(1, 1)).filter((type) => type === 'respond' || type === 'drained'),
    ['respond', 'drained'],
  )
  assert.not(types(bench.tell({ type: 'draining' })).includes('drained'))
  assert.equal(types(createBench().tell({ type: 'draining' })), ['drained'])
})

test('announces a model at once, then only changes that matter, and not too often', () => {
  const bench = createBench({ announceIntervalMs: 500 })
  assert.is(bench.of('announce').length, 1)
  for (let job = 0; job < 50; job++) bench.request(`a${job}`)
  assert.is(bench.of('announce').length, 1)
  bench.pass(500)
  assert.equal(bench.of('announce')[1]?.load, { running: 1, queued: 49, capacity: 257, serviceMs: 100 })
  bench.request('b1')
  bench.pass(2000)
  assert.is(bench.of('announce').length, 2, 'one more of fifty is no news')
})

test('a fast model under load is no news', () => {
  const bench = createBench()
  bench.request('a0')
  bench.executed(1, 1, 0.2)
  bench.pass(1000)
  const before = bench.of('announce').length
  for (let job = 1; job < 50; job++) {
    bench.request(`a${job}`)
    bench.executed(job + 1, 1, 0.2)
    bench.pass(1000 + job * 100)
  }
  assert.is(bench.of('announce').length, before)
})

test('cancellations and reports of what it does not know are ignored', () => {
  const bench = createBench()
  assert.equal(bench.tell({ type: 'cancelled', requestId: 'nobody' }), [])
  assert.equal(bench.executed(99, 1), [])
  assert.equal(bench.tell({ type: 'timerExpired', timer: 'window:unknown' }), [])
  assert.equal(bench.tell({ type: 'timerExpired', timer: 'nonsense' }), [])
})

test.run()
