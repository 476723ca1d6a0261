import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { VERSION } from '../node/index.ts'
import type { Json, Outcome, Plan, ResultRow, Sweep } from '../simulator/index.ts'
import { CommandError } from './failure.ts'
import { parseCount } from './options.ts'
import { runAll } from './simulation-pool.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

interface SimulateOptions {
  readonly seed: number
  readonly seeds: number
  readonly out: string
  readonly sweep: Sweep
  readonly policy?: string
  readonly json: boolean
}

export function addSimulateCommand(program: Command, terminal: Terminal): void {
  program
    .command('simulate')
    .argument(
      '<scenario>',
      'a file, or the name of one that comes along: grid, churn, partition, crowd, sleepers, whitewash, sybil, frame, large, growth',
    )
    .description('run a scenario in virtual time with the code of the real node, and write a report of it')
    .option('--seed <n>', 'what chance depends on; the same seed gives the same bytes', parseSeed, 1)
    .option('--seeds <n>', 'run each point so often, with seeds from --seed upwards', parseCount, 1)
    .option('--out <dir>', 'where report.html, results.csv and results.json go', 'simulation')
    .option('--policy <name>', 'only this rule of replication, of those in the scenario')
    .option(
      '--sweep <key=a,b,c>',
      'give a field of the scenario these values in turn; repeatable',
      parseSweep,
      {},
    )
    .option('--json', 'print the rows as one JSON object', false)
    .addHelpText('after', HELP)
    .action((scenario: string, options: SimulateOptions) => simulate(scenario, options, terminal))
}

const HELP = `
Examples:
  verimesh simulate sleepers --out sleepers
  verimesh simulate grid --sweep f=0.35 --sweep s=0.05,0.25 --seeds 5
  verimesh simulate mine.json --sweep policies.0.risk=0.001,0.0001

A field is named by its path (providers, attackers.0.honestJobs); f, s and c stand for share, rate and collusion of the
first attackers.
`

async function simulate(name: string, options: SimulateOptions, terminal: Terminal): Promise<void> {
  const { seed, seeds, sweep, policy, out, json } = options
  const text = await readScenarioText(name)
  // Loaded only here: nothing else that a volunteer starts reaches the attackers.
  const { planRuns, renderCsv, renderJson, renderReport, reportOn } = await import('../simulator/index.ts')
  const scenario = parseJson(text, name)
  const planOptions = { seed, seeds, sweep, ...(policy === undefined ? {} : { policy }) }
  const plan = planRuns(scenario, planOptions)
  const stop = new AbortController()
  const onInterrupt = (): void => stop.abort(new CommandError('refused', 'interrupted; nothing was written'))
  process.once('SIGINT', onInterrupt)
  try {
    const onJobs = progressOf(plan, terminal)
    const outcomes = await runAll({ scenario, options: planOptions }, plan.runs.length, onJobs, stop.signal)
    terminal.progress('')
    const results = {
      scenario: plan.scenario.name,
      seed,
      version: VERSION,
      rows: outcomes.map(({ row }) => row),
    }
    const directory = resolve(out)
    const command = commandOf(name, options)
    const series = outcomes.map((outcome) => outcome.series)
    const report = renderReport(reportOn(plan.scenario, command, results, series))
    await write(directory, {
      'report.html': report,
      'results.csv': renderCsv(results),
      'results.json': renderJson(results),
    })
    if (json) terminal.printJson(results)
    else for (const line of linesOf(outcomes)) terminal.print(line)
    terminal.note(`${plan.scenario.name} is there to see whether this holds: ${plan.scenario.shows}`)
    terminal.note(`report: ${join(directory, 'report.html')}`)
  } finally {
    terminal.progress('')
    process.off('SIGINT', onInterrupt)
  }
}

