import type { Manifest } from '../manifest/index.ts'
import type { Tensor } from '../tensor/index.ts'
import { parseDictionary } from './dictionary.ts'
import { TaskError } from './errors.ts'
import {
  type Detect,
  type PageReading,
  type ReadOptions,
  type RecognitionModel,
  type Recognize,
  readLines,
  readPage,
  wholeImage,
} from './page.ts'
import type { RgbImage } from './raster.ts'

/** Kinds of task that are known here; a manifest's `task.kind` is one of them. */
export const TASK_KINDS = ['ocr', 'text-recognition'] as const
export type TaskKind = (typeof TASK_KINDS)[number]

/** The role under which the manifest of an `ocr` model names its companion. */
export const RECOGNITION_ROLE = 'recognition'

/** A model as a task needs it: its manifest and the task files that the manifest lists, by path. */
export interface TaskModel {
  readonly manifest: Manifest
  readonly files: ReadonlyMap<string, Uint8Array>
}

/** What a task asks to be executed: `role` is 'self' for the model that carries the task, else the companion's role. */
export interface TaskExecution {
  readonly role: string
  readonly inputs: readonly Tensor[]
  /** For people: `detection`, `line 3`. */
  readonly label: string
  readonly signal: AbortSignal
}

/** Resolves with the model's outputs, from a local session or from the mesh. */
export type Execute = (execution: TaskExecution) => Promise<readonly Tensor[]>

/**
 * A task turns an image into text by executing models; it knows nothing of where they run.
 * - `ocr`: reads a page: detection is one execution, each line another, all lines in flight together.
 * - `text-recognition`: reads an image of a single line.
 */
export interface Task {
  readonly kind: TaskKind
  /** Rejects with what `execute` rejects with, or with TaskError `unexpected-output`. */
  run(image: RgbImage, execute: Execute, options?: ReadOptions): Promise<PageReading>
}

/**
 * The task of `model`. `companions` holds a model for each role in the manifest's `task.companions`.
 * Neither kind takes parameters. Throws TaskError `unsupported-task`, `missing-companion`, `missing-task-file`,
 * `malformed-task-file` or `unexpected-signature`.
 */
export function createTask(model: TaskModel, companions: Readonly<Record<string, TaskModel>> = {}): Task {
  const kind = model.manifest.task?.kind
  switch (kind) {
    case 'ocr':
      return createOcr(model, companions)
    case 'text-recognition':
      return createTextRecognition(model)
    default:
      throw new TaskError(
        'unsupported-task',
        kind === undefined
          ? `the model "${model.manifest.name}" declares no task: give it raw tensors instead`
          : `the model "${model.manifest.name}" declares the task "${kind}", which this version doesn't know; it knows ${TASK_KINDS.join(', ')}`,
      )
  }
}

/** The detection model of an `ocr` task: the name of its only input. Throws TaskError `unexpected-signature`. */
export function detectionModel(model: TaskModel): { readonly input: string } {
  return { input: imageInput(model.manifest) }
}

/** The recognition model, with the characters of its classes. Throws TaskError. */
export function recognitionModel(model: TaskModel): RecognitionModel {
  const { name, task } = model.manifest
  const path = task?.kind === 'text-recognition' ? task.files[0] : undefined
  const file = path === undefined ? undefined : model.files.get(path)
  if (file === undefined) {
    throw new TaskError(
      'missing-task-file',
      `the model "${name}" comes without the dictionary of its characters: a "text-recognition" task needs it as its first task file`,
    )
  }
  return { input: imageInput(model.manifest), characters: parseDictionary(file) }
}

function createOcr(model: TaskModel, companions: Readonly<Record<string, TaskModel>>): Task {
  const companion = Object.hasOwn(companions, RECOGNITION_ROLE) ? companions[RECOGNITION_ROLE] : undefined
  if (companion === undefined) {
    throw new TaskError(
      'missing-companion',
      `the model "${model.manifest.name}" finds lines of text; to read them it needs a companion model in the role "${RECOGNITION_ROLE}"`,
    )
  }
  const models = { detection: detectionModel(model), recognition: recognitionModel(companion) }
  return {
    kind: 'ocr',
    run: (image, execute, options) => {
      const detect: Detect = (inputs, signal) => execute({ role: 'self', inputs, label: 'detection', signal })
      return readPage(image, models, { detect, recognize: lineBy(execute, RECOGNITION_ROLE) }, options)
    },
  }
}

function createTextRecognition(model: TaskModel): Task {
  const recognition = recognitionModel(model)
  return {
    kind: 'text-recognition',
    run: (image, execute, options) =>
      readLines(image, [wholeImage(image)], recognition, lineBy(execute, 'self'), options),
  }
}

function lineBy(execute: Execute, role: string): Recognize {
  return (inputs, line, signal) => execute({ role, inputs, label: `line ${line + 1}`, signal })
}

function imageInput(manifest: Manifest): string {
  const { inputs, outputs } = manifest.signature
  const [input] = inputs
  if (
    input === undefined ||
    inputs.length !== 1 ||
    outputs.length !== 1 ||
    input.dtype !== 'float32' ||
    input.dims.length !== 4
  ) {
    throw new TaskError(
      'unexpected-signature',
      `the model "${manifest.name}" must take one float32 image of four dimensions and return one tensor to read text`,
    )
  }
  return input.name
}
