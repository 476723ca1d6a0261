export type { NodeConfig } from './config.ts'
export { createNode } from './create.ts'
export { prepareHeap } from './heap.ts'
export { createLog, type Log, type LogFields, type LogLevel, silentLog } from './log.ts'
export {
  type ClosedJob,
  type DescribedModel,
  JobError,
  type JobProgress,
  type JobResult,
  NodeError,
  type NodeErrorCode,
  type NodeStatus,
  type PeerStatus,
  type SubmitRequest,
  type VerimeshNode,
} from './node.ts'
export { printable, printableJson } from './printable.ts'
export { VERSION } from './version.ts'
