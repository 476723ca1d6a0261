import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { JobSpec, RequesterEffect } from '../../src/requester/index.ts'
import { createChecker, SimulationViolation } from '../../src/simulator/checkers.ts'
import type { Verdict } from '../../src/verification/index.ts'

const JOB = { id: 'j', deadlineAtMs: 100 } as JobSpec
const VERDICT: Verdict = { label: 'signed', agreed: ['p'], disagreed: [], asked: 1, groups: 1 }

function watch() {
  const checker = createChecker({
    repeat: 'verimesh simulate x --seed 1',
    eventNumber: () => 42,
    isHonest: (provider) => provider === 'honest',
  })
  const settle = (changes: object = {}, verdict: Partial<Verdict> = {}, nowMs = 1) =>
    checker.effect(
      'r',
      {
        type: 'settle',
        jobId: 'j',
        accepted: 0,
        exact: false,
        verdict: { ...VERDICT, ...verdict },
        ...changes,
      } as RequesterEffect,
      nowMs,
    )
  checker.event('r', { type: 'submitted', job: JOB }, 0)
  checker.event('r', { type: 'resultReceived', jobId: 'j', attempt: 0, outputDigest: 'x' }, 1)
  const close = () => checker.effect('r', { type: 'close', jobId: 'j', verdict: undefined }, 2)
  return { checker, settle, close }
}

function broken(law: string, act: () => void) {
  try {
    act()
  } catch (error) {
    assert.instance(error, SimulationViolation)
    assert.is((error as SimulationViolation).law, law)
    assert.is((error as SimulationViolation).eventNumber, 42)
    assert.match((error as Error).message, 'verimesh simulate x --seed 1')
    return
  }
  assert.unreachable(`nothing was found against ${law}`)
}

test('a job that ends in time, by what was answered, breaks no law', () => {
  const { checker, settle, close } = watch()
  settle()
  close()
  checker.end()
})

test('a job that never ends is found at the end', () => {
  broken('every-job-ends', () => watch().checker.end())
})

test('a job ends once, and before it is closed', () => {
  broken('every-job-ends', () => watch().close())
  const twice = watch()
  twice.settle()
  broken('every-job-ends', () => twice.settle())
})

test('nothing is accepted after its deadline', () => {
  broken('deadline', () => watch().settle({}, {}, 101))
})

test('a label claims no more than happened', () => {
  broken('label', () => watch().settle({ accepted: 1 }))
  broken('label', () => watch().settle({}, { label: 'replicated', agreed: ['p', 'q'] }))
  broken('label', () => watch().settle({}, { label: 'replicated' }))
  broken('label', () => watch().settle({}, { label: 'refereed' }))
  broken('label', () => watch().settle({}, { label: 'recomputed' }))
})

test('no honest key is condemned', () => {
  const { checker } = watch()
  checker.evidence('r', 'liar', 'lost-dispute')
  checker.evidence('r', 'honest', 'disagreed')
  for (const kind of ['lost-dispute', 'fraud-proof'] as const) {
    broken('honest-condemned', () => checker.evidence('r', 'honest', kind))
  }
})

test('where a referee decides, one right answer is enough, and no label of his is wrong', () => {
  const { checker } = watch()
  const truth = { label: 'replicated', isWrong: true, wasToldRight: false } as const
  checker.refereed('j', truth)
  checker.refereed('j', { ...truth, isWrong: false, wasToldRight: true })
  broken('one-honest-is-enough', () => checker.refereed('j', { ...truth, wasToldRight: true }))
  // A referee shows nothing where nobody who was asked is honest: see the labels in the README.
  checker.refereed('j', { ...truth, label: 'refereed' })
  broken('label', () => checker.refereed('j', { ...truth, label: 'recomputed' }))
})

test('a job that is open beyond its deadline is found while the run goes on', () => {
  const { checker } = watch()
  for (let event = 0; event < 1000; event++) checker.moved(100)
  broken('every-job-ends', () => {
    for (let event = 0; event < 1000; event++) checker.moved(100.1 + event)
  })
})

test('a circle of events in which no time passes is found', () => {
  const { checker, settle, close } = watch()
  settle()
  close()
  broken('time-moves', () => {
    for (let event = 0; event < 3_000_000; event++) checker.moved(7)
  })
})

test.run()
