export type { ExactRuntime, StepRun, Trace } from './exact.ts'
export { createInProcessExactRuntime, type InProcessExactOptions } from './exact-in-process.ts'
export {
  createExactRuntime,
  type ExactRuntimeInit,
  exactRuntimeInfo,
  type SupervisedExactRuntime,
} from './exact-runtime.ts'
export { type PreparedHost, prepareExactHost } from './host-process.ts'
export { detectInstructionSet } from './instruction-set.ts'
export { createNativeRuntime, nativeRuntimeInfo } from './native.ts'
export {
  type Executed,
  type Execution,
  type ExecutionOutcome,
  type Lane,
  type ModelRuntime,
  RuntimeError,
  type RuntimeErrorCode,
  type RuntimeInfo,
} from './runtime.ts'
export { createStubRuntime, type StubRuntimeInit } from './stub.ts'
export type {
  NativeRuntime,
  NativeRuntimeComponents,
  NativeRuntimeInit,
  NativeRuntimeStatus,
} from './supervisor.ts'
