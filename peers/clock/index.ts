export type { Clock } from './clock.ts'
export { sleep, systemClock } from './clock.ts'
