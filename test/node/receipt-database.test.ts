import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { silentLog } from '../../src/node/index.ts'
import {
  createReceiptDatabase,
  DAMAGED_SUFFIX,
  RECEIPTS_FILE,
  type ReceiptDatabaseOptions,
} from '../../src/node/receipt-database.ts'
import type { ReceiptIndex, RestingAnswer } from '../../src/node/receipt-index.ts'
import { until } from '../fixtures/until.ts'

const test = suite('receipt database', {
  directory: '',
  path: '',
  errors: [] as string[],
  opened: [] as ReceiptIndex[],
})
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'verimesh-receipts-'))
  context.path = join(context.directory, RECEIPTS_FILE)
  context.errors = []
  context.opened = []
})
test.after.each(({ directory, opened }) => {
  for (const index of opened) index.close()
  rmSync(directory, { recursive: true, force: true })
})

interface Context {
  readonly directory: string
  readonly errors: string[]
  readonly opened: ReceiptIndex[]
}

function open(
  { directory, errors, opened }: Context,
  options: Partial<ReceiptDatabaseOptions> = {},
): ReceiptIndex {
  const log = { ...silentLog, error: (event: string) => void errors.push(event) }
  const index = createReceiptDatabase(directory, { log, ...options })
  opened.push(index)
  return index
}

function answer(number: number, changes: Partial<RestingAnswer> = {}): RestingAnswer {
  const jobId = createHash('sha256').update(String(number)).digest('hex')
  return {
    jobId,
    model: 'bafy',
    agreed: ['alice', 'liar'],
    tau: 5e-5,
    bundle: `/receipts/${number}.bundle`,
    ...changes,
  }
}

test('an answer is found by everyone on whose word it rests, also by the next process', (context) => {
  const first = open(context)
  assert.ok(first.add(answer(1)))
  assert.ok(first.add(answer(2, { agreed: ['bob'], tau: 0.01 })))
  first.close()
  const next = open(context)
  assert.equal([...next.providers()].sort(), ['alice', 'bob', 'liar'])
  assert.equal(next.restingOn('liar'), [answer(1)])
  assert.equal(next.restingOn('bob'), [answer(2, { agreed: ['bob'], tau: 0.01 })])
  assert.equal(next.restingOn('nobody'), [])
  next.remove(answer(1).jobId)
  assert.equal(next.restingOn('liar'), [])
  assert.equal(next.providers(), ['bob'])
  assert.is(statSync(context.path).mode & 0o777, 0o600)
})

test('a name that is part of another one is another one', (context) => {
  const index = open(context)
  index.add(answer(1, { agreed: ['a', 'liars', 'z'] }))
  index.add(answer(2, { agreed: ['liar'] }))
  assert.equal(index.restingOn('liar'), [answer(2, { agreed: ['liar'] })])
  assert.equal(index.restingOn('%'), [])
})

test('where nothing is remembered no file is made', (context) => {
  const index = open(context)
  assert.is(index.add(answer(1, { bundle: undefined })), false)
  assert.equal([index.providers(), index.restingOn('liar'), index.claim('x')], [[], [], false])
  index.close()
  assert.not.ok(existsSync(context.path))
})

test('the oldest answers make room', (context) => {
  const index = open(context, { answersMax: 3 })
  for (let number = 1; number <= 5; number++) index.add(answer(number))
  assert.equal(
    index.restingOn('liar'),
    [3, 4, 5].map((number) => answer(number)),
  )
})

test('what no index takes is refused: too many keys, endless names, a tolerance that is none, no job id', (context) => {
  const index = open(context)
  for (const changes of [
    { agreed: Array.from({ length: 17 }, (_, at) => `p${at}`) },
    { bundle: 'x'.repeat(5_000) },
    { tau: Number.NaN },
    { tau: -1 },
    { agreed: ['two keys'] },
    { jobId: "'; DROP TABLE answers" },
  ]) {
    assert.is(index.add(answer(1, changes)), false, JSON.stringify(changes).slice(0, 60))
  }
  assert.equal(context.errors, [])
})

test('one answer is checked by one process at a time', (context) => {
  const { jobId } = answer(1)
  const [first, second] = [open(context), open(context)]
  first.add(answer(1))
  assert.is(first.claim(jobId), true)
  assert.is(second.claim(jobId), false)
  second.release(jobId, { tried: true })
  assert.is(second.claim(jobId), false, 'nobody gives back what another one has')
  first.release(jobId, { tried: false })
  assert.is(second.claim(jobId), true)
  second.remove(jobId)
  assert.is(first.claim(jobId), false, 'it is gone')
})

