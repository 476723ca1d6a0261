/** `verimesh simulate`, as a researcher uses it. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { scratchDirectory, stopNodes } from '../fixtures/nodes.ts'
import { startProgram } from '../fixtures/processes.ts'

const SCENARIO = {
  name: 'tiny',
  shows: 'That a small mesh can be simulated from a file.',
  policies: [{ name: 'doubt' }, { name: 'majority', replicas: 3 }],
  jobs: 60,
  providers: 20,
  attackers: [{ kind: 'liar', share: 0.2, rate: 0.3 }],
}
let directory: string

test.before(async () => {
  directory = await scratchDirectory()
  await writeFile(join(directory, 'tiny.json'), JSON.stringify(SCENARIO))
  await writeFile(join(directory, 'misspelt.json'), JSON.stringify({ ...SCENARIO, jobz: 1 }))
  await writeFile(join(directory, 'cut.json'), '{ "name": ')
})
test.after(stopNodes)

test('the same seed gives the same bytes, in whatever order the runs end', async () => {
  const runs = [await simulate('./tiny.json', '--sweep', 'f=0.1,0.2', '--out', 'a', '--json')]
  runs.push(await simulate('./tiny.json', '--sweep', 'f=0.1,0.2', '--out', 'b', '--json'))
  for (const { code, stderr } of runs) assert.is(code, 0, stderr)
  for (const file of ['report.html', 'results.csv', 'results.json']) {
    const [one, other] = await Promise.all(
      ['a', 'b'].map((out) => readFile(join(directory, out, file), 'utf8')),
    )
    assert.is(one, other, file)
  }
  const results = JSON.parse(runs[0]!.stdout)
  assert.equal(Object.keys(results), ['scenario', 'seed', 'version', 'rows'])
  assert.equal(
    results.rows.map(({ policy, f }: { policy: string; f: number }) => `${policy} ${f}`),
    ['doubt 0.1', 'majority 0.1', 'doubt 0.2', 'majority 0.2'],
  )
  assert.equal(JSON.parse(await readFile(join(directory, 'a', 'results.json'), 'utf8')), results)
})

for (const [what, args, message] of [
  ['a scenario that is not there', ['nowhere'], /cannot read the scenario nowhere/],
  ['a file that is no JSON', ['./cut.json'], /cut\.json is no JSON/],
  ['a field that does not exist', ['./misspelt.json'], /jobz: there is no such field; known are .*jobs,/],
  ['a sweep of nothing', ['./tiny.json', '--sweep', 'a.b=1'], /has no a\.b to sweep/],
  ['a place that cannot be written', ['./tiny.json', '--out', 'tiny.json'], /cannot write to/],
] as const) {
  test(`${what} is told with exit code 1`, async () => {
    const { code, stderr } = await simulate(...args)
    assert.is(code, 1, stderr)
    assert.match(stderr, message)
  })
}

test('a wrong option is told with exit code 2', async () => {
  for (const args of [
    ['--seed', '-1'],
    ['--sweep', 'f=much'],
    ['--seeds', '0'],
  ]) {
    const { code, stderr } = await simulate('./tiny.json', ...args)
    assert.is(code, 2, stderr)
  }
})

test.run()

function simulate(...args: string[]) {
  return startProgram('src/cli/main.ts', ['simulate', ...args], { cwd: directory }).ended
}
