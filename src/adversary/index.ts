/** Liars and failing machines, for tests, the demo and the simulator. Nothing that a volunteer starts reaches this. */

export type {
  Accusation,
  FalseProof,
  Flooder,
  FloodRequest,
  FramingAttempt,
  FramingDemand,
  FramingDemandName,
  FramingRequester,
  Slanderer,
  SybilSwarm,
} from './attacks.ts'
export type { Conduct, FacedJob, NativeAnswer, TraceConduct } from './conduct.ts'
export { type AdaptiveCoalition, createAdaptiveCoalition } from './conducts/adaptive-coalition.ts'
export { createBoaster } from './conducts/boaster.ts'
export { createColludingLiar } from './conducts/colluding-liar.ts'
export { type CopierInit, createCopier } from './conducts/copier.ts'
export { createCrashing } from './conducts/crashing.ts'
export { createEquivocator } from './conducts/equivocator.ts'
export { createFreeRider, type FreeRiderInit } from './conducts/free-rider.ts'
export { createHonest } from './conducts/honest.ts'
export { createIndependentLiar } from './conducts/independent-liar.ts'
export { createLiar, type LiarInit } from './conducts/liar.ts'
export { createNativeLiar } from './conducts/native-liar.ts'
export { createProxy } from './conducts/proxy.ts'
export { createSilent } from './conducts/silent.ts'
export { createSleeper } from './conducts/sleeper.ts'
export { createSlow, type SlowInit } from './conducts/slow.ts'
export { createTargeted } from './conducts/targeted.ts'
export { createTracingLiar } from './conducts/tracing-liar.ts'
export { createWhitewasher } from './conducts/whitewasher.ts'
export { hashContent, isPicked } from './content-hash.ts'
export { createCrashingRuntime, createSilentRuntime, createSlowRuntime } from './failing-runtime.ts'
export { createFlooder, type FlooderInit } from './flooder.ts'
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
export { createFramingRequester, FRAMING_DEMANDS, type FramingRequesterInit } from './framing-requester.ts'
export {
  afterHonestJobs,
  type CommonLiesInit,
  commonLies,
  type Lies,
  type OwnLiesInit,
  onlyTo,
  ownLies,
} from './lies.ts'
export { createLyingExactRuntime } from './lying-exact-runtime.ts'
export { createLyingRuntime, type LyingRuntimeInit } from './lying-runtime.ts'
export { createRandom, type Random } from './random.ts'
export { randomNoise } from './random-noise.ts'
export { createSlanderer, FALSE_PROOFS, type SlandererInit } from './slanderer.ts'
export type { Strategy } from './strategy.ts'
export { substituteCharacters } from './substitute-characters.ts'
export { createSybilSwarm, type SybilSwarmInit } from './sybil-swarm.ts'
