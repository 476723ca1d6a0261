import type { TargetName } from './options.ts'
import type { Baseline, Row } from './rounds.ts'
import type { WorkloadName } from './workloads.ts'

/** What one provider over the mesh must reach against the server that it replaces. */
interface Goal {
  readonly workload: WorkloadName
  readonly concurrency: number
  readonly metric: 'p50' | 'requestsPerSecond'
  readonly versus: Baseline
  /** The most (p50) or the least (requests per second) that the median of the rounds' ratios may be. */
  readonly limit: number
}

export interface GoalResult extends Goal {
  readonly target: TargetName
  readonly ratio: number
  readonly met: boolean
}

const TARGET: TargetName = 'mesh-1'

const GOALS: readonly Goal[] = [
  { workload: 'tiny-1k', concurrency: 1, metric: 'p50', versus: 'http', limit: 2 },
  { workload: 'tiny-600k', concurrency: 1, metric: 'p50', versus: 'https', limit: 2.5 },
  { workload: 'recognition', concurrency: 1, metric: 'p50', versus: 'http', limit: 1.05 },
  { workload: 'recognition', concurrency: 8, metric: 'requestsPerSecond', versus: 'http', limit: 0.95 },
  { workload: 'wide', concurrency: 8, metric: 'requestsPerSecond', versus: 'http', limit: 1.5 },
]

/** Only the goals that `rows` can answer. */
export function judgeGoals(rows: readonly Row[]): GoalResult[] {
  return GOALS.flatMap((goal) => {
    const row = rows.find(
      ({ workload, concurrency, target }) =>
        target === TARGET && workload === goal.workload && concurrency === goal.concurrency,
    )
    const ratio = row?.versus[goal.versus]?.[goal.metric].median
    if (ratio === undefined) return []
    const met = goal.metric === 'p50' ? ratio <= goal.limit : ratio >= goal.limit
    return [{ ...goal, target: TARGET, ratio, met }]
  })
}
