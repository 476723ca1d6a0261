export {
  type Comparison,
  type ComparisonState,
  compareTensors,
  compareTensorsGradually,
  createComparison,
} from './compare.ts'
export { ABSOLUTE_TOLERANCE, ANSWERS_MAX, COMPARISON_STEP_ELEMENTS } from './constants.ts'
export { VerificationError, type VerificationErrorCode } from './errors.ts'
export { type Answer, type Cluster, findCluster } from './quorum.ts'
export {
  examineOutputs,
  examineTrace,
  type InputDigests,
  type OperandViolation,
  type OutputDigests,
  type OutputViolation,
  type ShapeViolation,
  type TraceViolation,
  type Violation,
} from './referee/examine.ts'
export {
  type Case,
  type Clear,
  type ExecutionViolation,
  findDivergence,
  type Guilty,
  type Judgement,
  type Judgements,
  judge,
  type NeedsExecution,
  type Party,
  type Settlement,
  settle,
} from './referee/judge.ts'
export {
  composeDecision,
  composeVerdict,
  type Decision,
  type DiscardReason,
  type DisputeRecord,
  type DisputeSummary,
  type GuiltKind,
  isAnswerAlone,
  isLabelAtLeast,
  SELF,
  VERDICT_LABELS,
  type Verdict,
  type VerdictInput,
  type VerdictLabel,
} from './verdict.ts'
