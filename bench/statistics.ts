/** Least, middle and greatest of a few values: what is shown instead of a mean, since rounds on shared cores have outliers. */
export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** `values` must not be empty. Of an even number the median is the mean of the middle two. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
  return { min: sorted[0] ?? Number.NaN, median, max: sorted.at(-1) ?? Number.NaN }
}

/** Nearest-rank percentile of an ascending list; `q` from 0 to 1. NaN of an empty list. */
export function percentile(ascending: ArrayLike<number>, q: number): number {
  const rank = Math.max(1, Math.ceil(q * ascending.length))
  return ascending[rank - 1] ?? Number.NaN
}
