/** Which runs a scenario asks for: each policy at each point of the sweep, with each seed. */
import { ScenarioError } from './errors.ts'
import type { Json } from './fields.ts'
import type { PolicySpec } from './policies.ts'
import { createPopulation } from './population.ts'
import { readScenario, readSweep, type Scenario, type Sweep, withField } from './scenario.ts'
import type { RunSpec } from './world.ts'

export interface Plan {
  readonly scenario: Scenario
  readonly runs: readonly RunSpec[]
}

export interface PlanOptions {
  readonly seed: number
  /** Runs of each point, with seeds from `seed` upwards. */
  readonly seeds?: number
  /** In addition to what the scenario sweeps, or in its place where it is the same field. */
  readonly sweep?: Sweep
  /** Only policies of this name. */
  readonly policy?: string
  /** Points of each time series. */
  readonly pointsMax?: number
}

/** Reads a scenario and lays out its runs, policies beside each other at every point. Throws ScenarioError. */
export function planRuns(
  value: Json,
  { seed, seeds = 1, sweep = {}, policy: only, pointsMax = 100 }: PlanOptions,
): Plan {
  const scenario = readScenario(value)
  const wanted: Sweep = { ...readSweep(value), ...sweep }
  const runs = pointsOf(wanted).flatMap((point) => {
    const text = [...Object.entries(point)].reduce(
      (made, [key, number]) => withField(made, key, number),
      value,
    )
    const at = readScenario(text)
    return at.policies
      .filter(({ name }) => only === undefined || name === only)
      .flatMap((policy) =>
        Array.from({ length: seeds }, (_, offset) => runOf(at, policy, point, seed + offset, pointsMax)),
      )
  })
  if (runs.length === 0) {
    const names = [...new Set(scenario.policies.map(({ name }) => name))]
    throw new ScenarioError(
      'out-of-range',
      'policies',
      `none is called ${only}; there are ${names.join(', ')}`,
    )
  }
  return { scenario, runs }
}

type Point = Readonly<Record<string, number>>

/** All combinations, the last field changing fastest. */
function pointsOf(sweep: Sweep): readonly Point[] {
  return Object.entries(sweep).reduce<readonly Point[]>(
    (points, [key, values]) => points.flatMap((point) => values.map((value) => ({ ...point, [key]: value }))),
    [{}],
  )
}

function runOf(
  scenario: Scenario,
  policy: PolicySpec,
  point: Point,
  seed: number,
  pointsMax: number,
): RunSpec {
  const { name, shows, policies, attackers, poolSize, newcomerShare, shareMax, ...rest } = scenario
  const [first] = attackers
  const swept = Object.entries(point).map(([key, value]) => `--sweep ${key}=${value}`)
  const { name: _, ...terms } = policy
  const parameters = {
    ...Object.fromEntries(Object.entries(terms).filter(([, value]) => typeof value === 'number')),
    ...Object.fromEntries(Object.entries(point).filter(([key]) => !SHORT.includes(key))),
    seed,
  }
  return {
    ...rest,
    repeat: ['verimesh simulate', name, `--seed ${seed}`, ...swept, `(policy ${policy.name})`].join(' '),
    seed,
    policy,
    limits: { poolSize, newcomerShare, shareMax, traceExecutions: scenario.job.tracedCost },
    createMembers: (random) => createPopulation(scenario.providers, attackers, random),
    f: first?.share ?? 0,
    s: first?.rate ?? 0,
    c: first?.collusion ?? 0,
    parameters,
    pointsMax,
  }
}

/** Told in columns of their own. */
const SHORT: readonly string[] = ['f', 's', 'c']
