export type { NodeConfig, NodeParts } from './config.ts'
export { prepareHeap } from './heap.ts'
export { checkExactLanes, createNode } from './lazy.ts'
export { createLog, type Log, type LogFields, type LogLevel, silentLog } from './log.ts'
export { type Measurement, readMeasurement, writeMeasurement } from './measurements.ts'
export {
  type BackgroundWork,
  type CanaryReport,
  type ClosedJob,
  type DescribedModel,
  type DescribeOptions,
  type DisputeKind,
  type DisputeReport,
  type ExplainedStanding,
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
export { absentPeer } from './peer-status.ts'
export { proofsDirectory, RECHECK_SUFFIX } from './places.ts'
export { printable, printableJson } from './printable.ts'
export type { Recheck } from './rechecking.ts'
export { VERSION } from './version.ts'
