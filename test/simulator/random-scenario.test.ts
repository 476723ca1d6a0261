import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { planRuns, randomScenario, runWorld } from '../../src/simulator/index.ts'

test('a random scenario follows from its seed, and another seed gives another', () => {
  for (const seed of [0, 1, 2 ** 31]) assert.equal(randomScenario(seed), randomScenario(seed), `seed ${seed}`)
  assert.is.not(JSON.stringify(randomScenario(1)), JSON.stringify(randomScenario(2)))
})

test('every random scenario can be read, and all dangers come up', () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 300; seed++) {
    const [spec] = planRuns(randomScenario(seed), { seed }).runs
    assert.ok(spec !== undefined, `seed ${seed}`)
    const { policy, churn, growth, network, bursts, hostility } = spec
    seen.add(policy.name)
    if (churn !== undefined) seen.add('churn')
    if (growth !== undefined) seen.add('growth')
    if (network.partitions.length > 0) seen.add('partitions')
    if (network.latencyMatrixMs !== undefined) seen.add('regions')
    if (network.loss > 0) seen.add('loss')
    if (bursts.length > 0) seen.add('bursts')
    if (hostility.floodPerSecond > 0) seen.add('floods')
    if (spec.createMembers({ next: () => 0.5 }).some(({ createConduct }) => !createConduct().honest)) {
      seen.add('attackers')
    }
  }
  const wanted = ['doubt', 'referee', 'quorum', 'm-first', 'majority', 'boinc', 'credibility']
  wanted.push('churn', 'growth', 'partitions', 'regions', 'loss', 'bursts', 'floods', 'attackers')
  assert.equal([...seen].sort(), wanted.sort())
})

for (let seed = 1; seed <= 20; seed++) {
  test(`random scenario ${seed} breaks no law, and ends every job`, () => {
    const scenario = { ...randomScenario(seed), jobs: 40 }
    const { row } = runWorld(planRuns(scenario, { seed, pointsMax: 5 }).runs[0]!)
    assert.is(row.served + row.failed, 40)
  })
}

test.run()
