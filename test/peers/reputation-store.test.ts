/** What a node knows of others on disk, with real databases and the thread that writes them; time is moved by hand. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openSqlite } from '../../peers/files/index.ts'
import {
  joinReputation,
  openReputation,
  REPUTATION_PARAMS,
  type Reputation,
  ReputationError,
  readReputation,
} from '../../peers/reputation/index.ts'
import { entryOf, evidence } from '../fixtures/evidence.ts'
import { createManualClock, type ManualClock } from '../fixtures/manual-clock.ts'
import { until } from '../fixtures/until.ts'

interface Opened {
  readonly reputation: Reputation
  readonly clock: ManualClock
  readonly warnings: string[]
}

const open: Opened[] = []
const test = suite('what a node knows of others on disk', { directory: '', path: '' })
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'verimesh-reputation-'))
  context.path = join(context.directory, 'reputation.db')
})
test.after.each(async (context) => {
  await Promise.all(open.splice(0).map(({ reputation }) => reputation.close()))
  rmSync(context.directory, { recursive: true, force: true })
})

async function start(directory: string, params = REPUTATION_PARAMS): Promise<Opened> {
  const clock = createManualClock()
  const warnings: string[] = []
  const warn = (message: string) => void warnings.push(message)
  const reputation = await openReputation(directory, {
    clock: { now: clock.now, after: (delayMs, task) => clock.schedule(task, delayMs) },
    log: { debug: () => {}, info: () => {}, warn },
    params,
  })
  const opened = { reputation, clock, warnings }
  open.push(opened)
  return opened
}

/** As a node that is started again finds it. */
async function agreedAfterRestart(directory: string, provider = 'p'): Promise<number | undefined> {
  const { reputation } = await start(directory)
  return reputation.ledger.entry(provider)?.counts.agreed
}

function agree({ reputation }: Opened, count: number, provider = 'p'): void {
  for (let run = 0; run < count; run++) reputation.record(evidence({ provider, jobId: `${run}` }))
}

test('what was seen survives a restart, to the last number', async ({ directory }) => {
  const seen = [
    evidence({ strength: 0.7 }),
    evidence({ kind: 'timed-out' }),
    evidence({ provider: 'liar' }),
    evidence({ provider: 'liar', kind: 'lost-dispute', jobId: 'cd' }),
  ]
  const first = await start(directory)
  for (const one of seen) first.reputation.record(one)
  await first.reputation.close()
  const second = await start(directory)
  assert.equal([...second.reputation.ledger.entries()], [...first.reputation.ledger.entries()])
  assert.is(second.reputation.ledger.entry('liar')?.condemned?.jobId, 'cd')
  assert.equal([...first.warnings, ...second.warnings], [])
})

test('nothing is made before there is something to keep, and a second later it is kept', async ({
  directory,
  path,
}) => {
  const opened = await start(directory)
  opened.clock.advance(60_000)
  await opened.reputation.flush()
  assert.not.ok(existsSync(path))
  agree(opened, 1)
  assert.is(opened.reputation.ledger.entry('p')?.counts.agreed, 1, 'it counts at once')
  opened.clock.advance(999)
  assert.not.ok(existsSync(path))
  opened.clock.advance(1)
  await until('it is written', () => existsSync(path) && readReputation(directory).size === 1)
})

test('two processes lose nothing of what the other has seen, and nothing counts twice', async ({
  directory,
}) => {
  const [one, other] = [await start(directory), await start(directory)]
  for (let round = 0; round < 5; round++) {
    agree(one, 3)
    agree(other, 4)
    await Promise.all([one.reputation.flush(), other.reputation.flush()])
  }
  await one.reputation.flush()
  assert.is(one.reputation.ledger.entry('p')?.counts.agreed, 35)
  assert.ok(Math.abs(one.reputation.ledger.entry('p')!.classes[0]!.checked - 35) < 1e-6)
  await Promise.all([one.reputation.close(), other.reputation.close()])
  assert.is(await agreedAfterRestart(directory), 35)
})

test('what is seen while a write is under way is neither lost nor counted twice', async ({ directory }) => {
  const opened = await start(directory)
  for (let round = 0; round < 20; round++) {
    agree(opened, 1)
    const writing = opened.reputation.flush()
    agree(opened, 1)
    await new Promise((resolve) => setImmediate(resolve))
    agree(opened, 1)
    if (round % 3 > 0) continue
    await writing
    assert.is(opened.reputation.ledger.entry('p')?.counts.agreed, 3 * (round + 1))
  }
  await opened.reputation.flush()
  assert.is(opened.reputation.ledger.entry('p')?.counts.agreed, 60)
  await opened.reputation.close()
  assert.is(await agreedAfterRestart(directory), 60)
})

test('an idle process takes up what others have seen', async ({ directory }) => {
  const idle = await start(directory)
  const busy = await start(directory)
  agree(busy, 2)
  await busy.reputation.flush()
  assert.is(idle.reputation.ledger.size, 0)
  await until('it is taken up', () => {
    idle.clock.advance(5_000)
    return idle.reputation.ledger.entry('p')?.counts.agreed === 2
  })
})

test('a file that is no database is set aside with a warning, and begun anew', async ({
  directory,
  path,
}) => {
  writeFileSync(path, 'these are not the bytes of a database, but long enough to look like some'.repeat(99))
  const opened = await start(directory)
  assert.match(opened.warnings.join(), /reputation\.db is damaged.*kept as .*reputation\.db\.damaged/)
  agree(opened, 1)
  await opened.reputation.close()
  assert.is(await agreedAfterRestart(directory), 1)
  assert.match(readFileSync(`${path}.damaged`, 'utf8'), /these are not/)
})

