/**
 * Runs every `*.test.ts` under `test/` (or those whose path contains one of the arguments), each in a process of its
 * own, and ends with the line `N passed, N failed`. A file that hangs, crashes or runs no test counts as a failure.
 */
import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/** The slowest file takes about a minute here; a hang must not eat the run's whole time. */
const FILE_TIMEOUT_MS = 240_000

interface FileResult {
  readonly path: string
  readonly passed: number
  readonly failed: number
  readonly elapsedMs: number
}

const wanted = process.argv.slice(2)
const root = import.meta.dirname
const paths = (await readdir(root, { recursive: true }))
  .filter((path) => path.endsWith('.test.ts'))
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  .sort()

const queue = [...paths]
const results: FileResult[] = []
await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, work))

const passed = results.reduce((sum, result) => sum + result.passed, 0)
const failed = results.reduce((sum, result) => sum + result.failed, 0)
for (const { path } of results.filter((result) => result.failed > 0)) console.log(`failed: test/${path}`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0

async function work(): Promise<void> {
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) results.push(await runFile(path))
}

async function runFile(path: string): Promise<FileResult> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(root, path)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: '0' },
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
  })
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk
  })
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    child.kill('SIGKILL')
  }, FILE_TIMEOUT_MS)
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  clearTimeout(timer)

  const elapsedMs = Math.round(performance.now() - startedAt)
  const total = count(output, 'Total')
  const ok = count(output, 'Passed')
  // A file that died, hung or ran nothing has failed even where its tests have not.
  const failed = Math.max(total - ok, code === 0 && total > 0 ? 0 : 1)
  console.log(`${failed === 0 ? 'ok  ' : 'FAIL'} test/${path}  ${ok}/${total}  ${(elapsedMs / 1000).toFixed(1)} s`)
  if (failed > 0) console.log(timedOut ? `${output}\n(no end after ${FILE_TIMEOUT_MS / 1000} s)` : output)
  return { path, passed: ok, failed, elapsedMs }
}

/** uvu closes with lines such as `  Passed:    12`. */
function count(output: string, label: string): number {
  const found = [...output.matchAll(new RegExp(`^\\s*${label}:\\s+(\\d+)`, 'gm'))].at(-1)
  return found === undefined ? 0 : Number(found[1])
}
