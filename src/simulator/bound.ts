/**
 * The least error that any policy of this kind can reach at a cost: one that finds liars only by running jobs twice. See
 * `docs/replication.md`, which derives it.
 */
export interface BoundTerms {
  readonly jobs: number
  /** Fraction of saboteurs, and the rate at which they lie. */
  readonly f: number
  readonly s: number
  /** Largest share of all executions that one provider may run. */
  readonly shareMax: number
}

export interface BoundPoint {
  readonly executionsPerJob: number
  readonly error: number
}

/**
 * Expected wrong answers over jobs. With E = (T - 1) J executions to spare, E jobs can have a second one, and each of those
 * checks two providers; at least 1 / shareMax providers share the work. A saboteur is still there after m checks with
 * probability (1 - s)^m, and lies in the jobs that it then runs alone.
 */
export function errorBound({ jobs, f, s, shareMax }: BoundTerms, executionsPerJob: number): number {
  const spare = Math.max(0, Math.min(1, executionsPerJob - 1)) * jobs
  const providers = 1 / shareMax
  const checks = (2 * spare) / providers
  return (f * s * (1 - s) ** checks * (jobs - spare)) / jobs
}

/** The bound as a curve, from one execution a job to two, where nothing need be wrong any more. */
export function boundCurve(terms: BoundTerms, points = 51): readonly BoundPoint[] {
  return Array.from({ length: points }, (_, index) => {
    const executionsPerJob = 1 + index / (points - 1)
    return { executionsPerJob, error: errorBound(terms, executionsPerJob) }
  })
}
