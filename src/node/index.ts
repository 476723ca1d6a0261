export type { NodeConfig, NodeParts } from './config.ts'
export { createNode } from './create.ts'
export { checkExactLanes } from './exact-lanes.ts'
export { prepareHeap } from './heap.ts'
export { createLog, type Log, type LogFields, type LogLevel, silentLog } from './log.ts'
export { type Measurement, readMeasurement, writeMeasurement } from './measurements.ts'
export {
  type BackgroundWork,
  type CanaryReport,
  type ClosedJob,
  type DescribedModel,
  type DisputeKind,
  type DisputeReport,
  JobError,
  type JobProgress,
  type JobResult,
  NodeError,
  type NodeErrorCode,
  type NodeStatus,
  type PeerStatus,
  type PolicyName,
  type ProbeRequest,
  type SubmitRequest,
  type VerimeshNode,
} from './node.ts'
export { printable, printableJson } from './printable.ts'
export { proofsDirectory } from './proofs.ts'
export { RECHECK_SUFFIX, type Recheck } from './rechecking.ts'
export { VERSION } from './version.ts'
