import { ManifestError } from '../../models/manifest/index.ts'
import { InferenceError } from '../../protocols/inference/index.ts'
import type { AttemptFailure } from '../requester/index.ts'

/** Why one provider gave no answer that counts, in the machine's words. */
export class AttemptError extends Error {
  override readonly name = 'AttemptError'
  readonly failure: AttemptFailure

  constructor(failure: AttemptFailure) {
    super(failure.message)
    this.failure = failure
  }
}

/** The one map from what went wrong with a request to what it means for the job. */
export function attemptFailure(error: unknown): AttemptFailure {
  const message = error instanceof Error ? error.message : String(error)
  // Perhaps the model does not do what its own file declares: then all who run it give the same.
  if (error instanceof ManifestError && error.code === 'output-shape') {
    return { code: 'refused', message, retryAfterMs: 0 }
  }
  if (!(error instanceof InferenceError)) return { code: 'protocol-violation', message, retryAfterMs: 0 }
  const code = ((): AttemptFailure['code'] => {
    switch (error.code) {
      case 'unreachable':
        return 'unreachable'
      case 'timeout':
      // It holds the connection and says nothing of what it has: as good as no answer.
      case 'withheld':
        return 'timeout'
      case 'hung-up':
      case 'aborted':
        return 'hung-up'
      case 'too-many-requests':
        return 'busy'
      case 'malformed':
      case 'frame-too-long':
      case 'wrong-job':
      case 'broken-commitment':
        return 'protocol-violation'
      default:
        error.code satisfies never
        return 'protocol-violation'
    }
  })()
  return { code, message, retryAfterMs: code === 'busy' ? 50 : 0 }
}

/** What a provider's refusal means for the job; a code that is not known means no more than a refusal. */
export function refusalCode(code: string): AttemptFailure['code'] {
  switch (code) {
    case 'busy':
    case 'stopping':
    case 'unknown-model':
    case 'invalid-job':
    case 'failed':
      return code
    default:
      return 'refused'
  }
}
