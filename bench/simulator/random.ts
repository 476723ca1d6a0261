/**
 * `npm run simulate:random -- [--minutes 10] [--seed S] [--scenarios N]`: random scenarios one after the other, with seeds
 * S, S + 1, ... until the time is over. Exit code 1 at the first that breaks a law, throws, or gives other bytes when it is
 * run again; what is printed then repeats it.
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import {
  type Json,
  type Outcome,
  planRuns,
  randomScenario,
  runWorld,
  SimulationViolation,
} from '../../src/simulator/index.ts'

const HELP = `npm run simulate:random -- [options]: looks for scenarios that break a law
  --minutes N     how long to look; default 10
  --scenarios N   or how many, if that is less; by default any number
  --seed S        of the first scenario; the next one has S + 1. By default drawn`

/** One in so many is run twice, to see that it gives the same bytes. */
const REPEAT_EVERY = 8
const PROGRESS_MS = 500

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    scenarios: { type: 'string', default: 'Infinity' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) console.log(HELP)
else process.exitCode = look()

function look(): number {
  const first = values.seed === undefined ? randomInt(2 ** 31) : whole('--seed', values.seed)
  const minutes = positive('--minutes', values.minutes)
  const scenariosMax = positive('--scenarios', values.scenarios)
  const beganAtMs = performance.now()
  let toldAtMs = 0
  let [done, jobs, events] = [0, 0, 0]
  const told = (): string => {
    const seconds = Math.floor((performance.now() - beganAtMs) / 1000)
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} of ${minutes} min`
    return `${time}, ${done} scenarios from seed ${first}, ${jobs} jobs, ${(events / 1e6).toFixed(1)} M events`
  }
  while (done < scenariosMax && performance.now() - beganAtMs < minutes * 60_000) {
    const seed = first + done
    const scenario = randomScenario(seed)
    try {
      const outcome = run(scenario, seed)
      if (done % REPEAT_EVERY === 0 && JSON.stringify(run(scenario, seed)) !== JSON.stringify(outcome)) {
        throw new Error('run again with the same seed it gave other bytes')
      }
      jobs += outcome.row.jobs
      events += outcome.row.events
    } catch (error) {
      clear()
      console.error(describe(error, scenario, seed))
      return 1
    }
    done += 1
    if (process.stderr.isTTY && performance.now() - toldAtMs > PROGRESS_MS) {
      toldAtMs = performance.now()
      process.stderr.write(`\r\x1b[K${told()}`)
    }
  }
  clear()
  console.log(`${told()}: no law was broken`)
  return 0
}

function run(scenario: Json, seed: number): Outcome {
  const [spec] = planRuns(scenario, { seed, pointsMax: 10 }).runs
  return runWorld(spec!)
}

/** All that it takes to see it again. */
function describe(error: unknown, scenario: Json, seed: number): string {
  const what =
    error instanceof SimulationViolation
      ? `A law is broken: ${error.law}, at event ${error.eventNumber}.\n${error.message}`
      : `The simulation failed.\n${error instanceof Error ? error.stack : String(error)}`
  return [
    what,
    `seed ${seed}`,
    `scenario ${JSON.stringify(scenario)}`,
    `To repeat: npm run simulate:random -- --seed ${seed} --scenarios 1`,
    `or, with the scenario in a file: verimesh simulate FILE --seed ${seed}`,
  ].join('\n')
}

function clear(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`${option} must be a number above 0, not "${text}"`)
  return value
}

function whole(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Error(`${option} must be a whole number, 0 at least, not "${text}"`)
  }
  return value
}
