export { PLAN_BYTES_MAX, PLAN_STEPS_MAX } from './constants.ts'
export { createPlan, decodePlan, encodePlan } from './encoding.ts'
export { PlanError, type PlanErrorCode } from './errors.ts'
export type { Block, IfStep, LoopStep, OperatorStep, Plan, Source, Step } from './plan.ts'
export {
  decisionOf,
  type Expectation,
  firstPosition,
  type Location,
  locate,
  nextPosition,
  nextPositionAt,
  type Origin,
  placeOf,
  stepAt,
} from './walk.ts'
export { deciderAt, deciderOf, expect, expectAt, outputOrigins } from './walk-expect.ts'
export { examineLeaf, examineLeafAt, type LeafFault } from './walk-leaf.ts'
