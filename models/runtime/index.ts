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