test("another program's database is none of ours", async ({ directory, path }) => {
  const foreign = openSqlite(path, 0)
  foreign.exec('CREATE TABLE providers (provider TEXT)')
  foreign.close()
  const opened = await start(directory)
  assert.match(opened.warnings.join(), /another program's database/)
  assert.ok(existsSync(`${path}.damaged`))
})

test('a database of a newer version is refused, and stays as it is', async ({ directory, path }) => {
  joinReputation(directory, [entryOf([evidence()])])
  const newer = openSqlite(path, 0)
  newer.exec('PRAGMA user_version = 2')
  newer.close()
  const refused = await start(directory).catch((error: unknown) => error)
  assert.ok(refused instanceof ReputationError && refused.code === 'newer-version')
  assert.match((refused as Error).message, /update it, or move the file away/)
  assert.throws(() => readReputation(directory), /newer version/)
  assert.not.ok(existsSync(`${path}.damaged`))
})

test('a row that cannot be read costs itself, and is written anew when its provider is seen', async ({
  directory,
  path,
}) => {
  joinReputation(directory, [entryOf([evidence()]), entryOf([evidence({ provider: 'q' })])])
  const database = openSqlite(path, 0)
  database.exec("UPDATE providers SET entry = x'ff00' WHERE provider = 'p'")
  database.close()
  const opened = await start(directory)
  assert.match(opened.warnings.join(), /1 providers can't be read/)
  assert.equal(
    [...opened.reputation.ledger.entries()].map(({ provider }) => provider),
    ['q'],
  )
  agree(opened, 1)
  await opened.reputation.close()
  const again = await start(directory)
  assert.equal([again.warnings, again.reputation.ledger.size], [[], 2])
})

test('a database that is gone, or was replaced by rubbish, is begun anew with all that is known', async ({
  directory,
  path,
}) => {
  const opened = await start(directory)
  agree(opened, 2)
  await opened.reputation.flush()
  for (const spoil of [() => {}, () => writeFileSync(path, 'rubbish'.repeat(200))]) {
    for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true })
    spoil()
    agree(opened, 1, 'q')
    await opened.reputation.flush()
    // The first write found out, the second tells everything.
    await opened.reputation.flush()
    assert.equal([...readReputation(directory).entries()].map(({ provider }) => provider).sort(), ['p', 'q'])
  }
  assert.is(readReputation(directory).entry('q')?.counts.agreed, 2)
  assert.match(opened.warnings.join(), /was damaged/)
})

test('where the file cannot be opened, that is told once, and what was seen is written when it can be', async ({
  directory,
  path,
}) => {
  mkdirSync(path)
  const opened = await start(directory)
  assert.match(opened.warnings[0] ?? '', /cannot be used.*newcomer until it can be read/)
  agree(opened, 1)
  const failing = opened.reputation.flush()
  await new Promise((resolve) => setImmediate(resolve))
  agree(opened, 1)
  await failing
  agree(opened, 1)
  await opened.reputation.flush()
  assert.is(opened.warnings.filter((warning) => /can't be kept/.test(warning)).length, 1)
  assert.is(opened.reputation.ledger.entry('p')?.counts.agreed, 3)
  rmdirSync(path)
  await until('it is tried again by itself', () => {
    opened.clock.advance(60_000)
    return existsSync(path) && readReputation(directory).entry('p')?.counts.agreed === 3
  })
})

test('nobody else on the machine reads it', async ({ directory, path }) => {
  const opened = await start(directory)
  agree(opened, 1)
  await opened.reputation.flush()
  for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.is(statSync(file).mode & 0o777, 0o600, file)
})

test('those of whom least is known make room on disk too, and who was proved to lie never does', async ({
  directory,
}) => {
  const opened = await start(directory, { ...REPUTATION_PARAMS, providersMax: 3 })
  opened.reputation.record(evidence({ provider: 'liar', kind: 'fraud-proof' }))
  agree(opened, 5, 'old friend')
  for (let round = 0; round < 4; round++) {
    agree(opened, 1, `stranger ${round}`)
    await opened.reputation.flush()
  }
  const kept = [...readReputation(directory).entries()].map(({ provider }) => provider)
  assert.is(kept.length, 3)
  assert.ok(kept.includes('liar') && kept.includes('old friend'))
})

test('what is taken in from another machine is there once, however often, and a running node notices', async ({
  directory,
}) => {
  const running = await start(directory)
  agree(running, 1)
  await running.reputation.flush()
  const moved = entryOf(Array.from({ length: 9 }, (_, run) => evidence({ jobId: `moved ${run}` })))
  for (let time = 0; time < 3; time++) joinReputation(directory, [moved])
  assert.is(readReputation(directory).entry('p')?.counts.agreed, 9)
  await until('it notices', () => {
    running.clock.advance(5_000)
    return running.reputation.ledger.entry('p')?.counts.agreed === 9
  })
})

test('after it was closed nothing is taken in, and closing again is no matter', async ({ directory }) => {
  const opened = await start(directory)
  agree(opened, 1)
  await Promise.all([opened.reputation.close(), opened.reputation.close()])
  agree(opened, 1)
  await opened.reputation.close()
  assert.is(opened.clock.pending, 0)
  assert.is(await agreedAfterRestart(directory), 1)
})

test.run()
