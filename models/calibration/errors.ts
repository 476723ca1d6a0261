export type CalibrationErrorCode =
  /** No inputs could be drawn that the model takes; the person has to give some. */
  | 'no-sample'
  /** The model did not run. */
  | 'not-runnable'

export class CalibrationError extends Error {
  override readonly name = 'CalibrationError'
  readonly code: CalibrationErrorCode

  constructor(code: CalibrationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
