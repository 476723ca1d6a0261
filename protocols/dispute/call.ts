import type { Connection } from '@libp2p/interface'
import type { Clock } from '../framing/index.ts'
import { HANG_UP_MS, SLOW_MS } from './constants.ts'
import { asDisputeError, DisputeError } from './errors.ts'

/** What can stop something that waits for a peer: its time, its caller, and whoever closes the client. */
export interface CallLimits {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signals: readonly (AbortSignal | undefined)[]
}

/**
 * Runs `work` within its limits. Where one is reached, `signal` is aborted with a DisputeError and so is what comes of it,
 * whatever `work` makes of that: `aborted`; or `silent`, or `slow` where `onBytes` was called lately. Failures of the layers
 * below come as DisputeErrors too.
 */
export async function withinLimits<Value>(
  { clock, timeoutMs, signals }: CallLimits,
  work: (signal: AbortSignal, onBytes: () => void) => Promise<Value>,
): Promise<Value> {
  const controller = new AbortController()
  const { signal } = controller
  const onAbort = () => controller.abort(new DisputeError('aborted', 'the dispute was cancelled'))
  let bytesAt = Number.NEGATIVE_INFINITY
  const onBytes = () => {
    bytesAt = clock.now()
  }
  const unschedule = clock.schedule(() => {
    const code = clock.now() - bytesAt < SLOW_MS ? 'slow' : 'silent'
    controller.abort(new DisputeError(code, `no whole answer within ${Math.round(timeoutMs)} ms`))
  }, timeoutMs)
  for (const outer of signals) {
    outer?.addEventListener('abort', onAbort, { once: true })
    if (outer?.aborted) onAbort()
  }
  try {
    signal.throwIfAborted()
    return await work(signal, onBytes)
  } catch (error) {
    throw signal.aborted ? signal.reason : asDisputeError(error)
  } finally {
    unschedule()
    for (const outer of signals) outer?.removeEventListener('abort', onAbort)
  }
}

/**
 * What a failure is called: a stream that its own connection took along was not hung up by the peer. The connection is found
 * to be closed a little later than its streams.
 */
export async function nameHangUp(thrown: unknown, connection: Connection, clock: Clock): Promise<unknown> {
  const error = asDisputeError(thrown)
  if (!(error instanceof DisputeError && error.code === 'hung-up')) return error
  if (connection.status === 'open') await untilClosed(connection, clock)
  if (connection.status === 'open') return error
  return new DisputeError('disconnected', 'the connection to the peer broke', { cause: error })
}

/** Or until it is clear that it stays open. */
function untilClosed(connection: Connection, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      unschedule()
      connection.removeEventListener('close', end)
      resolve()
    }
    const unschedule = clock.schedule(end, HANG_UP_MS)
    connection.addEventListener('close', end)
  })
}
