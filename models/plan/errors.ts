export type PlanErrorCode =
  /** Bytes that are no plan in its one form, or a plan that contradicts itself. */
  | 'malformed'
  /** More steps, operands or bytes than a plan may have. */
  | 'too-large'

export class PlanError extends Error {
  override readonly name = 'PlanError'
  readonly code: PlanErrorCode

  constructor(code: PlanErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
