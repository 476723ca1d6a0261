/**
 * `npm run bench`: the same model called directly, behind HTTP and HTTPS, and over the mesh, side by side in one run.
 * See README.md beside this file for what is measured and how to read it.
 */
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type GoalResult, judgeGoals } from './goals.ts'
import { type MachineFacts, readMachineFacts } from './machine.ts'
import { type BenchOptions, HELP, parseOptions } from './options.ts'
import { renderProfiles } from './profile.ts'
import { type Row, runRounds } from './rounds.ts'
import { setStage } from './stage.ts'
import { renderFailures, renderGoals, renderRows } from './table.ts'
import { prepareWorkload } from './workloads.ts'

export interface BenchResults {
  readonly startedAt: string
  readonly elapsedMs: number
  readonly machine: MachineFacts
  readonly options: BenchOptions
  readonly goals: readonly GoalResult[]
  readonly rows: readonly Row[]
}

const roles = new Map<number, string>()

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) console.log(HELP)
  else await main(options)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

async function main(options: BenchOptions): Promise<void> {
  const results = await run(options)
  if (options.json) console.log(JSON.stringify(results))
  else report(results)
  if (options.name !== '') {
    const directory = join(import.meta.dirname, 'results')
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, `${options.name}.json`), `${JSON.stringify(results, undefined, 1)}\n`)
  }
  if (options.profile !== undefined) console.log(await renderProfiles(resolve(options.profile), roles))
  if (results.rows.some((row) => row.failures > 0)) process.exitCode = 1
}

async function run(options: BenchOptions): Promise<BenchResults> {
  const startedAt = new Date()
  const machine = await readMachineFacts()
  const scratch = await mkdtemp(join(tmpdir(), 'verimesh-bench-'))
  // The other processes end by themselves when this one is gone.
  const interrupt = (): void => {
    rmSync(scratch, { recursive: true, force: true })
    process.exit(130)
  }
  process.once('SIGINT', interrupt)
  const rows: Row[] = []
  try {
    for (const name of options.workloads) {
      const workload = await prepareWorkload(name, scratch)
      say(`${name}: ${workload.what}`)
      const stage = await setStage(workload, options, scratch)
      try {
        for (const [pid, role] of stage.roles) roles.set(pid, role)
        for (const concurrency of options.concurrency) {
          say(`  ${concurrency} at once`)
          rows.push(...(await runRounds(stage, workload, concurrency, options)))
        }
      } finally {
        await stage.close()
      }
    }
  } finally {
    process.off('SIGINT', interrupt)
    await rm(scratch, { recursive: true, force: true })
  }
  const elapsedMs = Math.round(Date.now() - startedAt.getTime())
  return { startedAt: startedAt.toISOString(), elapsedMs, machine, options, goals: judgeGoals(rows), rows }
}

function report({ machine, options, goals, rows, elapsedMs }: BenchResults): void {
  console.log(
    `${machine.cores} cores of ${machine.cpu}, ${machine.platform}, Node ${machine.node}, load before ${machine.loadBefore.toFixed(2)}, commit ${machine.commit}${machine.dirty ? ' with changes' : ''}`,
  )
  console.log(
    `${options.rounds} rounds of ${options.seconds} s, ${options.threads} thread(s) a model, HTTP client ${options.httpClient}, ${Math.round(elapsedMs / 1000)} s in all\n`,
  )
  console.log(renderRows(rows, options.markdown))
  if (goals.length > 0) console.log(renderGoals(goals, options.markdown))
  process.stderr.write(renderFailures(rows))
}

/** Progress goes beside the results, so that these can be piped. */
function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
