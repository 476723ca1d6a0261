/** What people pass in and get out: images to tensors, tensors to text. Only `image.ts` touches the outside. */
export { decodeReading, type Emission, emissions, type Reading } from './ctc.ts'
export { parseDictionary } from './dictionary.ts'
export { TaskError, type TaskErrorCode } from './errors.ts'
export type { Point, Quad } from './geometry.ts'
export { decodeImage } from './image.ts'
export {
  type Detect,
  findLines,
  type PageLine,
  type PageReading,
  type ReadOptions,
  type ReadProgress,
  type RecognitionModel,
  type Recognize,
  readLines,
  readPage,
  wholeImage,
} from './page.ts'
export { type RgbImage, resizeImage, warpImage } from './raster.ts'
export {
  createTask,
  detectionModel,
  type Execute,
  RECOGNITION_ROLE,
  recognitionModel,
  TASK_KINDS,
  type Task,
  type TaskExecution,
  type TaskKind,
  type TaskModel,
} from './task.ts'
