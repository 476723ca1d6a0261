export { MODEL_FILES_PROTOCOL } from './constants.ts'
export { ModelFilesError, type ModelFilesErrorCode } from './errors.ts'
export {
  createModelFilesServer,
  fetchModelBlocks,
  type ModelFilesServer,
  type ModelFilesServerComponents,
} from './exchange.ts'
