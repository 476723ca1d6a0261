import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Json, planRuns, ScenarioError, type ScenarioErrorCode } from '../../src/simulator/index.ts'

const GOOD = {
  name: 'x',
  shows: 'something',
  policies: [{ name: 'doubt' }, { name: 'majority', replicas: 3 }],
  attackers: [{ kind: 'liar', share: 0.1 }],
}

function refused(changes: object, code: ScenarioErrorCode, path: string, sweep = {}) {
  try {
    planRuns({ ...GOOD, ...changes } as unknown as Json, { seed: 1, sweep })
  } catch (error) {
    assert.instance(error, ScenarioError)
    const { code: given, path: at, message } = error as ScenarioError
    assert.equal([given, at], [code, path], message)
    return
  }
  assert.unreachable(`${path} was taken`)
}

test('a scenario runs each policy at each point with each seed, and says how to repeat it', () => {
  const sweep = { f: [0.1, 0.2], 'policies.0.risk': [0.01, 0.001] }
  const { runs } = planRuns(GOOD as unknown as Json, { seed: 7, seeds: 2, sweep })
  assert.is(runs.length, 2 * 2 * 2 * 2)
  const last = runs.at(-1)!
  assert.is(last.f, 0.2)
  assert.equal(last.parameters, { replicas: 3, 'policies.0.risk': 0.001, seed: 8 })
  assert.match(last.repeat, 'verimesh simulate x --seed 8 --sweep f=0.2')
})

test('what is misspelt, out of range or of another kind is refused by its path', () => {
  refused({ jobz: 3 }, 'unknown-field', 'jobz')
  refused({ network: { lag: 3 } }, 'unknown-field', 'network.lag')
  refused({ policies: [] }, 'out-of-range', 'policies')
  refused({ policies: [{ name: 'trust' }] }, 'out-of-range', 'policies.0.name')
  refused({ policies: [{ name: 'doubt', risk: 2 }] }, 'out-of-range', 'policies.0.risk')
  refused({ policies: [{ name: 'm-first' }] }, 'malformed', 'policies.0.votes')
  refused({ attackers: [{ kind: 'liar' }] }, 'malformed', 'attackers.0.share')
  refused({ attackers: {} }, 'malformed', 'attackers')
  refused({ jobs: 1.5 }, 'out-of-range', 'jobs')
  refused({ jobs: '10' }, 'malformed', 'jobs')
  refused({ churn: {} }, 'malformed', 'churn.leavesPerMinute')
  refused({ network: { latencyMatrixMs: [[1, 2]] } }, 'malformed', 'network.latencyMatrixMs')
  refused({ sweep: [1] }, 'malformed', 'sweep')
  refused({ sweep: { f: [] } }, 'malformed', 'sweep.f')
  refused({}, 'unknown-sweep', 'attackers.3.share', { 'attackers.3.share': [1] })
  refused({}, 'unknown-sweep', 'name', { name: [1] })
  refused({}, 'unknown-field', 'profit', { profit: [1] })
})

test('every scenario that comes along can be read, and says in a sentence what it should show', () => {
  const folder = join(import.meta.dirname, '../../src/simulator/scenarios')
  const names = readdirSync(folder).sort()
  const wanted = 'churn crowd frame grid growth large partition sleepers sybil whitewash'
  assert.equal(
    names,
    wanted.split(' ').map((name) => `${name}.json`),
  )
  for (const name of names) {
    const { scenario, runs } = planRuns(JSON.parse(readFileSync(join(folder, name), 'utf8')), { seed: 1 })
    assert.is(`${scenario.name}.json`, name)
    assert.match(scenario.shows, /^[A-Z].{40,}\.$/, name)
    assert.ok(runs.length > 0, name)
  }
})

test.run()
