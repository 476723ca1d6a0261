import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createSelfSigned } from '../../bench/certificate.ts'
import { judgeGoals } from '../../bench/goals.ts'
import { createChecker, runLoad } from '../../bench/load.ts'
import { parseOptions } from '../../bench/options.ts'
import { renderProfile } from '../../bench/profile.ts'
import { type Row, runRounds } from '../../bench/rounds.ts'
import { setStage } from '../../bench/stage.ts'
import { percentile, spread } from '../../bench/statistics.ts'
import { renderGoals, renderRows } from '../../bench/table.ts'
import { prepareWorkload } from '../../bench/workloads.ts'

test('measures the direct call and the servers with right answers and no failure', async () => {
  const options = parseOptions(['--targets', 'direct,http,https', '--rounds', '1', '--seconds', '0.05'])!
  const directory = await mkdtemp(join(tmpdir(), 'verimesh-bench-test-'))
  try {
    const workload = await prepareWorkload('tiny-1k', directory)
    const stage = await setStage(workload, options, directory)
    let rows: Row[]
    try {
      rows = await runRounds(stage, workload, 4, options)
    } finally {
      await stage.close()
    }
    assert.equal(
      rows.map((row) => row.target),
      ['direct', 'http', 'https'],
    )
    for (const row of rows) {
      assert.is(row.failures, 0, `${row.target}: ${row.firstFailure}`)
      assert.ok(row.requests >= 4, `${row.target} answered ${row.requests}`)
      assert.ok(row.p50Ms.median > 0 && row.p50Ms.median <= row.p99Ms.median, row.target)
    }
    const [direct, http, https] = rows.map((row) => row.bytesPerRequest.median)
    assert.is(direct, 0)
    assert.ok(http! > 2048 && http! < 4096, `1 KB there, 1 KB back and headers; counted ${http}`)
    assert.ok(https! > http!, `TLS adds to ${http}; counted ${https}`)
    assert.is(rows[0]?.versus.http?.p50.median !== undefined, true)
    assert.is(rows[1]?.versus.http, undefined, 'a server is not compared with itself')
    const table = renderRows(rows, true).trimEnd().split('\n')
    assert.is(table.length, 2 + rows.length)
    assert.is(new Set(table.map((line) => line.split('|').length)).size, 1, 'all rows have all columns')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test('counts what is rejected, what has the wrong form and what is wrong as failures', async () => {
  const checker = createChecker([Float32Array.of(1, 2)], 1e-3)
  const wire = { total: () => 0 }
  const right = new Uint8Array(Float32Array.of(1, 2).buffer)
  const cases = [
    { name: 'right', answer: async () => right, fails: false },
    { name: 'rejected', answer: () => Promise.reject(new Error('no')), fails: true },
    { name: 'too short', answer: async () => right.subarray(4), fails: true },
    { name: 'wrong', answer: async () => new Uint8Array(Float32Array.of(1, 2.1).buffer), fails: true },
    { name: 'not a number', answer: async () => new Uint8Array(Float32Array.of(1, NaN).buffer), fails: true },
  ]
  for (const { name, answer, fails } of cases) {
    const target = { call: answer, drain: async () => {}, close: async () => {} }
    const window = await runLoad(target, [right], checker, { concurrency: 2, durationMs: 0 }, wire)
    assert.is(window.failures > 0, fails, name)
    assert.is(window.firstFailure !== undefined, fails, name)
  }
})

test('makes a certificate that names the loopback address and verifies with its own key', () => {
  const certificate = new X509Certificate(createSelfSigned().certificate)
  assert.ok(certificate.verify(certificate.publicKey))
  assert.is(certificate.checkIP('127.0.0.1'), '127.0.0.1')
  assert.is(certificate.checkIP('127.0.0.2'), undefined)
  assert.ok(
    certificate.validFromDate.getTime() < Date.now() && certificate.validToDate.getTime() > Date.now(),
  )
  const other = new X509Certificate(createSelfSigned().certificate)
  assert.not.ok(certificate.verify(other.publicKey))
})

test('a percentile is a value that was measured, the nearest by rank', () => {
  assert.is(percentile([1, 2, 3, 4], 0.5), 2)
  assert.is(percentile([1, 2, 3, 4], 0.99), 4)
  assert.is(percentile([7], 0.5), 7)
  assert.equal(spread([3, 1, 2, 10]), { min: 1, median: 2.5, max: 10 })
})

test('a goal is judged by the median of its ratios, and only where it was measured', () => {
  const row = (median: number): Row =>
    ({
      workload: 'recognition',
      concurrency: 8,
      target: 'mesh-1',
      versus: {
        http: { p50: spread([1]), requestsPerSecond: { min: 0, median, max: 9 } },
      },
    }) as unknown as Row
  assert.equal(judgeGoals([]), [])
  assert.equal(
    judgeGoals([row(0.95)]).map((goal) => goal.met),
    [true],
  )
  assert.equal(
    judgeGoals([row(0.94)]).map((goal) => goal.met),
    [false],
  )
  assert.match(renderGoals(judgeGoals([row(0.94)]), false), 'MISSED')
})

test('refuses options that make no sense, by name', () => {
  for (const args of [
    ['--rounds', '0'],
    ['--rounds', '1.5'],
    ['--seconds', '-1'],
    ['--concurrency', '1,x'],
    ['--only', 'nothing'],
    ['--targets', 'carrier-pigeon'],
    ['--http-client', 'curl'],
    ['--name', '../escape'],
  ]) {
    assert.throws(() => parseOptions(args), new RegExp(args[0]!), args.join(' '))
  }
  assert.is(parseOptions(['--help']), undefined)
  assert.equal(parseOptions(['--only', 'wide,tiny-1k'])?.workloads, ['tiny-1k', 'wide'])
})

test('a profile adds up self time by module and leaves idleness out', () => {
  const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 0 })
  const text = renderProfile({
    nodes: [
      { id: 1, callFrame: frame('sign', 'file:///x/node_modules/@scope/keys/dist/a.js') },
      { id: 2, callFrame: frame('seal', 'file:///x/node_modules/a/node_modules/@scope/keys/b.js') },
      { id: 3, callFrame: frame('(idle)', '') },
      { id: 4, callFrame: frame('(garbage collector)', '') },
    ],
    samples: [1, 2, 3, 4],
    timeDeltas: [3000, 3000, 90_000, 2000],
  })
  assert.match(text, 'busy 8 of 98 ms')
  assert.match(text, ' 75.0 %  @scope/keys\n')
  assert.match(text, ' 25.0 %  (garbage collector)\n')
})

test.run()
