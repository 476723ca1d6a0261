/**
 * Runs every `*.test.ts` under `test/` (or those whose path contains one of the arguments), each in a process of its
 * own, and ends with the line `N passed, N failed`. A file that hangs, crashes, leaves a process behind or runs no test
 * counts as a failure.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/** The slowest file takes one minute on a quiet machine and four on a busy one; only a hang takes longer. */
const FILE_TIMEOUT_MS = 480_000
/** How long a process that a test started may outlive it: enough to notice that its parent has gone. */
const LEFTOVER_MS = 5_000
/** Files are processes, most of them short; more at a time than this would disturb those that watch a clock. */
const CONCURRENCY_MAX = 4

interface FileResult {
  readonly path: string
  readonly passed: number
  readonly failed: number
}

interface Ended {
  readonly output: string
  /** Undefined when all is well with the process itself. */
  readonly fault: string | undefined
}

const wanted = process.argv.slice(2)
const root = import.meta.dirname
const running = new Set<ChildProcess>()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted(signal))

const paths = (await readdir(root, { recursive: true }))
  .filter((path) => path.endsWith('.test.ts'))
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  .sort()
const queue = [...paths]
const results: FileResult[] = []
await Promise.all(Array.from({ length: Math.min(availableParallelism(), CONCURRENCY_MAX) }, work))

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
  const { output, fault } = await runProcess(join(root, path))
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const total = count(output, 'Total')
  const ok = count(output, 'Passed')
  const wrong = fault ?? (total === 0 ? 'ran no test' : undefined)
  // A file that died, hung or ran nothing has failed even where its tests have not.
  const failed = Math.max(total - ok, wrong === undefined ? 0 : 1)
  console.log(`${failed === 0 ? 'ok  ' : 'FAIL'} test/${path}  ${ok}/${total}  ${seconds} s`)
  if (failed > 0) console.log(wrong === undefined ? output : `${output}\n(${wrong})`)
  return { path, passed: ok, failed }
}

/** In a process group of its own, so that whatever it starts can be ended with it. */
async function runProcess(path: string): Promise<Ended> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: '0', ORT_DISABLE_TELEMETRY: '1' },
    detached: true,
  })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text))
  let fault: string | undefined
  const timer = setTimeout(() => {
    fault = `no end after ${FILE_TIMEOUT_MS / 1000} s`
    killGroup(child)
  }, FILE_TIMEOUT_MS)

  // The pipes close when the last process that inherited them has gone, which may be later than the file's own end.
  const closed = once(child, 'close')
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  clearTimeout(timer)
  const leftover = setTimeout(() => {
    fault ??= 'left a process behind'
    killGroup(child)
  }, LEFTOVER_MS)
  await closed
  clearTimeout(leftover)
  running.delete(child)
  if (code !== 0) fault ??= signal === null ? `exit code ${code}` : `ended by ${signal}`
  return { output, fault }
}

/** The whole group of a file, also after the file itself has ended. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function interrupted(signal: NodeJS.Signals): void {
  for (const child of running) killGroup(child)
  process.kill(process.pid, signal)
}

/** uvu closes with lines such as `  Passed:    12`. */
function count(output: string, label: string): number {
  const found = [...output.matchAll(new RegExp(`^\\s*${label}:\\s+(\\d+)`, 'gm'))].at(-1)
  return found === undefined ? 0 : Number(found[1])
}
