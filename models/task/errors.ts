export type TaskErrorCode =
  /** The bytes are no picture in a format that is read here. */
  | 'not-an-image'
  /** More bytes or pixels than are accepted, or too small to hold text. */
  | 'image-too-large'
  | 'image-too-small'
  /** No task in the manifest, or one of a kind that is not known here. */
  | 'unsupported-task'
  /** The task needs another model, or a file, that was not given. */
  | 'missing-companion'
  | 'missing-task-file'
  | 'malformed-task-file'
  /** The model's signature, or what it returned, is not what the task calls for. */
  | 'unexpected-signature'
  | 'unexpected-output'

export class TaskError extends Error {
  override readonly name = 'TaskError'
  readonly code: TaskErrorCode

  constructor(code: TaskErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
