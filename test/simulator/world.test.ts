import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Json,
  planRuns,
  type RunSpec,
  runWorld,
  SimulationViolation,
} from '../../src/simulator/index.ts'

const BASE = {
  name: 'small',
  shows: 'that it works',
  policies: [{ name: 'doubt', risk: 0.001 }],
  jobs: 400,
  jobsPerSecond: 20,
  providers: 30,
  poolSize: 12,
  shareMax: 0.2,
  attackers: [{ kind: 'liar', share: 0.3, rate: 0.2, collusion: 0.5 }],
}

function plan(changes: { readonly [key: string]: Json } = {}, seed = 1): RunSpec {
  return planRuns({ ...BASE, ...changes } as Json, { seed, pointsMax: 10 }).runs[0]!
}

const run = (changes?: { readonly [key: string]: Json }, seed?: number) => runWorld(plan(changes, seed))

test('the same seed gives the same bytes, and another one others', () => {
  const text = (seed: number) => JSON.stringify(run({}, seed))
  assert.is(text(1), text(1))
  assert.is.not(text(1), text(2))
})

test('liars that are asked beside others are found out, and nothing wrong is left standing', () => {
  const { row } = run({ jobs: 1500, attackers: [{ kind: 'liar', share: 0.3, rate: 0.5 }] })
  assert.is(row.served, 1500)
  assert.is(row.wrongLeftStanding, 0)
  assert.ok(row.saboteursFound >= 6, `${row.saboteursFound} of 9 were found`)
})

test('an answer on one word is wrong as often as its giver lies', () => {
  const { row } = run({ policies: [{ name: 'm-first', votes: 1 }], jobs: 2000 })
  assert.ok(row.error > 0.03 && row.error < 0.1, `${row.error}, where 0.3 x 0.2 are expected`)
  assert.ok(row.executionsPerJob < 1.02, String(row.executionsPerJob))
  assert.is(row.wrongLeftStanding, Math.round(row.error * 2000))
})

test('what is run is what is counted: three votes are three executions a job', () => {
  const { row, series } = run({ policies: [{ name: 'majority', replicas: 3 }], attackers: [] })
  assert.is(row.executionsPerJob, 3)
  assert.is(row.error, 0)
  assert.is(series.points.at(-1)?.jobs, 400)
  assert.is(Math.round(series.shares.reduce((sum, { share }) => sum + share, 0) * 1e6), 1e6)
})

test('a coalition that is most of a vote wins it, and a pair of strangers is never believed alone', () => {
  const attackers = [{ kind: 'liar', share: 0.6, rate: 1, collusion: 1, honestTraces: 0 }]
  const votes = run({ attackers, policies: [{ name: 'majority', replicas: 3 }] })
  assert.ok(votes.row.error > 0.4, String(votes.row.error))
  const doubt = run({ attackers })
  assert.ok(doubt.row.error < 0.02, String(doubt.row.error))
  assert.is(doubt.row.wrongLeftStanding, 0)
})

for (const [what, changes] of [
  ['leaving', { churn: { leavesPerMinute: 2, awayMs: 5000 } }],
  ['partitions', { network: { partitions: [{ fromMs: 5000, untilMs: 12_000, sides: 2 }] } }],
  ['lost packets', { network: { loss: 0.2 } }],
  ['growth from one node', { growth: { from: 1, everyMs: 300 } }],
  ['hostile requesters', { hostility: { accusationsPerSecond: 5, framingPerSecond: 5, floodPerSecond: 20 } }],
  ['two requesters', { requesters: 2 }],
] as const) {
  test(`${what} break no law, and every job ends`, () => {
    const { row } = run(changes)
    assert.is(row.served + row.failed, 400)
    assert.is(row.honestCondemned, 0)
  })
}

for (const kind of [
  'sleeper',
  'whitewasher',
  'adaptive-coalition',
  'copier',
  'proxy',
  'free-rider',
  'equivocator',
  'targeted',
  'sybil',
  'slow',
  'crashing',
  'silent',
  'boaster',
] as const) {
  test(`among a third of one kind, ${kind}, every job ends and no law is broken`, () => {
    const { row } = run({ attackers: [{ kind, share: 0.3, rate: 0.3, honestJobs: 5 }], jobs: 200 })
    assert.is(row.served + row.failed, 200)
  })
}

test('whoever tells the liar from the honest wrongly is found by the checkers, with seed and event', () => {
  const spec = plan()
  const upsideDown: RunSpec = {
    ...spec,
    createMembers: (random) =>
      spec.createMembers(random).map((member) => ({
        ...member,
        createConduct: () => ({ ...member.createConduct(), honest: true }),
      })),
  }
  try {
    runWorld(upsideDown)
    assert.unreachable('a condemned key that counts as honest was not noticed')
  } catch (error) {
    assert.instance(error, SimulationViolation)
    assert.is((error as SimulationViolation).law, 'honest-condemned')
    assert.match((error as Error).message, '--seed 1')
  }
})

test('whoever comes back under a new key is met again, and gains nothing by it', () => {
  for (const kind of ['sleeper', 'whitewasher'] as const) {
    const attackers = [{ kind, share: 0.3, rate: 0.5, honestJobs: 0 }]
    // No room for more than there are: a fresh key comes in the place of the one before.
    const { row } = run({ jobs: 3000, newcomerShare: 0.1, attackers, job: { knownMax: 30 } })
    assert.ok(
      kind === 'sleeper' ? row.saboteursFound <= 9 : row.saboteursFound > 30,
      `${kind}: ${row.saboteursFound} keys of nine were found out`,
    )
    assert.is(row.error, 0)
  }
})

test('a known provider is drawn no more than its share', () => {
  const { row } = run({ attackers: [], jobs: 3000, shareMax: 0.1, poolSize: 12 })
  assert.ok(row.loadShareMax < 0.11, String(row.loadShareMax))
})

test.run()
