export type { Candidate } from './candidate.ts'
export { createExclusion, type Exclusion } from './exclusion.ts'
export { createRandom, drawSome, type Random, type SeededRandom } from './random.ts'
export { createEstimate, type RoutingPolicy, type SelectOptions, selectProviders } from './select.ts'
