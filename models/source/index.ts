export type { Declared } from './derivation.ts'
export { SourceError, type SourceErrorCode } from './errors.ts'
export {
  discardImport,
  type ImportedModel,
  type ImportOptions,
  type ImportProgress,
  importPackageModel,
  importSource,
  type PackageModel,
} from './import.ts'
export { type Selection, selectFiles } from './selection.ts'
export { parseSource, type SourceSpec } from './spec.ts'
