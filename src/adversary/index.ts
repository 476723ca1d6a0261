/** Liars and failing machines, for tests, the demo and the simulator. Nothing that a volunteer starts reaches this. */

export type { Conduct, FacedJob, NativeAnswer, TraceConduct } from './conduct.ts'
export { createCrashingRuntime, createSilentRuntime, createSlowRuntime } from './failing-runtime.ts'
export {
  FORGERIES,
  type Forgery,
  forgeLastStep,
  forgeMiddleStep,
  forgeOperand,
  honestTrace,
  skipStep,
  swapOperator,
} from './forgeries.ts'
export { createLyingExactRuntime } from './lying-exact-runtime.ts'
export { createLyingRuntime, type LyingRuntimeInit } from './lying-runtime.ts'
export { createRandom, type Random } from './random.ts'
export { randomNoise } from './random-noise.ts'
export type { Strategy } from './strategy.ts'
export { substituteCharacters } from './substitute-characters.ts'
