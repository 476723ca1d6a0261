export type VerificationErrorCode = 'invalid-tolerance' | 'too-many-answers'

export class VerificationError extends Error {
  override readonly name = 'VerificationError'
  readonly code: VerificationErrorCode

  constructor(code: VerificationErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
