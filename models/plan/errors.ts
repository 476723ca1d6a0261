export type PlanErrorCode =
  /** Bytes that are no plan in its one form, or a plan that contradicts itself. */
  | 'malformed'
  /** More steps, operands or bytes than a plan may have. */
  | 'too-large'
  /** A position that the plan has not, or that no trace can have. */
  | 'unknown-position'
  /** A leaf that decides neither one way nor the other, or for an iteration too many. */
  | 'no-decision'

export class PlanError extends Error {
  override readonly name = 'PlanError'
  readonly code: PlanErrorCode

  constructor(code: PlanErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