test('what a process had that is gone, or has for too long, is free', (context) => {
  const { jobId } = answer(1)
  let nowMs = 1_790_000_000_000
  let alive = true
  const options = { now: () => nowMs, isAlive: () => alive }
  const [first, second, third] = [open(context, options), open(context, options), open(context, options)]
  first.add(answer(1))
  first.claim(jobId)
  alive = false
  assert.is(second.claim(jobId), true, 'its process is gone')
  alive = true
  assert.is(third.claim(jobId), false)
  nowMs += 24 * 3_600_000
  assert.is(third.claim(jobId), true, 'a day is too long')
  nowMs -= 48 * 3_600_000
  assert.is(first.claim(jobId), true, 'nor is it any longer where the clock was set back')
})

test('an attempt in vain is repeated a few times, then given up', (context) => {
  const { jobId } = answer(1)
  const index = open(context)
  index.add(answer(1))
  let tries = 0
  while (index.claim(jobId)) {
    index.release(jobId, { tried: true })
    tries += 1
  }
  assert.is(tries, 3)
  assert.equal(index.providers(), [])
})

test('a file that is no database is set aside by name, and another one begun', (context) => {
  writeFileSync(
    context.path,
    'not a database, but as long as the header of one would be, and then some more of it',
  )
  const index = open(context)
  assert.ok(index.add(answer(1)))
  assert.equal(index.restingOn('liar'), [answer(1)])
  assert.match(context.errors.join(), /damaged, and is begun anew/)
  assert.match(readFileSync(`${context.path}${DAMAGED_SUFFIX}`, 'utf8'), /^not a database/)
})

test('a database with a torn page is set aside too', (context) => {
  const before = open(context)
  for (let number = 1; number <= 200; number++) before.add(answer(number))
  before.close()
  const file = openSync(context.path, 'r+')
  for (let at = 4_096; at < statSync(context.path).size; at += 4_096)
    writeSync(file, Buffer.alloc(2_000, 0xa5), 0, 2_000, at)
  const index = open(context)
  assert.ok(index.add(answer(1)))
  assert.equal(index.restingOn('liar'), [answer(1)])
  assert.is(context.errors.length, 1)
})

test('a layout of another version is left as it is, and nothing is remembered there', (context) => {
  const other = new DatabaseSync(context.path)
  other.exec('CREATE TABLE later (x); PRAGMA user_version = 9')
  other.close()
  const index = open(context)
  assert.is(index.add(answer(1)), false)
  assert.is(index.add(answer(2)), false)
  assert.is(context.errors.length, 1, 'told once')
  const again = new DatabaseSync(context.path)
  assert.is(again.prepare('PRAGMA user_version').get()?.user_version, 9)
  again.close()
})

test('a place where no file can be is told once, and is in nobody s way', (context) => {
  mkdirSync(context.path)
  const index = open(context)
  assert.is(index.add(answer(1)), false)
  assert.equal([index.providers(), index.restingOn('liar')], [[], []])
  assert.is(context.errors.length, 1)
})

test('rows that no node wrote are not believed', (context) => {
  const index = open(context)
  index.add(answer(1))
  const other = new DatabaseSync(context.path)
  other.exec("INSERT INTO answers (job, model, tau, bundle, agreed) VALUES ('short', 'm', 0, '/x', 'liar')")
  other.close()
  assert.equal(index.restingOn('liar'), [answer(1)])
})

test('two processes that write at once lose nothing', async (context) => {
  const written = (
    await Promise.all(['one', 'two'].map((name) => writer(context.directory, name, 100).ended))
  ).flat()
  assert.is(new Set(written).size, 200)
  const index = open(context)
  assert.equal(
    index
      .restingOn('liar')
      .map(({ jobId }) => jobId)
      .sort(),
    written.sort(),
  )
  assert.equal(context.errors, [])
})

test('a process that is killed in the middle loses nothing that it had written', async (context) => {
  const program = writer(context.directory, 'one', 100_000)
  await until('it has written some', () => program.written().length > 20)
  program.kill()
  const written = await program.ended
  const index = open(context)
  const kept = new Set(index.restingOn('liar').map(({ jobId }) => jobId))
  assert.ok(kept.size >= 20)
  // The oldest may have made room.
  assert.equal(
    written.slice(-4_000).filter((jobId) => !kept.has(jobId)),
    [],
  )
  assert.equal(context.errors, [])
})

test.run()

function writer(directory: string, name: string, count: number) {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, '../fixtures/receipt-writer.ts'),
      directory,
      name,
      String(count),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8')
  })
  // What was cut in the middle of a line was not told.
  const written = (): string[] => text.split('\n').filter((line) => line.length === 64)
  return {
    written,
    kill: () => child.kill('SIGKILL'),
    ended: new Promise<string[]>((resolve) => child.once('close', () => resolve(written()))),
  }
}
