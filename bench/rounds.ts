import type { Window } from './load.ts'
import type { BenchOptions, TargetName } from './options.ts'
import type { Stage } from './stage.ts'
import { type Spread, spread } from './statistics.ts'
import type { Workload, WorkloadName } from './workloads.ts'

/** One line of the table: a target under one workload and concurrency. */
export interface Row {
  readonly workload: WorkloadName
  readonly concurrency: number
  readonly target: TargetName
  readonly p50Ms: Spread
  readonly p99Ms: Spread
  readonly requestsPerSecond: Spread
  readonly bytesPerRequest: Spread
  readonly requests: number
  readonly failures: number
  readonly firstFailure: string | undefined
  /** Against each server that was measured too: the quotient of each round's two windows. */
  readonly versus: Partial<Record<Baseline, Ratios>>
  readonly rounds: readonly Window[]
}

/** Above 1, this target is the slower one (p50) or the faster one (requests per second). */
export interface Ratios {
  readonly p50: Spread
  readonly requestsPerSecond: Spread
}

export type Baseline = (typeof BASELINES)[number]

const BASELINES = ['http', 'https'] as const
const WARM_UP_MS_MAX = 700

/**
 * Rounds A B C D, B C D A, ... over all targets at one concurrency, after a window of warm-up each. Ratios are taken
 * within a round, so that what slows the machine for a while slows both sides of a quotient.
 */
export async function runRounds(
  stage: Stage,
  workload: Workload,
  concurrency: number,
  options: BenchOptions,
): Promise<Row[]> {
  const targets = [...stage.clients.keys()]
  const durationMs = options.seconds * 1000
  const measure = async (target: TargetName, forMs: number): Promise<Window> => {
    const client = stage.clients.get(target)
    if (client === undefined) throw new Error(`no client for ${target}`)
    return await client.request<Window>({ type: 'load', load: { concurrency, durationMs: forMs } })
  }

  for (const target of targets) await measure(target, Math.min(durationMs, WARM_UP_MS_MAX))
  const windows = new Map<TargetName, Window[]>(targets.map((target) => [target, []]))
  for (let round = 0; round < options.rounds; round++) {
    for (let turn = 0; turn < targets.length; turn++) {
      const target = targets[(turn + round) % targets.length]
      if (target !== undefined) windows.get(target)?.push(await measure(target, durationMs))
    }
  }
  return targets.map((target) => createRow(workload.name, concurrency, target, windows))
}

function createRow(
  workload: WorkloadName,
  concurrency: number,
  target: TargetName,
  windows: ReadonlyMap<TargetName, readonly Window[]>,
): Row {
  const rounds = windows.get(target) ?? []
  const versus: Partial<Record<Baseline, Ratios>> = {}
  for (const baseline of BASELINES) {
    const others = windows.get(baseline)
    if (others === undefined || baseline === target) continue
    versus[baseline] = {
      p50: ratio(rounds, others, (window) => window.p50Ms),
      requestsPerSecond: ratio(rounds, others, (window) => window.requestsPerSecond),
    }
  }
  return {
    workload,
    concurrency,
    target,
    p50Ms: spread(rounds.map((window) => window.p50Ms)),
    p99Ms: spread(rounds.map((window) => window.p99Ms)),
    requestsPerSecond: spread(rounds.map((window) => window.requestsPerSecond)),
    bytesPerRequest: spread(rounds.map((window) => window.bytesPerRequest)),
    requests: rounds.reduce((sum, window) => sum + window.requests, 0),
    failures: rounds.reduce((sum, window) => sum + window.failures, 0),
    firstFailure: rounds.find((window) => window.firstFailure !== undefined)?.firstFailure,
    versus,
    rounds,
  }
}

function ratio(ours: readonly Window[], theirs: readonly Window[], of: (window: Window) => number): Spread {
  return spread(
    ours.map((window, round) => of(window) / (theirs[round] === undefined ? Number.NaN : of(theirs[round]))),
  )
}
