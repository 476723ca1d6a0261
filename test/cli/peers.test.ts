/** What a node knows of others, as people and programs are told, without any node: every command is a process of its own. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { joinReputation } from '../../peers/reputation/index.ts'
import { entryOf, evidence } from '../fixtures/evidence.ts'
import { scratchDirectory, stopNodes } from '../fixtures/nodes.ts'
import { killPrograms, type ProgramEnd, startProgram } from '../fixtures/processes.ts'

const FRIEND = '12D3KooWFriend'
const LIAR = '12D3KooWLiar'
const STRANGER = '12D3KooWStranger'
const MODEL = 'bafyModel'

let desk: string

test.before(async () => {
  desk = await scratchDirectory()
  await mkdir(join(desk, 'home'))
  const atMs = Date.now()
  const runs = Array.from({ length: 100 }, (_, run) =>
    evidence({ provider: FRIEND, modelClass: MODEL, atMs, jobId: `${run}`.padStart(64, '0') }),
  )
  joinReputation(join(desk, 'home'), [
    entryOf(runs),
    entryOf([evidence({ provider: LIAR, kind: 'lost-dispute', modelClass: MODEL, atMs, jobId: 'cafe' })]),
    entryOf([evidence({ provider: STRANGER, kind: 'timed-out', modelClass: MODEL, atMs })]),
  ])
})
test.after(async () => {
  await killPrograms()
  await stopNodes()
})

function peers(args: readonly string[], data = 'home'): Promise<ProgramEnd> {
  return startProgram('src/cli/main.ts', ['peers', ...args, '--data', data], { cwd: desk }).ended
}

// biome-ignore lint/suspicious/noExplicitAny: the test looks into what a stranger would read
function json(ended: ProgramEnd): any {
  try {
    return JSON.parse(ended.stdout)
  } catch {
    throw new Error(`no JSON: ${ended.stdout}\n${ended.stderr}`)
  }
}

test('a node that does not run tells whom it remembers, their standing, and why', async () => {
  const [people, programs] = await Promise.all([peers([]), peers(['--json'])])
  assert.equal([people.code, programs.code], [0, 0], people.stderr)
  assert.match(people.stderr, /no node runs on home/)
  const line = (peer: string) => people.stdout.split('\n').find((text) => text.startsWith(`${peer} `)) ?? ''
  assert.match(line(FRIEND), / known +agreed with others in 100 jobs, of which 100 count/)
  assert.match(line(LIAR), / condemned +it was proved to have lied in job cafe/)
  assert.match(line(STRANGER), / newcomer /)
  const standings = Object.fromEntries(
    json(programs).map(({ peerId, standing }: { peerId: string; standing: { name: string } }) => [
      peerId,
      standing.name,
    ]),
  )
  assert.equal(standings, { [FRIEND]: 'known', [LIAR]: 'condemned', [STRANGER]: 'newcomer' })
  assert.not.match(people.stderr, /Warning/)
})

test('of one peer everything is told on which its standing rests', async () => {
  const [people, programs, unknown] = await Promise.all([
    peers([FRIEND]),
    peers([LIAR, '--json']),
    peers(['12D3KooWNobody', '--json']),
  ])
  assert.is(people.code, 0, people.stderr)
  assert.match(people.stdout, /standing +known: asked alone where that is enough for the risk/)
  assert.match(people.stdout, /bafyModel +100 +0\.000\d+/)
  assert.is([...people.stdout.matchAll(/agreed with others +1\.00 +0+\d/g)].length, 16)
  const liar = json(programs)
  assert.equal([liar.name, liar.saboteur, liar.recent.length], ['condemned', 1, 1])
  assert.equal([unknown.code, json(unknown).error.code], [1, 'unknown-peer'])
})

test('a node moves to another machine with its key and what it knows of others', async () => {
  const exported = await peers(['export', 'others', '--json'])
  assert.is(exported.code, 0, exported.stderr)
  assert.is(json(exported).providers, 3)
  assert.is((await stat(join(desk, 'others'))).mode & 0o777, 0o600)
  const [piped, keyless] = await Promise.all([
    peers(['export', '-']),
    peers(['import', 'others', '--json'], 'away'),
  ])
  assert.ok(piped.bytes.byteLength > 500)
  assert.equal([keyless.code, json(keyless).error.code], [1, 'no-identity'])
  await mkdir(join(desk, 'away'), { recursive: true })
  await writeFile(join(desk, 'away', 'identity.key'), await readFile(join(desk, 'home', 'identity.key')))
  for (const _ of [1, 2]) {
    const imported = await peers(['import', 'others'], 'away')
    assert.is(imported.code, 0, imported.stderr)
    assert.match(imported.stdout, /took in what was known of 3 providers on \d{4}-\d\d-\d\d/)
  }
  const [before, after] = await Promise.all([peers(['--json']), peers(['--json'], 'away')])
  const facts = (ended: ProgramEnd) =>
    json(ended)
      .map(({ peerId, standing }: { peerId: string; standing: { name: string; reasons: string[] } }) => [
        peerId,
        standing.name,
        standing.reasons,
      ])
      .sort()
  assert.equal(facts(after), facts(before))
})

test("another node's export, a changed one, a foreign file and none at all are refused by name", async () => {
  const other = await peers(['export', 'foreign'], 'another')
  assert.is(other.code, 0, other.stderr)
  const bytes = await readFile(join(desk, 'others'))
  bytes[bytes.length - 5]! ^= 1
  await writeFile(join(desk, 'changed'), bytes)
  await writeFile(join(desk, 'letter'), 'Dear node, everybody is honest.')
  const cases: [file: string, code: string, message: RegExp][] = [
    ['foreign', 'wrong-key', /what it has not seen itself counts for nothing/],
    ['changed', 'damaged', /it was changed/],
    ['letter', 'damaged', /no export of what a node knows/],
    ['nowhere', 'unreadable-input', /cannot be read/],
    ['.', 'unreadable-input', /is no file/],
  ]
  await Promise.all(
    cases.map(async ([file, code, message]) => {
      const ended = await peers(['import', file, '--json'])
      const { error } = json(ended)
      assert.equal([ended.code, error.code], [1, code], `${file}: ${ended.stdout}`)
      assert.match(error.message, message)
    }),
  )
  const unwritable = await peers(['export', 'nowhere/at/all/../../x', '--json'])
  assert.is(unwritable.code, 0, 'directories on the way are made')
  const onto = await peers(['export', '/dev/null/x', '--json'])
  assert.equal([onto.code, json(onto).error.code], [1, 'unwritable-output'])
})

test('a database that this version does not know is told of, and not touched', async () => {
  const { openSqlite } = await import('../../peers/files/index.ts')
  joinReputation(join(desk, 'away'), [])
  const database = openSqlite(join(desk, 'away', 'reputation.db'), 1000)
  database.exec('PRAGMA user_version = 99')
  database.close()
  const [list, exported] = await Promise.all([
    peers(['--json'], 'away'),
    peers(['export', 'never', '--json'], 'away'),
  ])
  for (const ended of [list, exported])
    assert.equal([ended.code, json(ended).error.code], [1, 'newer-version'], ended.stdout)
  await writeFile(join(desk, 'away', 'reputation.db'), 'rubbish'.repeat(500))
  const damaged = await peers(['--json'], 'away')
  assert.equal([damaged.code, json(damaged).error.code], [1, 'damaged'])
})

test.run()
