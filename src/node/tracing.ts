/** The provider's side of disputes: runs a job once more in the exact lane, and signs what every step of it gave. */
import { type ExactRuntime, RuntimeError, type RuntimeErrorCode } from '../../models/runtime/index.ts'
import { digestTensorsInBackground } from '../../models/tensor/index.ts'
import { hashLeaf, merkleRoot } from '../../models/trace/index.ts'
import type { DisputeAnswer, Refusal, VerifiedDemand } from '../../protocols/dispute/index.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import { sealTraceCommitment } from '../../protocols/receipt/index.ts'

/** The exact lane of a model that this node may sign for; why not, in words, where it may not. */
export type TraceableModel =
  | { readonly runtime: ExactRuntime }
  | { readonly refused: 'busy' | 'cannot-trace'; readonly reason: string }

/**
 * Answers demands, every one of which was verified. A refusal is signed and no loss, so that what this machine cannot do
 * never counts against it.
 */
export function createTracing({
  signer,
  modelOf,
}: {
  readonly signer: Signer
  readonly modelOf: (cid: string) => TraceableModel
}): (demand: VerifiedDemand, signal: AbortSignal) => Promise<DisputeAnswer> {
  return async (demand, signal) => {
    const model = modelOf(demand.job.job.model)
    if ('refused' in model) return refuse(model.refused, model.reason)
    const { runtime } = model
    if (runtime.info.version !== demand.laneId) {
      return refuse('cannot-trace', `this node traces in the lane ${runtime.info.version}`)
    }
    const { runtime: ran } = demand.receipt.receipt
    if (ran.lane === 'exact' && ran.version !== runtime.info.version) {
      return refuse('cannot-trace', `that answer was given in the lane ${ran.version}, which is no more here`)
    }
    try {
      const plan = await runtime.plan(signal)
      const { leaves, outputs } = await runtime.trace(demand.inputs, signal)
      const commitment = sealTraceCommitment(signer, {
        receiptDigest: demand.receipt.digest,
        jobCommitment: demand.job.commitment,
        planRoot: plan.root,
        laneId: runtime.info.version,
        leafCount: leaves.length,
        traceRoot: merkleRoot(leaves.map(hashLeaf)),
        outputDigest: await digestTensorsInBackground(demand.salt, outputs),
        outputBytes: outputs.byteLength,
      })
      return {
        kind: 'committed',
        commitment,
        outputs,
        leaves,
        operandsOf: (position, asked) => runtime.operands(demand.inputs, position, asked),
      }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof RuntimeError)) throw error
      return refuse(refusalOf(error.code), error.message, error.retryAfterMs)
    }
  }
}

function refuse(code: Refusal['code'], message: string, retryAfterMs = RETRY_AFTER_MS): DisputeAnswer {
  return { kind: 'refused', code, message, retryAfterMs: code === 'busy' ? retryAfterMs : 0 }
}

/** Where nothing better is known: an exact process has started, or another trace has ended, by then. */
const RETRY_AFTER_MS = 500

function refusalOf(code: RuntimeErrorCode): Refusal['code'] {
  switch (code) {
    case 'crashed':
    case 'backing-off':
    case 'closed':
      return 'busy'
    case 'input-mismatch':
    case 'digest-mismatch':
      return 'invalid-demand'
    case 'load-failed':
    case 'run-failed':
    case 'out-of-memory':
    case 'deadline':
    case 'aborted':
      return 'cannot-trace'
    default:
      return code satisfies never
  }
}
