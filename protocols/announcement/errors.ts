export type AnnouncementErrorCode = 'malformed' | 'too-large'

export class AnnouncementError extends Error {
  override readonly name = 'AnnouncementError'
  readonly code: AnnouncementErrorCode

  constructor(code: AnnouncementErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
