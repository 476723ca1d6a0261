/** What a bundle's verdict may claim, given what stands beside it, and what that shows to someone who trusts nobody. */
import type { Bundle, BundleReceipt } from './bundle.ts'
import { type ExactRun, isSameRun } from './commitment.ts'
import { ReceiptError } from './errors.ts'

/** Throws ReceiptError `weak-verdict` unless the verdict claims no more than the bundle shows. */
export function verifyVerdict(bundle: Bundle): void {
  const { job, receipts, verdict, acceptedDigest } = bundle
  const agreed = receipts.filter((entry) => entry.agreed)
  const equal = receipts.filter(({ receipt }) => equals(receipt.outputDigest, acceptedDigest))
  for (const { provider, agreed } of equal) {
    if (!agreed) weak(`${provider} signed the accepted outputs and is counted against them`)
  }
  if (job.job.lane === 'exact' && equal.length !== agreed.length) {
    weak('in the exact lane only equal outputs agree')
  }
  if (receipts.length > verdict.asked) weak('more providers answered than were asked')
  if (verdict.groups > agreed.length || (verdict.groups === 0 && agreed.length > 0)) {
    weak(`${agreed.length} providers cannot come from ${verdict.groups} address groups`)
  }
  switch (verdict.label) {
    case 'signed':
    case 'replicated':
      verifyCounted(bundle, equal, agreed)
      break
    case 'refereed':
      verifyRefereed(bundle, equal, agreed)
      break
    case 'recomputed': {
      const { ownRun } = bundle
      if (ownRun === undefined) weak('"recomputed" needs what the requester states of its own run')
      verifyDecided(bundle, ownRun, equal)
      break
    }
    default:
      verdict.label satisfies never
  }
}

function verifyCounted(
  { job, verdict }: Bundle,
  equal: readonly BundleReceipt[],
  agreed: readonly BundleReceipt[],
): void {
  if (equal.length === 0) weak('no provider signed the accepted outputs')
  const needed = verdict.label === 'replicated' ? Math.max(2, job.job.policy.quorum) : 1
  if (agreed.length < needed) {
    weak(`"${verdict.label}" needs ${needed} providers that agree; the bundle has ${agreed.length}`)
  }
}

function verifyRefereed(
  bundle: Bundle,
  equal: readonly BundleReceipt[],
  agreed: readonly BundleReceipt[],
): void {
  const { job, traces, ownRun, acceptedDigest } = bundle
  if (!job.job.policy.referee) weak('the job did not ask for a referee')
  const run = traces[0]?.commitment
  // A requester that is also a provider has one key, and so one voice.
  const isOwnRunAnother =
    ownRun !== undefined && traces.every(({ provider }) => provider !== job.job.requester)
  if (run === undefined || traces.length + (isOwnRunAnother ? 1 : 0) < 2) {
    weak('"refereed" needs two trace commitments, or one and a run of the requester')
  }
  // Whoever traced may have answered something else: then its trace says nothing about the answer that was taken.
  const isAnswered = traces.some(({ provider }) => agreed.some((entry) => entry.provider === provider))
  if (!isAnswered && !equals(run.outputDigest, acceptedDigest)) {
    weak('no provider that agrees has committed to a trace')
  }
  verifyDecided(bundle, run, equal)
}

/** Where a run decided, the accepted outputs are its own, or a native answer that the requester found near enough to it. */
function verifyDecided(
  { job, acceptedDigest }: Bundle,
  run: ExactRun,
  equal: readonly BundleReceipt[],
): void {
  if (equals(run.outputDigest, acceptedDigest)) return
  if (job.job.lane === 'exact') weak('in the exact lane the run that decided gives the accepted outputs')
  if (equal.length === 0) weak('neither a provider nor the run that decided gave the accepted outputs')
}

/**
 * That every trace is of a receipt that is here, about this job, and of one run; also the requester's own. Throws
 * ReceiptError `wrong-job` or `wrong-trace`.
 */
