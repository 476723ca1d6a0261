/** The library: start a node, ask the mesh, check receipts. The commands are built on the same functions. */
export { addressDirectory, type DirectoryFile } from '../models/address/index.ts'
export type { Manifest, Signature, TaskManifest, ValueSignature } from '../models/manifest/index.ts'
export { createTask, decodeImage, type PageReading, type Task, TaskError } from '../models/task/index.ts'
export {
  type DType,
  decodeNpy,
  decodeTensors,
  encodeNpy,
  encodeTensors,
  float32Elements,
  float32Tensor,
  type Tensor,
  TensorError,
} from '../models/tensor/index.ts'
export { type BundleReport, ReceiptError, verifyBundle } from '../protocols/receipt/index.ts'
export {
  type BackgroundWork,
  type CanaryReport,
  type ClosedJob,
  createLog,
  createNode,
  type DescribedModel,
  type DescribeOptions,
  JobError,
  type JobProgress,
  type JobResult,
  type Log,
  type NodeConfig,
  NodeError,
  type NodeStatus,
  type PeerStatus,
  type ProbeRequest,
  type SubmitRequest,
  silentLog,
  type VerimeshNode,
} from './node/index.ts'
export type { JobFailure, JobFailureCode } from './requester/index.ts'
export type { Verdict, VerdictLabel } from './verification/index.ts'