/** A file of that name, else one that comes along. */
async function readScenarioText(name: string): Promise<string> {
  try {
    if (/^[a-z-]+$/.test(name)) {
      return await readFile(new URL(`../simulator/scenarios/${name}.json`, import.meta.url), 'utf8')
    }
    return await readFile(name, 'utf8')
  } catch (cause) {
    throw new CommandError(
      'unreadable-input',
      `cannot read the scenario ${name}: give a file (./mine.json) or one of those that verimesh simulate --help lists`,
      { cause },
    )
  }
}

function parseJson(text: string, name: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (cause) {
    throw new CommandError('unreadable-input', `${basename(name)} is no JSON`, { cause })
  }
}

/** Tells how far all runs are and how long they will take; estimates grow better as runs end. */
function progressOf({ runs }: Plan, terminal: Terminal): (run: number, jobs: number) => void {
  const startedAtMs = performance.now()
  const all = runs.reduce((sum, { jobs }) => sum + jobs, 0)
  const done = new Map<number, number>()
  let saidAtMs = Number.NEGATIVE_INFINITY
  return (run, jobs) => {
    done.set(run, jobs)
    const nowMs = performance.now()
    if (nowMs - saidAtMs < PROGRESS_MS) return
    saidAtMs = nowMs
    const jobsDone = [...done.values()].reduce((sum, one) => sum + one, 0)
    const share = jobsDone / all
    const leftMs = share === 0 ? 0 : ((nowMs - startedAtMs) / share) * (1 - share)
    const bar = '#'.repeat(Math.round(share * BAR_CHARS)).padEnd(BAR_CHARS, '.')
    const left = share < 0.01 ? '' : `, about ${durationOf(leftMs)} left`
    terminal.progress(`[${bar}] ${Math.floor(share * 100)} % of ${runs.length} runs${left}`)
  }
}

const PROGRESS_MS = 200
const BAR_CHARS = 24

function durationOf(ms: number): string {
  return ms < 90_000 ? `${Math.ceil(ms / 1000)} s` : `${Math.ceil(ms / 60_000)} min`
}

function commandOf(name: string, { seed, seeds, sweep, policy }: SimulateOptions): string {
  const sweeps = Object.entries(sweep).map(([key, values]) => `--sweep ${key}=${values.join(',')}`)
  const often = seeds === 1 ? [] : [`--seeds ${seeds}`]
  const only = policy === undefined ? [] : [`--policy ${policy}`]
  return ['verimesh simulate', basename(name), `--seed ${seed}`, ...often, ...only, ...sweeps].join(' ')
}

async function write(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  } catch (cause) {
    throw new CommandError('unwritable-output', `cannot write to ${directory}`, { cause })
  }
}

function linesOf(outcomes: readonly Outcome[]): string[] {
  const heads = [
    'policy',
    'f',
    's',
    'c',
    'error',
    'T',
    'wrong left',
    'share',
    'p50 ms',
    'p99 ms',
    'failed',
    'parameters',
  ]
  return table(
    heads,
    outcomes.map(({ row }) => cellsOf(row)),
  )
}

function cellsOf(row: ResultRow): string[] {
  const parameters = Object.entries(row.parameters).map(([key, value]) => `${key}=${value}`)
  return [
    row.policy,
    String(row.f),
    String(row.s),
    String(row.c),
    row.error === 0 ? '0' : row.error.toExponential(1),
    row.executionsPerJob.toFixed(2),
    String(row.wrongLeftStanding),
    `${(row.loadShareMax * 100).toFixed(1)} %`,
    row.latencyP50Ms.toFixed(0),
    row.latencyP99Ms.toFixed(0),
    String(row.failed),
    parameters.join(' '),
  ]
}

function parseSeed(value: string): number {
  const seed = Number(value)
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
    throw new InvalidArgumentError('it must be a whole number from 0 to 4294967295.')
  return seed
}

function parseSweep(value: string, previous: Sweep): Sweep {
  const [key, list] = value.split('=')
  const values = list?.split(',').map(Number) ?? []
  if (!key || values.length === 0 || values.some((one) => !Number.isFinite(one)) || list === '')
    throw new InvalidArgumentError('it must be a field and numbers, as in providers=50,100,200.')
  return { ...previous, [key]: values }
}
