/** The demo as a process: what it promises to programs, and that it leaves nothing running. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { verifyBundle } from '../../protocols/receipt/index.ts'
import { ArgumentsError, parseDemoArguments } from '../../src/demo/arguments.ts'
import { scratchDirectory, stopNodes } from '../fixtures/nodes.ts'
import { descendants, killPrograms, type Program, startProgram, untilGone } from '../fixtures/processes.ts'
import { until } from '../fixtures/until.ts'

/** The demo keeps receipts where temporary files go: here they are gone afterwards. */
let temporary: string
test.before(async () => {
  temporary = await scratchDirectory()
})
test.after(async () => {
  await killPrograms()
  await stopNodes()
})

test('the page is read right although one of five lies, and nothing is left running', async () => {
  const demo = launch(['--json'])
  const seen = watch(demo)
  const { code, stdout, stderr } = await demo.ended
  assert.is(code, 0, `${stdout}${stderr}`)
  const outcome = JSON.parse(stdout)
  assert.equal(Object.keys(outcome).sort(), [
    'accepted',
    'characterErrorRate',
    'disputes',
    'elapsedMs',
    'jobs',
    'labels',
    'lines',
    'providers',
    'receipts',
    'rechecks',
    'text',
    'wrong',
  ])
  const { text, lines, jobs, accepted, wrong, characterErrorRate, providers, receipts, elapsedMs } = outcome
  assert.match(text, /^Call me Ishmael\. Some years ago/)
  assert.ok(lines.length > 10 && lines.every((line: unknown) => typeof line === 'string'))
  assert.equal([accepted, wrong], [jobs, 0])
  assert.is(jobs, lines.length + 1)
  assert.ok(characterErrorRate <= 0.02, `${characterErrorRate}`)
  assert.ok(elapsedMs > 0)

  assert.is(providers.length, 5)
  const [liar, ...others] = providers.filter(({ role }: { role: string }) => role === 'liar')
  assert.is(others.length, 0)
  assert.ok(liar.disagreed === liar.results, 'no lie of it was accepted')
  for (const { peerId } of providers) assert.match(peerId, /^12D3Koo/)
  assert.ok(
    outcome.disputes.every(({ loser }: { loser: string }) => loser === liar.peerId),
    'nobody else lost a dispute',
  )

  const bundles = await readdir(receipts)
  assert.is(bundles.length, jobs)
  for (const name of bundles) {
    const { bundle, agreed, label } = await verifyBundle(await readFile(join(receipts, name)))
    assert.ok(['replicated', 'refereed'].includes(label), label)
    assert.ok(bundle.inputs !== undefined && bundle.outputs !== undefined, 'anybody can compute it again')
    assert.not.ok(agreed.includes(liar.peerId))
  }
  assert.ok((await seen).length >= 5, 'five providers and their models')
  await untilGone(await seen)
})

test('another page, another mesh: no truth to compare with, and only the reading is asked of it', async () => {
  const page = join(temporary, 'line.png')
  await sharp(new URL('../../src/demo/page.jpg', import.meta.url).pathname)
    .extract({ left: 85, top: 45, width: 492, height: 57 })
    .toFile(page)
  const demo = launch(['--json', '--page', page, '--providers', '3', '--liars', '0', '--recognize-only'])
  const { code, stdout, stderr } = await demo.ended
  assert.is(code, 0, `${stdout}${stderr}`)
  const outcome = JSON.parse(stdout)
  assert.is(outcome.text, 'Call me Ishmael. Some years ago')
  assert.equal([outcome.jobs, outcome.accepted, outcome.wrong, outcome.characterErrorRate], [1, 1, 0, null])
  assert.equal(
    outcome.providers.map(({ role }: { role: string }) => role),
    ['honest', 'honest', 'honest'],
  )
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGKILL', null],
] as const) {
  test(`${signal} in the middle of the page leaves no process behind`, async () => {
    const demo = launch(['--providers', '2', '--liars', '0'])
    await demo.printed(/the requester found 2 providers/i)
    const below = descendants(demo.pid)
    assert.ok(below.length >= 6, `two providers with two models each: ${below.length}`)
    demo.signal(signal)
    assert.is((await demo.ended).code, code)
    await untilGone(below)
  })
}

test('SIGINT while the providers start leaves no process behind', async () => {
  const demo = launch([])
  await demo.printed(/started 1 of 5/)
  await until('several start', () => descendants(demo.pid).length >= 3)
  demo.signal('SIGINT')
  const below = descendants(demo.pid)
  assert.is((await demo.ended).code, 130)
  await untilGone(below)
})

test('a wrong call ends with 2 and says why', async () => {
  const wrong: [args: string[], message: RegExp][] = [
    [['--providers', '1'], /--providers must be from 2/],
    [['--providers', '33'], /to 32; got 33/],
    [['--providers', 'many'], /whole number; got "many"/],
    [['--liars', '5'], /fewer than the 5 providers/],
    [['--liars', '-1'], /./],
    [['--liars', '3', '--colluders', '2'], /fewer than the 5 providers/],
    [['--recompute', '2'], /from 0 to 1/],
    [['--dance'], /--dance/],
    [['page.jpg'], /page\.jpg/],
  ]
  for (const [args, message] of wrong) {
    const error = caught(() => parseDemoArguments(args))
    assert.instance(error, ArgumentsError, args.join(' '))
    assert.match((error as Error).message, message)
  }
  const { code, stdout, stderr } = await launch(['--json', '--providers', '1']).ended
  assert.is(code, 2)
  assert.match(JSON.parse(stdout).error.message, /--providers must be from 2/)
  assert.match(stderr, /--help/)
})

test('a page that cannot be read ends with 1, before anything is started', async () => {
  const { code, stdout } = await launch(['--json', '--page', join(temporary, 'missing.png')]).ended
  assert.is(code, 1)
  assert.match(JSON.parse(stdout).error.message, /missing\.png/)
})

test.run()

function launch(args: readonly string[]): Program {
  // Thirty processes: compiling the same sources again in each would be a good part of the work.
  const env = { TMPDIR: temporary, NODE_COMPILE_CACHE: join(temporary, 'compiled') }
  return startProgram('src/demo/main.ts', args, { env })
}

/** Every process that was ever seen below the demo. */
async function watch(demo: Program): Promise<number[]> {
  const seen = new Set<number>()
  let hasEnded = false
  demo.ended.then(() => {
    hasEnded = true
  })
  await until(
    'the demo ends',
    () => {
      for (const pid of descendants(demo.pid)) seen.add(pid)
      return hasEnded
    },
    200_000,
  )
  return [...seen]
}

function caught(act: () => unknown): unknown {
  try {
    act()
    return undefined
  } catch (error) {
    return error
  }
}
