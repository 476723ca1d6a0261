export { decodeManifest, encodeManifest } from './codec.ts'
export { MANIFEST_BYTES_MAX, TASK_FILES_BYTES_MAX } from './constants.ts'
export { ManifestError, type ManifestErrorCode } from './errors.ts'
export { type TensorForm, verifyInputs } from './inputs.ts'
export {
  MANIFEST_FILE,
  type Manifest,
  type ManifestFile,
  type PlanRoot,
  type Signature,
  type TaskManifest,
  type ValueSignature,
} from './manifest.ts'
export { verifyOutputs } from './outputs.ts'
export { comparePaths, isModelPath } from './path.ts'
