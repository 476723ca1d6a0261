import type { Clock } from '../framing/index.ts'
import { asDisputeError, DisputeError } from './errors.ts'

/** What can stop something that waits for a peer: its time, its caller, and whoever closes the client. */
export interface CallLimits {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signals: readonly (AbortSignal | undefined)[]
}

/**
 * Runs `work` within its limits. Where one is reached, `signal` is aborted with a DisputeError (`silent` or `aborted`) and
 * so is what comes of it, whatever `work` makes of that. Failures of the layers below come as DisputeErrors too.
 */
export async function withinLimits<Value>(
  { clock, timeoutMs, signals }: CallLimits,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const controller = new AbortController()
  const { signal } = controller
  const onAbort = () => controller.abort(new DisputeError('aborted', 'the dispute was cancelled'))
  const unschedule = clock.schedule(
    () => controller.abort(new DisputeError('silent', `no answer within ${Math.round(timeoutMs)} ms`)),
    timeoutMs,
  )
  for (const outer of signals) {
    outer?.addEventListener('abort', onAbort, { once: true })
    if (outer?.aborted) onAbort()
  }
  try {
    signal.throwIfAborted()
    return await work(signal)
  } catch (error) {
    throw signal.aborted ? signal.reason : asDisputeError(error)
  } finally {
    unschedule()
    for (const outer of signals) outer?.removeEventListener('abort', onAbort)
  }
}
