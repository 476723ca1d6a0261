import type { Random } from '../routing/index.ts'

/** Log-normal with this mean; `sigma` is the standard deviation of the logarithm, and 0 gives the mean itself. */
export function logNormal(mean: number, sigma: number, random: Random): number {
  if (sigma === 0) return mean
  return mean * Math.exp(sigma * standardNormal(random) - (sigma * sigma) / 2)
}

/** Waiting time of a Poisson process of `perMs` events a millisecond. */
export function exponential(perMs: number, random: Random): number {
  return -Math.log(1 - random.next()) / perMs
}

/** Box and Muller's transform; the second value is not kept, so that draws do not depend on each other. */
function standardNormal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()))
  return radius * Math.cos(2 * Math.PI * random.next())
}