export function verifyTraces({ job, receipts, traces, ownRun }: Bundle): void {
  const run = ownRun ?? traces[0]?.commitment
  for (const { provider, commitment } of traces) {
    if (!equals(commitment.jobCommitment, job.commitment)) {
      throw new ReceiptError('wrong-job', `the trace commitment of ${provider} is about another job`)
    }
    const own = receipts.find((entry) => entry.provider === provider)
    if (own === undefined || !equals(own.digest, commitment.receiptDigest)) {
      wrongTrace(`the trace commitment of ${provider} is not about its receipt in this bundle`)
    }
    if (run === undefined || !isSameRun(run, commitment)) {
      wrongTrace(`the trace commitment of ${provider} is of another run than the one that decided`)
    }
    const { runtime, outputDigest } = own.receipt
    const isSameLane = runtime.lane === 'exact' && runtime.version === commitment.laneId
    if (isSameLane && !equals(outputDigest, commitment.outputDigest)) {
      wrongTrace(`${provider} contradicts its own receipt`)
    }
  }
}

/** What follows from a bundle in which everything was verified, and what does not, in sentences for a person. */
export function explainVerdict(bundle: Bundle): { readonly shows: string[]; readonly doesNotShow: string[] } {
  const { job, receipts, traces, ownRun, verdict, acceptedDigest } = bundle
  const agreed = receipts.filter((entry) => entry.agreed)
  const equal = agreed.filter(({ receipt }) => equals(receipt.outputDigest, acceptedDigest)).length
  const within = agreed.length - equal
  const run = ownRun ?? traces[0]?.commitment
  const isRunAccepted = run !== undefined && equals(run.outputDigest, acceptedDigest)
  const isDecided = verdict.label === 'refereed' || verdict.label === 'recomputed'
  const shows: string[] = []
  if (equal > 0) {
    shows.push(
      `${equal} provider(s) signed that model ${job.job.model} gave exactly the accepted outputs for this job.`,
    )
  }
  if (within > 0) {
    shows.push(
      `${within} more signed outputs of their own for this job, which the requester says lie within the tolerance ${job.job.tau}.`,
    )
  }
  if (run !== undefined && traces.length > 0) {
    const what = isRunAccepted ? 'gave the accepted outputs' : 'gave outputs of its own'
    shows.push(
      `${traces.length} provider(s) signed every step of one exact run (${run.laneId}, ${run.leafCount} steps), alike to the last bit, which ${what}.`,
    )
  }
  const doesNotShow = [basis(verdict.label)]
  if (ownRun !== undefined) {
    doesNotShow.push(
      'That the requester ran the model itself: it is its word, until you run the model again.',
    )
  }
  doesNotShow.push(
    agreed.length > 0
      ? `That ${verdict.asked} were asked, and that those who agree come from ${verdict.groups} address group(s): the requester says so.`
      : `That ${verdict.asked} were asked: the requester says so.`,
  )
  if (within > 0)
    doesNotShow.push('That the outputs that differ are within the tolerance: they are not in the bundle.')
  if (isDecided && !isRunAccepted) {
    doesNotShow.push(
      'That the accepted outputs are within the tolerance of the exact run: the requester says so.',
    )
  }
  if ([...agreed, ...traces].some(({ provider }) => provider === job.job.requester)) {
    doesNotShow.push('Independence: the requester is itself among those who agree.')
  }
  return { shows, doesNotShow }
}

function basis(label: Bundle['verdict']['label']): string {
  switch (label) {
    case 'signed':
      return 'That the model ran: it is the word of whoever signed.'
    case 'replicated':
      return 'Anything, if the providers that agree are one person or act together. That they are not is what the requester says, unless you trust their keys.'
    case 'refereed':
      return 'Anything, if nobody who was asked is honest. That those who gave a trace do not act together, and that a dispute was judged, is what the requester says, unless you trust their keys.'
    case 'recomputed':
      return 'Anything, if the requester lies: the verdict rests on a run of its own.'
    default:
      return label satisfies never
  }
}

function equals(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

function weak(why: string): never {
  throw new ReceiptError('weak-verdict', why)
}

function wrongTrace(why: string): never {
  throw new ReceiptError('wrong-trace', why)
}
