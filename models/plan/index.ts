export type { Block, IfStep, LoopStep, OperatorStep, Plan, Source, Step } from './plan.ts'
export type { Expectation, Origin } from './walk.ts'
